"""Huffman coding of JPEG blocks, with tables that are simple instead of short."""

# The lengths of the DC codes are those of ITU T.81, Annex K. Each AC symbol has a code of 8 bits.
DC_LENGTHS = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
AC_SYMBOLS = [0x00, 0xF0] + [run << 4 | size for size in range(1, 11) for run in range(16)]
AC_LENGTHS = [0] * 7 + [len(AC_SYMBOLS)] + [0] * 8
END_OF_BLOCK, SIXTEEN_ZEROS = 0x00, 0xF0


def codes(lengths, symbols):
    """Returns the code of each symbol as binary digits."""
    found, code, rest = {}, 0, iter(symbols)
    for length, count in enumerate(lengths, 1):
        for _ in range(count):
            found[next(rest)] = f"{code:0{length}b}"
            code += 1
        code <<= 1
    return found


class HuffmanScan:
    """Collects the bits of blocks up to a restart marker or the end of the scan."""

    TABLES = bytes([0x00, *DC_LENGTHS, *range(12), 0x10, *AC_LENGTHS, *AC_SYMBOLS])
    DC = codes(DC_LENGTHS, range(12))
    AC = codes(AC_LENGTHS, AC_SYMBOLS)

    def __init__(self, components):
        self.last = [0] * components
        self.digits = []

    def encode(self, component, block):
        block = block.tolist()
        difference = block[0] - self.last[component]
        self.last[component] = block[0]
        self.digits.append(self.DC[abs(difference).bit_length()] + magnitude(difference))
        run = 0
        for value in block[1:]:
            if value == 0:
                run += 1
                continue
            self.digits.append(self.AC[SIXTEEN_ZEROS] * (run // 16))
            self.digits.append(self.AC[(run % 16) << 4 | abs(value).bit_length()] + magnitude(value))
            run = 0
        if run:
            self.digits.append(self.AC[END_OF_BLOCK])

    def finish(self):
        digits = "".join(self.digits)
        digits += "1" * (-len(digits) % 8)
        return int(digits, 2).to_bytes(len(digits) // 8, "big").replace(b"\xff", b"\xff\0")


def magnitude(value):
    """Returns the bits of a value after its size: negative numbers in ones' complement."""
    size = abs(value).bit_length()
    return f"{value if value > 0 else value + (1 << size) - 1:0{size}b}" if size else ""
