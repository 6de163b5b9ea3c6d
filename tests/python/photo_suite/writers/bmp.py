"""Writes BMP files of every kind."""

import struct

import numpy as np

from writers.bits import packed_rows

RGB, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3


def bmp(
    data,
    size,
    bits,
    compression=RGB,
    palette=None,
    header=40,
    masks=None,
    top_down=False,
    gap=0,
    used=0,
    icc=b"",
):
    """Returns a BMP. `data` are its rows as stored, `header` is the size of its second header.

    `masks` are the bits of red, green, blue and perhaps alpha, `gap` unused bytes before the pixels.
    """
    width, height = size
    entries = b""
    if palette is not None:
        entry = palette[:, ::-1].astype(np.uint8)
        if header != 12:
            entry = np.pad(entry, ((0, 0), (0, 1)))
        entries = entry.tobytes()
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        stored = -height if top_down else height
        fields = (header, width, stored, 1, bits, compression, len(data), 2835, 2835, used, 0)
        info = struct.pack("<IiiHHIIiiII", *fields)
    if masks:
        info += b"".join(struct.pack("<I", mask) for mask in masks)
    if header >= 108:
        info = info.ljust(56, b"\0") + (b"DEBM" if icc else b"BGRs")
    info = info.ljust(header, b"\0")
    start = 14 + len(info) + len(entries) + gap
    if icc:
        info = info[:112] + struct.pack("<II", start - 14 + len(data), len(icc)) + info[120:]
    file_header = b"BM" + struct.pack("<IHHI", start + len(data) + len(icc), 0, 0, start)
    return file_header + info + entries + bytes(gap) + data + icc


def rows(samples, bits, top_down=False):
    """Returns the rows of an array of height × width × bytes, or of palette indices, as stored."""
    packed = packed_rows(samples, min(bits, 8))
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
    return (padded if top_down else padded[::-1]).tobytes()


def run_length_8(indices):
    """Compresses rows of palette indices as runs, and as literal pixels where nothing repeats."""
    stream = b""
    for row in indices[::-1]:
        values, at = row.tolist(), 0
        while at < len(values):
            end = at
            while end < len(values) and values[end] == values[at] and end - at < 255:
                end += 1
            if end - at == 1 and len(values) - at >= 3:
                literal = bytes(values[at : at + 3])
                stream += b"\0\x03" + literal + b"\0"
                at += 3
            else:
                stream += bytes([end - at, values[at]])
                at = end
        stream += b"\0\0"
    return stream + b"\0\x01"


def run_length_4(indices):
    """Compresses rows of palette indices below 16 as runs of two pixels."""
    stream = b""
    for row in indices[::-1]:
        pairs = np.pad(row, (0, len(row) % 2)).reshape(-1, 2).tolist()
        stream += b"".join(bytes([2, high << 4 | low]) for high, low in pairs) + b"\0\0"
    return stream + b"\0\x01"
