"""TIFF in all layouts: compressions, strips, tiles, planes and pages."""

import zlib

import numpy as np
from PIL import Image

from picture import SIZE, grey, photo, pixels
from pillow import decoded, encoded
from writers.jpeg import DHT, DQT, EOI, SOI, scan_start, segments
from writers.lzw import lzw
from writers.tiff import (
    BLACK_IS_ZERO,
    DEFLATE,
    FILL_ORDER,
    JPEG,
    JPEG_TABLES,
    LZW,
    NONE,
    OLD_DEFLATE,
    PACKBITS,
    PLANAR,
    PREDICTOR,
    RGB,
    ROWS_PER_STRIP,
    STRIP_LENGTHS,
    TILE_HEIGHT,
    TILE_WIDTH,
    UNDEFINED,
    YCC,
    YCC_SUBSAMPLING,
    longs,
    shorts,
    tags_of,
    tiff,
)

COMPRESSIONS = {
    "none": (NONE, bytes),
    "lzw": (LZW, lambda data: lzw(data, tiff=True)),
    "deflate": (DEFLATE, zlib.compress),
    "old-deflate": (OLD_DEFLATE, zlib.compress),
    "packbits": (PACKBITS, lambda data: packbits(data)),
}
EIGHT = [8, 8, 8]


def add(suite):
    def same(name, tags, chunks, twin=None, cosine=0.9995, **options):
        file = tiff([(tags, chunks)], **options)
        suite.embedded(f"photos/tiff-layout/{name}.tif", file, pixels() if twin is None else twin, cosine)

    rgb = pixels()
    for name, (compression, compress) in COMPRESSIONS.items():
        tags = tags_of(SIZE, EIGHT, RGB, compression)
        same(f"{name}-strip", tags, [compress(rgb.tobytes())])
        strips = [compress(rgb[at : at + 10].tobytes()) for at in range(0, SIZE[1], 10)]
        same(f"{name}-strips", {**tags, ROWS_PER_STRIP: longs(10)}, strips)
        planes = [compress(np.ascontiguousarray(rgb[..., index]).tobytes()) for index in range(3)]
        same(f"{name}-planes", {**tags, PLANAR: shorts(2)}, planes)
        for size in (64, 80):
            same(f"{name}-tiles-{size}", tiled(tags, size), [compress(tile) for tile in tiles(rgb, size)])
        parts = [compress(tile) for index in range(3) for tile in tiles(rgb[..., index : index + 1], 64)]
        same(f"{name}-tiles-planes", {**tiled(tags, 64), PLANAR: shorts(2)}, parts)
    for order in "<>":
        for name in ("none", "deflate"):
            compression, compress = COMPRESSIONS[name]
            tags, end = tags_of(SIZE, EIGHT, RGB, compression), "little" if order == "<" else "big"
            same(f"bigtiff-{name}-{end}-endian", tags, [compress(rgb.tobytes())], order=order, big=True)
    predictors(same)
    tolerated(same)
    pages(suite)
    compressed_by_libtiff(suite)
    jpegs(same)


def tiled(tags, size):
    kept = {tag: value for tag, value in tags.items() if tag != ROWS_PER_STRIP}
    return {**kept, TILE_WIDTH: longs(size), TILE_HEIGHT: longs(size)}


def tiles(samples, size):
    """Yields the bytes of tiles, which are padded at the right and at the bottom."""
    height, width = samples.shape[:2]
    padded = np.pad(samples, ((0, -height % size), (0, -width % size), (0, 0)), mode="edge")
    for y in range(0, height, size):
        for x in range(0, width, size):
            yield padded[y : y + size, x : x + size].tobytes()


def packbits(data):
    """Compresses runs of equal bytes."""
    found, at = b"", 0
    while at < len(data):
        end = at
        while end < len(data) and data[end] == data[at] and end - at < 128:
            end += 1
        if end - at > 1:
            found += bytes([257 - (end - at), data[at]])
        else:
            end = min(at + 16, len(data))
            found += bytes([end - at - 1]) + data[at:end]
        at = end
    return found


def predictors(same):
    """Adds samples that are stored as differences to the pixel at their left."""
    rgb = pixels()
    for bits, kind in ((8, "u1"), (16, "<u2")):
        samples = (rgb.astype(int) * (1 if bits == 8 else 257)).astype(kind)
        differences = np.diff(samples, axis=1, prepend=np.zeros_like(samples[:, :1]))
        for name in ("lzw", "deflate"):
            compression, compress = COMPRESSIONS[name]
            tags = tags_of(SIZE, [bits] * 3, RGB, compression, {PREDICTOR: shorts(2)})
            same(f"{name}-predictor-{bits}", tags, [compress(differences.astype(kind).tobytes())])


def tolerated(same):
    """Adds what the standard allows, or what readers have always read."""
    rgb = pixels()
    tags = tags_of(SIZE, EIGHT, RGB)
    without = {tag: value for tag, value in tags.items() if tag != ROWS_PER_STRIP}
    same("without-rows-per-strip", without, [rgb.tobytes()])
    same("unlimited-rows-per-strip", {**tags, ROWS_PER_STRIP: longs(2**32 - 1)}, [rgb.tobytes()])
    same("without-strip-lengths", {**tags, STRIP_LENGTHS: None}, [rgb.tobytes()])
    bits = (grey() > 128).astype(np.uint8)
    one = tags_of(SIZE, [1], BLACK_IS_ZERO, more={FILL_ORDER: shorts(2)})
    backwards = np.packbits(bits, axis=1, bitorder="little")
    same("lowest-bit-first", one, [backwards.tobytes()], bits * 255)
    same("unknown-tags", {**tags, 60000: longs(*range(50)), 42112: shorts(7)}, [rgb.tobytes()])


def pages(suite):
    """Adds a second page, which is ignored."""
    tags, rgb = tags_of(SIZE, EIGHT, RGB), pixels()
    other = np.ascontiguousarray(rgb[::-1])
    file = tiff([(tags, [rgb.tobytes()]), (tags, [other.tobytes()])])
    suite.embedded("photos/tiff-layout/pages.tif", file, rgb)


def compressed_by_libtiff(suite):
    """Adds compressions that libtiff writes. The fax ones are in black and white."""
    lines = Image.fromarray(grey()).convert("1", dither=Image.Dither.NONE)
    for name in ("tiff_ccitt", "group3", "group4"):
        file = encoded(lines, "TIFF", compression=name)
        suite.embedded(f"photos/tiff-layout/{name.replace('_', '-')}.tif", file, decoded(file))
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        file = encoded(photo(), "TIFF", compression=name)
        suite.embedded(f"photos/tiff-layout/libtiff-{name.replace('_', '-')}.tif", file, photo())


def jpegs(same):
    """Adds JPEG inside of TIFF, with its tables in each strip or once for all."""
    file = encoded(photo(), "JPEG", quality=90, subsampling=0)
    tags = tags_of(SIZE, EIGHT, YCC, JPEG, {YCC_SUBSAMPLING: shorts(1, 1)})
    same("jpeg-strip", tags, [file], decoded(file), 0.999)
    tables = SOI + b"".join(data for marker, data in segments(file) if marker in (DQT, DHT)) + EOI
    rest = [data for marker, data in segments(file) if marker not in (DQT, DHT)]
    abbreviated = SOI + b"".join(rest) + file[scan_start(file) :]
    shared = {**tags, JPEG_TABLES: (UNDEFINED, list(tables))}
    same("jpeg-tables", shared, [abbreviated], decoded(file), 0.999)
    rgb = encoded(photo(), "JPEG", quality=90, keep_rgb=True)
    same("jpeg-rgb", tags_of(SIZE, EIGHT, RGB, JPEG), [rgb], decoded(rgb), 0.999)
    one = encoded(Image.fromarray(grey()), "JPEG", quality=90)
    same("jpeg-grey", tags_of(SIZE, [8], BLACK_IS_ZERO, JPEG), [one], decoded(one), 0.999)
    strips = [
        encoded(photo().crop((0, at, SIZE[0], at + 32)), "JPEG", quality=90) for at in range(0, SIZE[1], 32)
    ]
    half = {**tags, YCC_SUBSAMPLING: shorts(2, 2), ROWS_PER_STRIP: longs(32)}
    same("jpeg-strips", half, strips, photo(), 0.995)
    parts = [encoded(tile, "JPEG", quality=90, subsampling=0) for tile in images(64)]
    same("jpeg-tiles", tiled(tags, 64), parts, photo(), 0.995)


def images(size):
    """Returns the tiles of the picture as images."""
    return [Image.frombytes("RGB", (size, size), tile) for tile in tiles(pixels(), size)]
