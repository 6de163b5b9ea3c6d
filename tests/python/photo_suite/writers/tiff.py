"""Writes TIFF files of every layout, tag by tag."""

import struct

import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
CODES = {BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "I", UNDEFINED: "B", LONG8: "Q"}

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_LENGTHS, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 317, 320, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, YCC_SUBSAMPLING, ICC = 338, 339, 347, 530, 34675

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCC, LAB = 0, 1, 2, 3, 5, 6, 8
NONE, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 7, 8, 32773, 32946


def tiff(pages, order="<", big=False):
    """Returns a TIFF of pages. A page is its tags, and its strips or tiles."""
    width = 8 if big else 4
    word = order + ("Q" if big else "I")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    file = bytearray(head)
    for number, (tags, chunks) in enumerate(pages):
        is_last = number == len(pages) - 1
        file += page(tags, chunks, len(file), order, width, word, is_last)
    return bytes(file)


def page(tags, chunks, start, order, width, word, is_last):
    """Returns a directory that is stored at `start`, followed by its values and chunks."""
    tags = dict(tags)
    tiled = TILE_WIDTH in tags
    offsets, lengths = (TILE_OFFSETS, TILE_LENGTHS) if tiled else (STRIP_OFFSETS, STRIP_LENGTHS)
    kind = LONG8 if width == 8 else LONG
    tags.setdefault(offsets, (kind, [0] * len(chunks)))
    tags.setdefault(lengths, (kind, [len(chunk) for chunk in chunks]))
    if tags[lengths] is None:
        del tags[lengths]
    count = "Q" if width == 8 else "H"
    directory = struct.calcsize(order + count) + len(tags) * (4 + 2 * width) + width
    values_at = start + directory
    sizes = {tag: value_size(value) for tag, value in tags.items()}
    data_at = values_at + sum(size + size % 2 for size in sizes.values() if size > width)
    if tags[offsets][1] == [0] * len(chunks):
        starts = np.cumsum([data_at, *(len(chunk) for chunk in chunks)])
        tags[offsets] = (kind, starts[:-1].tolist())
    entries, values = b"", b""
    for tag in sorted(tags):
        kind, numbers = tags[tag]
        code = CODES[kind]
        stored = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        field = stored.ljust(width, b"\0")
        if len(stored) > width:
            field = struct.pack(word, values_at + len(values))
            values += stored + b"\0" * (len(stored) % 2)
        items = len(numbers) // 2 if kind == RATIONAL else len(numbers)
        entries += struct.pack(order + "HH", tag, kind) + struct.pack(word, items) + field
    data = b"".join(chunks)
    data += b"\0" * ((values_at + len(values) + len(data)) % 2)
    following = 0 if is_last else values_at + len(values) + len(data)
    return struct.pack(order + count, len(tags)) + entries + struct.pack(word, following) + values + data


def value_size(value):
    kind, numbers = value
    return struct.calcsize("=" + CODES[kind]) * len(numbers)


def shorts(*numbers):
    return (SHORT, list(numbers))


def longs(*numbers):
    return (LONG, list(numbers))


def tags_of(size, bits, photometric, compression=NONE, more=None):
    """Returns the tags of an image with as many samples as `bits` has numbers."""
    tags = {
        WIDTH: longs(size[0]),
        HEIGHT: longs(size[1]),
        BITS: shorts(*bits),
        COMPRESSION: shorts(compression),
        PHOTOMETRIC: shorts(photometric),
        SAMPLES: shorts(len(bits)),
        ROWS_PER_STRIP: longs(size[1]),
    }
    return {**tags, **(more or {})}
