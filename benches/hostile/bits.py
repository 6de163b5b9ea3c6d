"""Streams of bits, as GIF, lossless WebP and deflate pack them: from the lowest bit of each byte."""

import zlib


class BitWriter:
    """Collects numbers of a few bits each."""

    def __init__(self):
        self.value, self.count, self.full = 0, 0, bytearray()

    def write(self, number, bits):
        self.value |= number << self.count
        self.count += bits
        while self.count >= 8:
            self.full.append(self.value & 0xFF)
            self.value >>= 8
            self.count -= 8
        return self

    def bytes(self):
        return bytes(self.full) + (bytes([self.value]) if self.count else b"")


def repeated(number, bits, length):
    """Returns about `length` bytes that consist of one number of `bits` bits."""
    # Eight repetitions fill whole bytes.
    unit = BitWriter()
    for _ in range(8):
        unit.write(number, bits)
    return unit.bytes() * (length // bits)


def deflate_repeated(row, count, level=9):
    """Returns the zlib stream of `count` equal rows, without holding them all in memory."""
    compressor = zlib.compressobj(level)
    many = max(1, (1 << 20) // len(row))
    parts = [compressor.compress(row * many) for _ in range(count // many)]
    return b"".join([*parts, compressor.compress(row * (count % many)), compressor.flush()])


# A block that ends at once, as the bits of deflate (RFC 1951): stored, with fixed codes, and with codes of
# its own. None of them is the last one of its stream.
EMPTY_STORED = b"\x00\x00\x00\xff\xff"
EMPTY_FIXED = (0b0000000_01_0, 10)


def dynamic_blocks(content):
    """Returns whole bytes of eight blocks with codes of their own, of 13 bytes each.

    With `content`, each repeats the byte before it 258 times, and without it, nothing.
    """
    bits = BitWriter()
    for _ in range(8):
        # Not the last block, codes of its own; 286 literal codes, 1 distance code, 18 lengths of lengths.
        bits.write(0b10_0, 3).write(29, 5).write(0, 5).write(14, 4)
        # The symbols 1 (a code of one bit) and 18 (a run of zeros) have one bit each: 0 and 1.
        for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
            bits.write(1 if symbol in (1, 18) else 0, 3)
        # No literals, the end of block, no lengths but the longest, and one distance.
        bits.write(1, 1).write(138 - 11, 7).write(1, 1).write(118 - 11, 7).write(0, 1)
        bits.write(1, 1).write(28 - 11, 7).write(0, 1).write(0, 1)
        if content:
            bits.write(1, 1).write(0, 1)
        # The end of block.
        bits.write(0, 1)
    return bits.bytes()
