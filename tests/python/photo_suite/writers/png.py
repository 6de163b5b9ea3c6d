"""Writes PNG files of every kind, chunk by chunk."""

import struct
import zlib

import numpy as np

from writers.bits import packed_rows

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6

# Adam7: first column and row, and the steps.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples, colour, depth=8, interlaced=False, filter_type=0, before=(), after=(), idats=1):
    """Returns a PNG of an array of height × width × channels samples.

    `before` and `after` are chunks around the pixels.
    """
    samples = samples if samples.ndim == 3 else samples[..., None]
    height, width, _ = samples.shape
    raw = b""
    for x, y, dx, dy in PASSES if interlaced else [(0, 0, 1, 1)]:
        part = samples[y::dy, x::dx]
        if part.size:
            raw += filtered(packed_rows(part, depth), max(1, samples.shape[2] * depth // 8), filter_type)
    stream = zlib.compress(raw)
    step = -(-len(stream) // idats)
    data = [chunk(b"IDAT", stream[at : at + step]) for at in range(0, len(stream), step)]
    return b"".join(
        [SIGNATURE, ihdr(width, height, depth, colour, interlaced), *before, *data, *after, chunk(b"IEND")]
    )


def ihdr(width, height, depth, colour, interlaced=False):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def filtered(rows, bytes_per_pixel, kind):
    """Applies a filter of the PNG specification, the same to each row."""
    left, upper_left = (np.pad(rows, ((0, 0), (bytes_per_pixel, 0)))[:, : rows.shape[1]] for _ in range(2))
    up = np.pad(rows, ((1, 0), (0, 0)))[:-1]
    upper_left = np.pad(left, ((1, 0), (0, 0)))[:-1]
    predicted = [
        lambda: np.zeros_like(rows),
        lambda: left,
        lambda: up,
        lambda: ((left.astype(int) + up) // 2).astype(np.uint8),
        lambda: paeth(left.astype(int), up.astype(int), upper_left.astype(int)),
    ][kind]()
    types = np.full((rows.shape[0], 1), kind, np.uint8)
    return np.hstack([types, rows - predicted]).tobytes()


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c)).astype(np.uint8)


def with_chunks(file, *chunks):
    """Returns a PNG with more chunks right after its header."""
    end = len(SIGNATURE) + 25
    return file[:end] + b"".join(chunks) + file[end:]


def text(keyword, value):
    return chunk(b"tEXt", keyword.encode() + b"\0" + value)


def international_text(keyword, value):
    return chunk(b"iTXt", keyword.encode() + b"\0\0\0\0\0" + value)


def compressed_text(keyword, value):
    return chunk(b"zTXt", keyword.encode() + b"\0\0" + zlib.compress(value))


def profile(icc):
    return chunk(b"iCCP", b"profile\0\0" + zlib.compress(icc))


def raw_profile(kind, value):
    """Returns ImageMagick's way of storing metadata: hexadecimal digits in a compressed text."""
    digits = value.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return compressed_text(f"Raw profile type {kind}", f"\n{kind}\n{len(value):8}\n{lines}\n".encode())
