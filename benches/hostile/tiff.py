"""TIFF files that cost more than their size."""

import struct
import zlib

from hostile.bits import EMPTY_STORED, deflate_repeated, dynamic_blocks
from hostile.sizes import LARGE, SMALL

SIDE = 8000
NONE, GROUP_4, LZW, DEFLATE, PACKBITS = 1, 4, 5, 8, 32773
LONG = 4
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, ROWS, COUNTS = (
    256, 257, 258, 259, 262, 273, 277, 278, 279,
)  # fmt: skip
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, FORMAT = 317, 322, 323, 324, 325, 339


def tiff(entries, data):
    """Returns a TIFF with these entries, lists among them, and `data` at offset 8."""
    body, directory = bytearray(data + b"\0" * (len(data) % 2)), b""
    for tag, value in sorted(entries.items()):
        values = value if isinstance(value, list) else [value]
        if len(values) == 1:
            where = values[0]
        else:
            where = 8 + len(body)
            body += struct.pack(f"<{len(values)}I", *values)
        directory += struct.pack("<HHII", tag, LONG, len(values), where)
    start = 8 + len(body)
    return (
        b"II*\0"
        + struct.pack("<I", start)
        + bytes(body)
        + struct.pack("<H", len(entries))
        + directory
        + bytes(4)
    )


def strips(width, height, rows, compression, data, count, bits=8, offsets=None, counts=None, predictor=None):
    """Returns a greyscale TIFF whose strips are all at offset 8, unless told otherwise."""
    number = -(-height // rows)
    entries = {
        WIDTH: width,
        HEIGHT: height,
        BITS: bits,
        COMPRESSION: compression,
        PHOTOMETRIC: 1,
        OFFSETS: offsets or [8] * number,
        SAMPLES: 1,
        ROWS: rows,
        COUNTS: counts or [count] * number,
    }
    return tiff(entries | ({PREDICTOR: predictor} if predictor else {}), data)


def tiles(side, tile, compression, data):
    """Returns a greyscale TIFF whose tiles are all at offset 8."""
    number = (side // tile) ** 2
    return tiled((side, side), (tile, tile), compression, data, offsets=[8] * number, count=len(data))


def tiled(size, tile, compression, data, bits=8, samples=1, offsets=8, count=None, others=None):
    """Returns a TIFF in tiles, or in a single one, which may be larger than the image."""
    number = len(offsets) if isinstance(offsets, list) else 1
    entries = {
        WIDTH: size[0],
        HEIGHT: size[1],
        BITS: bits,
        COMPRESSION: compression,
        PHOTOMETRIC: 2 if samples == 4 else 1,
        SAMPLES: samples,
        TILE_WIDTH: tile[0],
        TILE_HEIGHT: tile[1],
        TILE_OFFSETS: offsets,
        TILE_COUNTS: [count or len(data)] * number,
    }
    return tiff(entries | (others or {}), data)


def samples():
    """Yields images of padding or unused samples, of the costliest samples, and of narrow rows."""
    tile, rows = (65_536, 65_536), 65_500
    yield "padded-fax", tiled((1, rows), tile, GROUP_4, b"\x00\x10\x01", bits=1)
    padding = deflate_repeated(bytes(tile[0] // 8), rows)
    yield "padded-deflate", tiled((1, rows), tile, DEFLATE, padding, bits=1)
    unused, size = deflate_repeated(bytes(256 // 8 * SIDE), 2000), (SIDE, 2000)
    yield "unused-samples", tiled(size, size, DEFLATE, unused, bits=1, samples=256)
    wide, size = deflate_repeated(bytes(8 * SIDE), SIDE), (SIDE, SIDE)
    for bits, number in [(16, 4), (64, 1)]:
        for predictor in (2, 3):
            others = {PREDICTOR: predictor, FORMAT: 3}
            yield f"floats-{bits}-{predictor}", tiled(size, size, DEFLATE, wide, bits, number, others=others)
    for width in (8, 16):
        column, number = zlib.compress(bytes(width * SIDE), 9), SIDE // width
        offsets = [8 + len(column) * index for index in range(number)]
        yield (
            f"narrow-{width}",
            tiled(size, (width, SIDE), DEFLATE, column * number, offsets=offsets, count=len(column)),
        )


def lzw_clears(length):
    """Returns clear codes of nine bits, from the highest bit of each byte."""
    bits = "100000000" * 8
    return int(bits, 2).to_bytes(9, "big") * (length // 9)


def side_by_side(stream, number):
    """Returns offsets and byte counts of strips that have a part of the file each."""
    each = len(stream) // number
    return [8 + each * strip for strip in range(number)], [each] * number


def files():
    """Yields the name and the bytes of each file."""
    whole = deflate_repeated(bytes(SIDE), SIDE)
    yield "solid-deflate", strips(SIDE, SIDE, SIDE, DEFLATE, whole, len(whole))
    yield "solid-predicted", strips(SIDE, SIDE, SIDE, DEFLATE, whole, len(whole), predictor=2)
    wide = deflate_repeated(bytes(2 * SIDE), SIDE)
    yield "solid-16", strips(SIDE, SIDE, SIDE, DEFLATE, wide, len(wide), bits=16, predictor=2)
    packed = (b"\x81\0" * (SIDE // 128 + 1))[:126] * SIDE
    yield "solid-packbits", strips(SIDE, SIDE, SIDE, PACKBITS, packed, len(packed))
    row = zlib.compress(bytes(SIDE), 9)
    yield "one-row-for-all", strips(SIDE, SIDE, 1, DEFLATE, row, len(row))
    for compression, name, unit in [
        (LZW, "lzw", lzw_clears(900)),
        (PACKBITS, "packbits", b"\x80" * 900),
        (DEFLATE, "deflate", EMPTY_STORED * 180),
        (DEFLATE, "deflate-codes", dynamic_blocks(content=False)),
    ]:
        prefix = b"\x78\x01" if compression == DEFLATE else b""
        for length, size in [(25_000, "tiny"), (SMALL, "small"), (LARGE, "large")]:
            number = 4000 if length < LARGE else 60_000
            stream = prefix + unit * ((length - 8 * number if length > 40_000 else length) // len(unit))
            for declared, kind in [(len(stream), "whole"), (12, "twelve")]:
                yield f"overlapping-{name}-{kind}-{size}", strips(1, number, 1, compression, stream, declared)
            if length > 40_000:
                offsets, counts = side_by_side(stream, 1000)
                yield (
                    f"apart-{name}-{size}",
                    strips(1, 1000, 1, compression, stream, 0, offsets=offsets, counts=counts),
                )
    yield from samples()
    for tile in (1, 16):
        pixels = bytes(tile * tile)
        yield f"tiles-{tile}-plain", tiles(2000 if tile == 1 else SIDE, tile, NONE, pixels)
        for side in (400, 1600) if tile == 1 else (1600, SIDE):
            yield f"tiles-{tile}-deflate-{side}", tiles(side, tile, DEFLATE, zlib.compress(pixels))
