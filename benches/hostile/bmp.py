"""BMP files that cost more than their size."""

import struct

from hostile.sizes import LARGE, SMALL

SIDE = 8000
RLE8, RLE4 = 1, 2


def bmp(width, height, bits, compression, pixels):
    colours = b"\0\0\0\0\xff\x80\x40\0" * (1 << bits >> 1) if bits <= 8 else b""
    start = 14 + 40 + len(colours)
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 2835, 2835, len(colours) // 4, 0
    )
    return head + info + colours + pixels


def files():
    """Yields the name and the bytes of each file."""
    for compression, bits in [(RLE8, 8), (RLE4, 4)]:
        runs, rest = divmod(SIDE, 255)
        row = b"\xff\x01" * runs + (bytes([rest, 1]) if rest else b"") + b"\0\0"
        yield f"solid-rle{bits}", bmp(SIDE, SIDE, bits, compression, row * SIDE + b"\0\x01")
        yield f"ends-at-once-rle{bits}", bmp(SIDE, SIDE, bits, compression, b"\0\x01")
        yield (
            f"short-runs-rle{bits}",
            bmp(3000, 3000, bits, compression, (b"\x01\x01" * 3000 + b"\0\0") * 3000 + b"\0\x01"),
        )
        yield f"short-rows-rle{bits}", bmp(SIDE, SIDE, bits, compression, b"\x01\x01\0\0" * SIDE + b"\0\x01")
        for length, size in [(SMALL, "small"), (LARGE, "large")]:
            yield (
                f"deltas-rle{bits}-{size}",
                bmp(SIDE, SIDE, bits, compression, b"\0\x02\0\0" * (length // 4) + b"\0\x01"),
            )
            yield f"rows-rle{bits}-{size}", bmp(65500, 900, bits, compression, b"\0\0" * (length // 2))
            yield (
                f"empty-runs-rle{bits}-{size}",
                bmp(SIDE, SIDE, bits, compression, b"\0\x03\x01\x01\x01\0" * (length // 6)),
            )
    for bits in (1, 2, 4, 8, 16, 24, 32):
        side = min(SIDE, int((LARGE * 8 / bits) ** 0.5) // 32 * 32)
        row = (side * bits + 31) // 32 * 4
        for name, height in [("", side), ("-upside-down", -side)]:
            yield f"plain-{bits}{name}", bmp(side, height, bits, 0, b"\x5a" * (row * side))
    yield "tall", bmp(977, 65500, 1, 0, bytes(124 * 65500))
    yield "wide", bmp(65500, 977, 1, 0, bytes(8188 * 977))
