"""Compresses with LZW, as GIF and TIFF use it."""


def lzw(data, bits=8, tiff=False):
    """Returns the compressed bytes of samples with at most `bits` bits.

    GIF stores the lowest bit first. TIFF stores the highest bit first, and widens its codes one code
    earlier.
    """
    clear, end = 1 << bits, (1 << bits) + 1
    symbols = [bytes([value]) for value in range(clear)]
    table, width = {symbol: value for value, symbol in enumerate(symbols)}, bits + 1
    codes, found = [(clear, width)], b""
    for value in data:
        longer = found + symbols[value]
        if longer in table:
            found = longer
            continue
        codes.append((table[found], width))
        # Two numbers belong to the clear and end codes.
        table[longer] = len(table) + 2
        found = symbols[value]
        if len(table) + 2 == 4094:
            codes.append((clear, width))
            table, width = {symbol: value for value, symbol in enumerate(symbols)}, bits + 1
        elif len(table) + 2 + tiff > 1 << width:
            width += 1
    codes.append((table[found], width))
    # The reader adds an entry for the last code, too.
    width += len(table) + 3 + tiff > 1 << width
    return packed([*codes, (end, width)], tiff)


def packed(codes, highest_first):
    """Returns the bytes of codes with their widths."""
    digits = "".join(f"{code:0{width}b}" for code, width in (codes if highest_first else reversed(codes)))
    length = -(-len(digits) // 8)
    if highest_first:
        return int(digits.ljust(8 * length, "0"), 2).to_bytes(length, "big")
    return int(digits, 2).to_bytes(length, "little")
