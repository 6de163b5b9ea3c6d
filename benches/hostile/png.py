"""PNG files that cost more than their size."""

import struct
import zlib

import numpy

from hostile.bits import EMPTY_FIXED, EMPTY_STORED, deflate_repeated, dynamic_blocks, repeated
from hostile.sizes import LARGE, NOISE_SEED, SMALL

SIDE = 8000
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
PAETH = 4
# Eight blocks with codes of their own and no content.
NOTHING = dynamic_blocks(content=False)
# First column, first row, and the steps, of each pass of an interlaced image.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(name, data=b""):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, colour, idat, interlaced=False, before=b"", split=None):
    """Returns a PNG with this stream of pixels, in one chunk or in several of `split` bytes."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(range(6))) if colour == PALETTE else b""
    parts = [idat] if split is None else [idat[at : at + split] for at in range(0, len(idat), split)]
    pixels = b"".join(chunk(b"IDAT", part) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + before + pixels + chunk(b"IEND")


def row_bytes(width, depth, colour):
    return (width * depth * CHANNELS[colour] + 7) // 8


def solid(depth, colour, interlaced, width=SIDE, height=SIDE, row_filter=PAETH):
    """Returns an image of one colour, whose rows take the most work to restore."""
    passes = PASSES if interlaced else [(0, 0, 1, 1)]
    compressor = zlib.compressobj(9)
    parts = []
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        row = bytes([row_filter]) + bytes(row_bytes(columns, depth, colour))
        many = max(1, (1 << 20) // len(row))
        for _ in range(rows // many):
            parts.append(compressor.compress(row * many))
        parts.append(compressor.compress(row * (rows % many)))
    parts.append(compressor.flush())
    return png(width, height, depth, colour, b"".join(parts), interlaced)


def noise(colour, depth, width, height, levels, interlaced=False, strategy=zlib.Z_DEFAULT_STRATEGY):
    """Returns an image of random samples, of which only some values occur."""
    random = numpy.random.default_rng(NOISE_SEED)
    compressor = zlib.compressobj(1, zlib.DEFLATED, 15, 9, strategy)
    parts = []
    passes = PASSES if interlaced else [(0, 0, 1, 1)]
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        length = row_bytes(columns, depth, colour)
        for start in range(0, rows, 256):
            count = min(256, rows - start)
            block = random.integers(0, levels, (count, 1 + length), dtype=numpy.uint8)
            block[:, 0] = PAETH
            parts.append(compressor.compress(block.tobytes()))
    parts.append(compressor.flush())
    return png(width, height, depth, colour, b"".join(parts), interlaced)


def busy_blocks(length, depth, colour):
    """Returns an image in which each 258 bytes of zeros come with codes of their own.

    It stays within the bytes that an encoder needs, because every block produces more than it takes.
    """
    unit = dynamic_blocks(content=True)
    produced = 8 * 258
    row = 1 + row_bytes(SIDE, depth, colour)
    rows = min(SIDE, length // len(unit) * produced // row)
    first, units = deflate_repeated(b"\x00", 1)[:2] + b"\x00\x01\x00\xfe\xff\x00", rows * row // produced
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    left = rows * row - 1 - units * produced
    while left < 0:
        units, left = units - 1, left + produced
    tail = rest.compress(bytes(left)) + rest.flush()
    checksum = zlib.adler32(bytes(rows * row)).to_bytes(4, "big")
    return png(SIDE, rows, depth, colour, first + unit * units + tail + checksum)


def floods(length):
    """Yields images of one pixel around streams and chunks of about `length` bytes without effect."""
    tiny = deflate_repeated(b"\x00\x00", 1)
    pixel = (1, 1, 8, GREY)
    for name, flood in [
        ("stored", EMPTY_STORED * (length // 5)),
        ("fixed", repeated(*EMPTY_FIXED, length)),
        ("dynamic", NOTHING * (length // len(NOTHING))),
    ]:
        yield f"empty-{name}-blocks", png(*pixel, tiny[:2] + flood + tiny[2:])
        # With more pixels than bytes, a check of the stream's length alone does not see them.
        yield (
            f"empty-{name}-blocks-large",
            png(6000, 6000, 8, GREY, tiny[:2] + flood + deflate_repeated(bytes(6001), 6000)[2:]),
        )
    yield "empty-idat", png(*pixel, tiny, before=chunk(b"IDAT") * (length // 12))
    yield "one-byte-idat", png(6000, 6000, 8, GREY, tiny[:2] + EMPTY_STORED * (length // 65), split=1)
    yield "empty-text", png(*pixel, tiny, before=chunk(b"tEXt", b"a\0") * (length // 14))
    yield "unknown-chunks", png(*pixel, tiny, before=chunk(b"abCd") * (length // 12))
    bomb = chunk(b"zTXt", b"a\0\0" + deflate_repeated(bytes(1 << 20), 16))
    yield "text-bombs", png(*pixel, tiny, before=bomb * (length // len(bomb)))
    profile = chunk(b"iCCP", b"a\0\0" + deflate_repeated(bytes(1 << 20), max(1, length >> 11)))
    yield "profile-bomb", png(*pixel, tiny, before=profile)
    yield "profiles", png(*pixel, tiny, before=chunk(b"iCCP", b"a\0\0" + tiny) * (length // 23))
    for depth, colour in [(8, GREY), (8, RGBA), (16, RGBA)]:
        yield f"busy-blocks-{depth}-{colour}", busy_blocks(length, depth, colour)


def files():
    """Yields the name and the bytes of each file."""
    for depth, colour in [(1, GREY), (1, PALETTE), (8, GREY), (8, PALETTE), (8, RGB), (8, RGBA)]:
        for interlaced in (False, True):
            yield f"solid-{depth}-{colour}-{interlaced:d}", solid(depth, colour, interlaced)
    for depth, colour in [(16, GREY), (16, GREY_ALPHA), (16, RGB), (16, RGBA)]:
        for interlaced in (False, True):
            yield f"solid-{depth}-{colour}-{interlaced:d}", solid(depth, colour, interlaced)
    yield "solid-narrow", solid(16, RGBA, True, 977, 65500)
    yield "solid-wide", solid(16, RGBA, True, 65500, 977)
    for length, size in [(SMALL, "small"), (LARGE, "large")]:
        for name, data in floods(length):
            yield f"{name}-{size}", data
    yield "noise-8-grey", noise(GREY, 8, SIDE, SIDE, 6)
    yield "noise-8-grey-interlaced", noise(GREY, 8, SIDE, SIDE, 6, True)
    yield "noise-8-grey-huffman", noise(GREY, 8, SIDE, SIDE, 6, False, zlib.Z_HUFFMAN_ONLY)
    yield "noise-1-grey-interlaced", noise(GREY, 1, SIDE, SIDE, 256, True)
    yield "noise-8-rgb", noise(RGB, 8, 2900, 2900, 256)
    yield "noise-8-rgb-two-levels", noise(RGB, 8, SIDE, SIDE, 2)
    yield "noise-16-rgba", noise(RGBA, 16, 1750, 1750, 256, True)
