"""Lossless WebP streams (VP8L) that cost more than their size."""

import itertools

import numpy

from hostile.bits import BitWriter
from hostile.sizes import LARGE, NOISE_SEED, SMALL

SIDE = 8000
PREDICTOR, CROSS_COLOUR, SUBTRACT_GREEN, PALETTE = range(4)
MAX_CACHE_BITS = 11
# The order in which the lengths of the codes for code lengths are stored.
LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]


def header(width, height, alpha=False):
    bits = BitWriter().write(0x2F, 8)
    return bits.write(width - 1, 14).write(height - 1, 14).write(alpha, 1).write(0, 3)


def single(bits, symbol):
    """Writes a code of one symbol, which takes no bits afterwards."""
    bits.write(1, 1).write(0, 1).write(1, 1).write(symbol, 8)


def group(bits, green=0, red=0):
    """Writes five codes of one symbol each."""
    for symbol in (green, red, 0, 255, 0):
        single(bits, symbol)


def costly_code(bits, alphabet):
    """Writes a code of two symbols as lengths of the whole alphabet, almost all of them zero."""
    bits.write(0, 1).write(0, 4)
    # Four lengths of lengths: of 17, 18, 0 and 1. Only 18 (a run of zeros) and 1 occur.
    for symbol in LENGTH_ORDER[:4]:
        bits.write(1 if symbol in (18, 1) else 0, 3)
    bits.write(0, 1)
    bits.write(0, 1).write(0, 1)
    for start in range(0, alphabet - 2, 138):
        bits.write(1, 1).write(min(138, alphabet - 2 - start) - 11, 7)


def small_image(bits, green=0, red=0):
    """Writes an image of one colour: no colour cache, one group."""
    bits.write(0, 1)
    group(bits, green, red)


def transforms(bits, kinds, size_bits=2, mode=11):
    for kind in kinds:
        bits.write(1, 1).write(kind, 2)
        if kind == PREDICTOR:
            bits.write(size_bits - 2, 3)
            small_image(bits, green=mode)
        elif kind == CROSS_COLOUR:
            bits.write(size_bits - 2, 3)
            small_image(bits, green=77, red=55)
        elif kind == PALETTE:
            # Two colours, so eight pixels share one.
            bits.write(1, 8)
            small_image(bits, green=3)
    bits.write(0, 1)
    return bits


def solid(width=SIDE, height=SIDE, alpha=False, kinds=(), cache=None, **options):
    """Returns a stream of a few bytes, whatever its size."""
    bits = transforms(header(width, height, alpha), kinds, **options)
    if cache is None:
        bits.write(0, 1)
    else:
        bits.write(1, 1).write(cache, 4)
    bits.write(0, 1)
    group(bits, green=9)
    return bits.bytes()


def many_groups(length, cache=MAX_CACHE_BITS):
    """Returns a stream with as many groups of codes as fit into `length` bytes, up to all 65,536."""
    side, blocks = 1024, 256 * 256
    code = BitWriter()
    costly_code(code, 280 + (1 << cache))
    groups = min(1 << 16, (length - 200_000) // (len(code.bytes()) + 6))
    bits = transforms(header(side, side), ())
    bits.write(1, 1).write(cache, 4)
    # The groups are chosen in blocks of 4 × 4, by an image whose green and red are the group's number.
    # All blocks but the last have the first group.
    bits.write(1, 1).write(0, 3).write(0, 1)
    for number in (groups - 1 & 255 | 1, groups - 1 >> 8 | 1):
        bits.write(1, 1).write(1, 1).write(1, 1).write(0, 8).write(number, 8)
    for _ in range(3):
        single(bits, 0)
    for _ in range(blocks - 1):
        bits.write(0b00, 2)
    bits.write(0b11, 2)
    for _ in range((groups - 1 & 255 | 1) + ((groups - 1 >> 8 | 1) << 8) + 1):
        costly_code(bits, 280 + (1 << cache))
        for _ in range(4):
            single(bits, 0)
    return bits.bytes() + bytes(side * side // 8)


def two_literals(width, height, cache=None, kinds=()):
    """Returns a stream in which red, green, blue and alpha of each pixel are two random values."""
    bits = transforms(header(width, height, True), kinds)
    if cache is None:
        bits.write(0, 1)
    else:
        bits.write(1, 1).write(cache, 4)
    bits.write(0, 1)
    for _ in range(4):
        bits.write(1, 1).write(1, 1).write(1, 1).write(3, 8).write(200, 8)
    single(bits, 0)
    random = numpy.random.default_rng(NOISE_SEED)
    return bits.bytes() + random.bytes(width * height // 2 + 16)


def short_copies(width, height, code, distance, cache=None, fill=b"\xff"):
    """Returns a stream of a literal and copies that take one bit each.

    The length is symbol `code`, without further bits, and the distance is a symbol, too.
    """
    bits = header(width, height, True)
    bits.write(0, 1)
    if cache is None:
        bits.write(0, 1)
    else:
        bits.write(1, 1).write(cache, 4)
    bits.write(0, 1)
    alphabet = 280 + (1 << cache if cache else 0)
    # Green: the literal 0 and the length, one bit each.
    bits.write(0, 1).write(0, 4)
    for symbol in LENGTH_ORDER[:4]:
        bits.write(1 if symbol in (18, 1) else 0, 3)
    bits.write(1, 1)
    runs = []
    gap = 256 + code - 1
    while gap:
        run = min(gap, 138)
        if 0 < gap - run < 11:
            run = gap - 11
        runs.append(run)
        gap -= run
    # The number of code lengths: two ones, and the runs.
    bits.write(3, 3).write(2 + len(runs) - 2, 8)
    bits.write(0, 1)
    for run in runs:
        bits.write(1, 1).write(run - 11, 7)
    bits.write(0, 1)
    assert 256 + code < alphabet
    for symbol in (1, 2, 255, distance):
        single(bits, symbol)
    # Enough literals to copy from, then copies alone.
    for _ in range(3 * width):
        bits.write(0, 1)
    return bits.bytes() + fill * (width * height // 8 + 16)


def files():
    """Yields the name and the stream of each file."""
    yield "solid", solid()
    yield "solid-alpha", solid(alpha=True)
    for mode in (1, 5, 11, 12, 13):
        yield f"solid-predicted-{mode}", solid(alpha=True, kinds=(PREDICTOR,), mode=mode)
    for count in (2, 3):
        for kinds in itertools.permutations((PREDICTOR, CROSS_COLOUR, SUBTRACT_GREEN), count):
            if kinds == tuple(sorted(kinds)) or count == 3:
                name = "".join(map(str, kinds))
                yield f"solid-transforms-{name}", solid(alpha=True, kinds=kinds)
    yield "solid-opaque-transforms", solid(kinds=(PREDICTOR, CROSS_COLOUR, SUBTRACT_GREEN))
    yield "solid-palette", solid(alpha=True, kinds=(PALETTE,))
    yield "solid-palette-predicted", solid(alpha=True, kinds=(PALETTE, PREDICTOR, CROSS_COLOUR))
    yield "solid-cache", solid(alpha=True, cache=MAX_CACHE_BITS)
    yield "solid-narrow", solid(3906, 16384, True, kinds=(PREDICTOR, CROSS_COLOUR, SUBTRACT_GREEN))
    for length, size in [(SMALL, "small"), (LARGE, "large")]:
        yield f"groups-{size}", many_groups(length)
        side = int((length * 2) ** 0.5)
        every = (PREDICTOR, CROSS_COLOUR, SUBTRACT_GREEN)
        yield f"literals-{size}", two_literals(side, side)
        yield f"literals-cache-{size}", two_literals(side, side, MAX_CACHE_BITS, every)
        side = min(SIDE, int((length * 8) ** 0.5) - 8)
        for distance in (0, 1, 2):
            yield f"copies-{distance}-{size}", short_copies(side, side, 0, distance)
            yield f"copies-cache-{distance}-{size}", short_copies(side, side, 0, distance, MAX_CACHE_BITS)
        yield f"long-copies-{size}", short_copies(SIDE, SIDE, 3, 1, MAX_CACHE_BITS)[:length]
