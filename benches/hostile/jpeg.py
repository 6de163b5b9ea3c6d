"""JPEG files that cost more than their size."""

import io
import struct

import numpy
from PIL import Image, ImageFile

from hostile.sizes import LARGE, NOISE_SEED, SMALL

SIDE = 8000
# Otherwise Pillow's buffer is too small for noise.
ImageFile.MAXBLOCK = 1 << 26
APP1, COMMENT, TABLES, QUANTIZATION, RESTARTS, SCAN, END = 0xE1, 0xFE, 0xC4, 0xDB, 0xDD, 0xDA, b"\xff\xd9"


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(data)) + data


def encoded(mode, side, **options):
    data = io.BytesIO()
    Image.new(mode, (side, side)).save(data, "JPEG", **options)
    return data.getvalue()


def with_empty_scans(data, count):
    """Adds scans without data to a progressive JPEG. The decoder walks through all blocks for each."""
    refinement = segment(SCAN, bytes([1, 1, 0, 1, 63, 0]))
    return data[:-2] + refinement * (count - data.count(b"\xff\xda")) + END


def before_frame(data, flood):
    return data[:2] + flood + data[2:]


def floods(length):
    """Yields images of a few pixels among segments of about `length` bytes."""
    tiny = encoded("RGB", 16)
    codes = segment(TABLES, b"\x00" + bytes([0, 1, *[0] * 14]) + b"\x00")
    full = segment(TABLES, b"\x10" + bytes([*[0] * 8, 162, *[0] * 7]) + bytes(range(162)))
    for name, unit in [
        ("empty-segments", segment(APP1, b"")),
        ("comments", segment(COMMENT, b"a")),
        ("codes", codes),
        ("full-codes", full),
        ("quantization", segment(QUANTIZATION, b"\x00" + bytes([1] * 64))),
        ("restart-intervals", segment(RESTARTS, b"\0\1")),
        ("fill-bytes", b"\xff"),
        ("exif", segment(APP1, b"Exif\0\0II*\0\x08\0\0\0\0\0")),
    ]:
        yield name, before_frame(tiny, unit * (length // len(unit)))


def noisy(side, quality, **options):
    data = io.BytesIO()
    random = numpy.random.default_rng(NOISE_SEED)
    Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=numpy.uint8)).save(
        data, "JPEG", quality=quality, **options
    )
    return data.getvalue()


def files():
    """Yields the name and the bytes of each file."""
    for mode in ("L", "RGB", "CMYK"):
        yield f"solid-{mode.lower()}", encoded(mode, SIDE)
        yield f"progressive-{mode.lower()}", encoded(mode, SIDE, progressive=True)
    yield "solid-restarts", encoded("RGB", SIDE, restart_marker_blocks=1)
    yield "100-scans", with_empty_scans(encoded("RGB", SIDE, progressive=True), 100)
    yield (
        "100-scans-full-colour",
        with_empty_scans(encoded("RGB", SIDE, progressive=True, subsampling=0), 100),
    )
    yield "50-scans", with_empty_scans(encoded("RGB", SIDE, progressive=True), 50)
    yield "100-scans-small", with_empty_scans(encoded("RGB", 700, progressive=True), 100)
    yield "noise", noisy(3200, 95, subsampling=0)
    yield "noise-64-megapixels", noisy(SIDE, 10)
    yield "noise-progressive", noisy(SIDE, 10, progressive=True)
    # Just below the size from which the decoder scales.
    yield "noise-progressive-full-size", noisy(890, 100, progressive=True, subsampling=0)
    for length, size in [(SMALL, "small"), (LARGE, "large")]:
        for name, data in floods(length):
            yield f"{name}-{size}", data
