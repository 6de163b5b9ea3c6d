"""Arithmetic coding of JPEG blocks: ITU T.81, annexes D and F.1.4."""

from itertools import chain, count

# Table D.3: the probability of the less probable symbol, the next states after that symbol and after the
# other one, and whether the two are then swapped.
TABLE = """
5a1d/1/1/1 2586/14/2/0 1114/16/3/0 080b/18/4/0 03d8/20/5/0 01da/23/6/0 00e5/25/7/0 006f/28/8/0 0036/30/9/0
001a/33/10/0 000d/35/11/0 0006/9/12/0 0003/10/13/0 0001/12/13/0 5a7f/15/15/1 3f25/36/16/0 2cf2/38/17/0
207c/39/18/0 17b9/40/19/0 1182/42/20/0 0cef/43/21/0 09a1/45/22/0 072f/46/23/0 055c/48/24/0 0406/49/25/0
0303/51/26/0 0240/52/27/0 01b1/54/28/0 0144/56/29/0 00f5/57/30/0 00b7/59/31/0 008a/60/32/0 0068/62/33/0
004e/63/34/0 003b/32/35/0 002c/33/9/0 5ae1/37/37/1 484c/64/38/0 3a0d/65/39/0 2ef1/67/40/0 261f/68/41/0
1f33/69/42/0 19a8/70/43/0 1518/72/44/0 1177/73/45/0 0e74/74/46/0 0bfb/75/47/0 09f8/77/48/0 0861/78/49/0
0706/79/50/0 05cd/48/51/0 04de/50/52/0 040f/50/53/0 0363/51/54/0 02d4/52/55/0 025c/53/56/0 01f8/54/57/0
01a4/55/58/0 0160/56/59/0 0125/57/60/0 00f6/58/61/0 00cb/59/62/0 00ab/61/63/0 008f/61/32/0 5b12/65/65/1
4d04/80/66/0 412c/81/67/0 37d8/82/68/0 2fe8/83/69/0 293c/84/70/0 2379/86/71/0 1edf/87/72/0 1aa9/87/73/0
174e/72/74/0 1424/72/75/0 119c/74/76/0 0f6b/74/77/0 0d51/75/78/0 0bb6/77/79/0 0a40/77/48/0 5832/80/81/1
4d1c/88/82/0 438e/89/83/0 3bdd/90/84/0 34ee/91/85/0 2eae/92/86/0 299a/93/87/0 2516/86/71/0 5570/88/89/1
4ca9/95/90/0 44d9/96/91/0 3e22/97/92/0 3824/99/93/0 32b4/99/94/0 2e17/93/86/0 56a8/95/96/1 4f46/101/97/0
47e5/102/98/0 41cf/103/99/0 3c3d/104/100/0 375e/99/93/0 5231/105/102/0 4c0f/106/103/0 4639/107/104/0
415e/103/99/0 5627/105/106/1 50e7/108/107/0 4b85/109/103/0 5597/110/109/0 504f/111/107/0 5a10/110/111/1
5522/112/109/0 59eb/112/111/1
"""
# Where the contexts of large magnitudes start, and how far those of their lower bits are from them.
DC_LARGE, AC_LARGE_LOW, AC_LARGE_HIGH, LOWER_BITS = 20, 189, 217, 14
# The last coefficient whose magnitudes use the contexts of low frequencies.
LAST_LOW = 5
# The state of a sign, which never changes.
EVEN = 0x5A1D


def parsed(state):
    probability, after_less, after_more, swapped = state.split("/")
    return int(probability, 16), int(after_less), int(after_more), swapped == "1"


STATES = [parsed(state) for state in TABLE.split()]


class ArithmeticScan:
    """Collects the bits of blocks up to a restart marker or the end of the scan."""

    def __init__(self, components):
        # The code is a number of any length, so a carry needs no care.
        self.code, self.range, self.shifts = 0, 0x10000, 0
        # A context is a state, and the symbol that is more probable in it.
        self.dc, self.ac = [[0, 0] for _ in range(64)], [[0, 0] for _ in range(256)]
        self.last, self.after = [0] * components, [0] * components

    def encode(self, component, block):
        block = block.tolist()
        self.encode_dc(component, block[0] - self.last[component])
        self.last[component] = block[0]
        self.encode_ac(block)

    def encode_dc(self, component, difference):
        at = self.after[component]
        self.bit(self.dc[at], difference != 0)
        # The next difference has other contexts after none, a small or a large one.
        self.after[component] = 0
        if difference:
            negative = difference < 0
            self.bit(self.dc[at + 1], negative)
            self.magnitude(self.dc, chain([at + 2 + negative], count(DC_LARGE)), abs(difference) - 1)
            self.after[component] = (8 if negative else 4) + (8 if abs(difference) > 2 else 0)

    def encode_ac(self, block):
        last = max((k for k in range(1, 64) if block[k]), default=0)
        k = 1
        while k <= last:
            self.bit(self.ac[3 * k - 3], False)
            while block[k] == 0:
                self.bit(self.ac[3 * k - 2], False)
                k += 1
            self.bit(self.ac[3 * k - 2], True)
            self.put(block[k] < 0, EVEN)
            large = AC_LARGE_LOW if k <= LAST_LOW else AC_LARGE_HIGH
            self.magnitude(self.ac, chain([3 * k - 1, 3 * k - 1], count(large)), abs(block[k]) - 1)
            k += 1
        if last < 63:
            self.bit(self.ac[3 * last], True)

    def magnitude(self, contexts, positions, value):
        """Encodes the size of a value in contexts one after the other, and then its lower bits."""
        size = value.bit_length()
        for _ in range(size):
            self.bit(contexts[next(positions)], True)
        at = next(positions)
        self.bit(contexts[at], False)
        for shift in reversed(range(size - 1)):
            self.bit(contexts[at + LOWER_BITS], bool(value >> shift & 1))

    def bit(self, context, symbol):
        """Encodes a symbol, and adapts its context."""
        state, likely = context
        probability, after_less, after_more, swapped = STATES[state]
        is_less = symbol != bool(likely)
        renormalised = self.put(is_less, probability)
        if is_less:
            context[:] = after_less, likely ^ swapped
        elif renormalised:
            context[0] = after_more

    def put(self, is_less, probability):
        """Takes a part of the range for a symbol. Returns whether the range then had to grow."""
        self.range -= probability
        # The smaller part belongs to the less probable symbol, even where the estimate is wrong.
        if is_less == (self.range >= probability) and (is_less or self.range < 0x8000):
            self.code += self.range
            self.range = probability
        return self.grow()

    def grow(self):
        steps = max(0, 16 - self.range.bit_length())
        self.range <<= steps
        self.code <<= steps
        self.shifts += steps
        return steps > 0

    def finish(self):
        """Returns the shortest code in the final range."""
        code = (self.code + self.range - 1) & ~0xFFFF
        if code < self.code:
            code += 0x8000
        bits = 16 + self.shifts
        whole = (code << (-bits % 8)).to_bytes(-(-bits // 8), "big")
        return whole.rstrip(b"\0").replace(b"\xff", b"\xff\0")
