"""Lossy WebP streams (VP8, RFC 6386) that cost more than their size.

The decoder turns any bytes into symbols, so only the header needs an encoder. What follows it is zeros or
noise, and the probabilities in the header decide which symbols that means.
"""

import struct

import numpy

from hostile.sizes import LARGE, NOISE_SEED, SMALL
from hostile.vp8_tables import keep_probability

SIDE = 8000
# Blocks × bands × contexts × tokens.
PROBABILITIES = 4 * 8 * 3 * 11
STRONGEST_FILTER = 63


class BoolEncoder:
    """The arithmetic encoder of section 7.3 of the RFC."""

    def __init__(self):
        self.out, self.range, self.bottom, self.bit_count = bytearray(), 255, 0, 24

    def write(self, bit, probability=128):
        split = 1 + ((self.range - 1) * probability >> 8)
        if bit:
            self.bottom += split
            self.range -= split
        else:
            self.range = split
        while self.range < 128:
            self.range <<= 1
            if self.bottom & 1 << 31:
                self.carry()
            self.bottom = self.bottom << 1 & 0xFFFF_FFFF
            self.bit_count -= 1
            if self.bit_count == 0:
                self.out.append(self.bottom >> 24)
                self.bottom &= 0xFF_FFFF
                self.bit_count = 8
        return self

    def carry(self):
        at = len(self.out) - 1
        while at >= 0 and self.out[at] == 255:
            self.out[at] = 0
            at -= 1
        self.out[at] += 1

    def number(self, value, bits):
        for bit in reversed(range(bits)):
            self.write(value >> bit & 1)
        return self

    def finish(self):
        for _ in range(32):
            self.write(0)
        return bytes(self.out)


def frame(width, height, tokens, first_tail, probability_of=None, simple=False, partitions=0):
    """Returns a key frame whose loop filter is the strongest.

    `first_tail` follows the header, and holds the prediction modes. `tokens` are the coefficients.
    `probability_of` returns the probability of a token's branch, or nothing to keep the default.
    """
    head = BoolEncoder()
    # Colour space and clamping; no segments; the filter, its level and sharpness; no adjustments.
    head.number(0, 2).write(0).write(simple).number(STRONGEST_FILTER, 6).number(0, 3).write(0)
    head.number(partitions, 2)
    # The quantizer, and no difference for any plane.
    head.number(20, 7).number(0, 5)
    # The probabilities are for this frame only.
    head.write(0)
    for at in range(PROBABILITIES):
        chosen = probability_of(at % 11) if probability_of else None
        head.write(chosen is not None, keep_probability(at))
        if chosen is not None:
            head.number(chosen, 8)
    # No block says that it has no coefficients.
    head.write(0)
    first = head.finish() + first_tail
    tag = 1 << 4 | len(first) << 5
    assert len(first) < 1 << 19
    return struct.pack("<I", tag)[:3] + b"\x9d\x01\x2a" + struct.pack("<HH", width, height) + first + tokens


def predicted(width, height):
    """Returns a frame of blocks that are predicted in all their parts, without coefficients."""
    blocks = -(-width // 16) * -(-height // 16)
    return frame(width, height, bytes(blocks // 2), bytes(min(blocks * 3, 500_000)))


# Probabilities of the eleven branches, and about how many bits of noise a coefficient takes with them.
TOKENS = {
    # Almost every coefficient is 1 or −1.
    "ones": ([1, 1, *[255] * 9], 1.1),
    "zeros": ([1, 250, *[255] * 9], 0.35),
    "even": ([128] * 11, 4.5),
    # Almost every coefficient has as many bits as there are.
    "largest": ([1] * 11, 12.5),
}
# The modes are limited by the length of the first partition, which has 19 bits.
FIRST_PARTITION = 515_000


def files():
    """Yields the name and the stream of each file."""
    yield "predicted", predicted(SIDE, SIDE)
    yield "predicted-wide", predicted(16383, 3906)
    for length, size in [(SMALL, "small"), (LARGE, "large")]:
        noise = numpy.random.default_rng(NOISE_SEED).bytes(length)
        for name, (probabilities, bits) in TOKENS.items():
            for modes, mode_bytes in [("zeros", 2), ("noise", 9)]:
                # A block has 400 coefficients.
                blocks = min(length / (50 * bits + mode_bytes), FIRST_PARTITION / mode_bytes)
                side = min(SIDE, int(blocks**0.5) * 16)
                first = (bytes(length) if modes == "zeros" else noise)[: (side // 16) ** 2 * mode_bytes]
                tokens = noise[: length - len(first) - 3000]
                yield f"{name}-{modes}-{size}", frame(side, side, tokens, first, probabilities.__getitem__)
