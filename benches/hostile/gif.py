"""GIF files that cost more than their size."""

import struct

import numpy

from hostile.bits import BitWriter, repeated
from hostile.sizes import LARGE, NOISE_SEED, SMALL

SIDE = 8000
MAX_CODE_BITS = 12
CLEAR, END, LAST_CODE = 256, 257, 4095


def gif(width, height, blocks, bits=8, before=b"", frame=None):
    """Returns a GIF with one frame of these sub-blocks, as large as the screen unless `frame` says so."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0 | (bits - 1), 0, 0)
    palette = bytes(3 << bits)
    frame = struct.pack("<HHHHB", 0, 0, *(frame or (width, height)), 0)
    return head + palette + before + b"," + frame + bytes([bits]) + blocks + b"\x00;"


def interlaced(data):
    """Sets the flag of a frame that directly follows the global colours."""
    flags = 6 + 7 + (3 << ((data[10] & 7) + 1)) + 9
    return data[:flags] + b"\x40" + data[flags + 1 :]


def sub_blocks(stream, size=255):
    return b"".join(
        bytes([len(part)]) + part for part in (stream[at : at + size] for at in range(0, len(stream), size))
    )


def solid_stream(pixels, codes_per_clear=None):
    """Returns the LZW stream of pixels of one colour, cleared again after a number of codes, or never."""
    out, bits, left = BitWriter(), 9, pixels
    while left > 0:
        out.write(CLEAR, bits).write(0, 9)
        bits, following, left, codes = 9, END + 1, left - 1, 1
        while left > 0 and codes != codes_per_clear:
            # Each code stands for one pixel more than the code before it, so the code of n is 256 + n.
            run = min(following - CLEAR, LAST_CODE - CLEAR, left)
            out.write(CLEAR + run if run > 1 else 0, bits)
            left, codes = left - run, codes + 1
            following = min(following + 1, LAST_CODE + 1)
            if following == 1 << bits and bits < MAX_CODE_BITS:
                bits += 1
    return out.write(END, bits).bytes()


def literals(pixels, clear_every, levels=64):
    """Returns random pixels as codes of one pixel each, and a clear code after every few."""
    random = numpy.random.default_rng(NOISE_SEED)
    out = BitWriter()
    # The same pixels come again and again, whole bytes at a time.
    for _ in range(8):
        out.write(CLEAR, 9)
        for pixel in random.integers(0, levels, clear_every):
            out.write(int(pixel), 9)
    unit = out.bytes()
    count = -(-pixels // (8 * clear_every))
    return unit * count


def files():
    """Yields the name and the bytes of each file."""
    pixels = SIDE * SIDE
    whole = solid_stream(pixels)
    yield "solid", gif(SIDE, SIDE, sub_blocks(whole))
    yield "solid-interlaced", interlaced(gif(SIDE, SIDE, sub_blocks(whole)))
    yield "solid-wide-interlaced", interlaced(gif(977, 65500, sub_blocks(whole)))
    yield "solid-cleared", gif(SIDE, SIDE, sub_blocks(solid_stream(pixels, 250)))
    yield "solid-one-byte-blocks", gif(SIDE, SIDE, sub_blocks(whole, 1))
    yield "small-frame", gif(SIDE, SIDE, sub_blocks(solid_stream(100)), frame=(10, 10))
    inner = (SIDE - 1, SIDE)
    yield "narrower-frame", gif(SIDE, SIDE, sub_blocks(solid_stream(inner[0] * inner[1])), frame=inner)
    for length, size in [(SMALL, "small"), (LARGE, "large")]:
        body = length * 255 // 256
        for side, kind in [(1, ""), (4900, "-wide")]:
            enough = solid_stream(side * side)
            clears = repeated(CLEAR, 9, body - len(enough))
            yield f"clears{kind}-{size}", gif(side, side, sub_blocks(clears + enough))
        yield f"clears-one-byte-blocks-{size}", gif(9, 9, sub_blocks(repeated(CLEAR, 9, length // 2), 1))
        width, height = 4000, min(SIDE, body * 8 // 9 // 4000 // 2)
        for every in (1, 2, 250):
            stream = literals(width * height, every)[: body - 10]
            rows = min(height, len(stream) * 8 // 9 * every // (every + 1) // width)
            yield f"cleared-each-{every}-{size}", gif(width, rows, sub_blocks(stream))
        yield (
            f"empty-extensions-{size}",
            gif(9, 9, sub_blocks(solid_stream(81)), before=b"\x21\xfe\x00" * (length // 3)),
        )
        yield (
            f"control-extensions-{size}",
            gif(9, 9, sub_blocks(solid_stream(81)), before=b"\x21\xf9\x04\0\0\0\0\0" * (length // 8)),
        )
        comment = b"\x21\xfe" + b"\x01a" * (length // 2) + b"\0"
        yield f"comment-{size}", gif(9, 9, sub_blocks(solid_stream(81)), before=comment)
        xmp = b"\x21\xff\x0bXMP DataXMP" + b"\x01a" * (length // 2) + b"\0"
        yield f"metadata-{size}", gif(9, 9, sub_blocks(solid_stream(81)), before=xmp)
