"""Writes GIF files, block by block."""

import struct
from dataclasses import dataclass

import numpy as np

from writers.lzw import lzw

TRAILER = b";"


@dataclass
class Frame:
    """One image, with its place on the screen."""

    indices: np.ndarray
    palette: np.ndarray | None = None
    transparent: int | None = None
    interlaced: bool = False
    left: int = 0
    top: int = 0
    stream: bytes | None = None


def gif(frames, size, palette=None, version=b"GIF89a", before=b"", background=0):
    """Returns a GIF with frames on a screen of width × height pixels."""
    flags = 0x70 if palette is None else 0xF0 | palette_bits(palette)
    head = version + struct.pack("<HHBBB", *size, flags, background, 0) + colours(palette)
    return head + before + b"".join(frame_blocks(frame, palette) for frame in frames) + TRAILER


def frame_blocks(frame, palette):
    height, width = frame.indices.shape
    control = b""
    if frame.transparent is not None:
        control = b"!\xf9\x04" + struct.pack("<BHB", 1, 0, frame.transparent) + b"\0"
    flags = 0 if frame.palette is None else 0x80 | palette_bits(frame.palette)
    flags |= 0x40 * frame.interlaced
    descriptor = b"," + struct.pack("<HHHHB", frame.left, frame.top, width, height, flags)
    bits = max(2, palette_bits(palette if frame.palette is None else frame.palette) + 1)
    rows = frame.indices
    if frame.interlaced:
        rows = np.concatenate([rows[0::8], rows[4::8], rows[2::4], rows[1::2]])
    stream = lzw(rows.tobytes(), bits) if frame.stream is None else frame.stream
    return control + descriptor + colours(frame.palette) + bytes([bits]) + sub_blocks(stream)


def sub_blocks(data):
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def extension(kind, *parts):
    """Returns an extension whose parts are one sub-block each."""
    return bytes([0x21, kind]) + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def palette_bits(palette):
    """Returns the size field of a palette: 2 to the power of the field and one is its length."""
    if palette is None:
        return 7
    return max(0, (len(palette) - 1).bit_length() - 1)


def colours(palette):
    if palette is None:
        return b""
    return palette.astype(np.uint8).tobytes().ljust(3 << (palette_bits(palette) + 1), b"\0")
