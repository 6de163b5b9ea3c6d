//! Prefix codes of lossless WebP (RFC 9649, section 3.7.2).

use super::bits::Bits;

const MAX_LENGTH: usize = 15;
/// The order in which the lengths of the codes for lengths are stored.
const LENGTH_ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// The decoder's table has an entry for each number of this many bits, and nodes for longer codes.
const TABLE_BITS: usize = 10;
const ENTRY_BYTES: u64 = 4;
const NODE_BYTES: u64 = 16;

/// A canonical prefix code.
#[derive(Debug)]
pub(super) struct Code {
    /// The number of symbols of each length. A single symbol has no bits.
    counts: [u16; MAX_LENGTH + 1],
    /// The symbols, by length and value.
    symbols: Vec<u16>,
}

impl Code {
    /// Reads a code for an alphabet. Returns `None` if it is invalid or ends early.
    pub(super) fn read(bits: &mut Bits<'_>, alphabet: usize) -> Option<Self> {
        if !bits.flag()? {
            return Self::from_lengths(&read_lengths(bits, alphabet)?);
        }
        let is_pair = bits.flag()?;
        let width = if bits.flag()? { 8 } else { 1 };
        let mut symbols = vec![bits.read(width)? as u16];
        if is_pair {
            symbols.push(bits.read(8)? as u16);
        }
        let mut counts = [0; MAX_LENGTH + 1];
        counts[usize::from(is_pair)] = symbols.len() as u16;
        symbols.iter().all(|symbol| usize::from(*symbol) < alphabet).then_some(Self { counts, symbols })
    }

    fn from_lengths(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0_u16; MAX_LENGTH + 1];
        lengths.iter().filter(|length| **length > 0).for_each(|length| counts[usize::from(*length)] += 1);
        let mut symbols: Vec<u16> =
            (0..lengths.len() as u16).filter(|at| lengths[usize::from(*at)] > 0).collect();
        if symbols.len() == 1 {
            let mut counts = [0; MAX_LENGTH + 1];
            counts[0] = 1;
            return Some(Self { counts, symbols });
        }
        // The codes must leave no bits without a meaning.
        let used: u32 =
            (1..=MAX_LENGTH).map(|length| u32::from(counts[length]) << (MAX_LENGTH - length)).sum();
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        (used == 1 << MAX_LENGTH).then_some(Self { counts, symbols })
    }

    /// Returns the only symbol, which takes no bits, if there is only one.
    pub(super) fn single(&self) -> Option<u16> {
        (self.counts[0] == 1).then(|| self.symbols[0])
    }

    /// Reads a symbol.
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Option<u16> {
        if let Some(symbol) = self.single() {
            return Some(symbol);
        }
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.read(1)? as usize;
            let count = usize::from(*count);
            if code < first + count {
                return self.symbols.get(index + code - first).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }

    /// Returns what the decoder allocates for this code.
    pub(super) fn decoder_bytes(&self) -> u64 {
        let longest = self.counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        let long_codes: u64 = self.counts[TABLE_BITS + 1..].iter().map(|count| u64::from(*count)).sum();
        if longest == 0 {
            0
        } else {
            (ENTRY_BYTES << longest.min(TABLE_BITS)) + NODE_BYTES * (2 * long_codes + 3)
        }
    }
}

/// Reads the length of each symbol's code, which are coded themselves.
fn read_lengths(bits: &mut Bits<'_>, alphabet: usize) -> Option<Vec<u8>> {
    let mut lengths = [0; LENGTH_ORDER.len()];
    let count = 4 + bits.read(4)? as usize;
    for at in LENGTH_ORDER.iter().take(count) {
        lengths[*at] = bits.read(3)? as u8;
    }
    let code = Code::from_lengths(&lengths)?;
    let mut left = alphabet;
    if bits.flag()? {
        let width = 2 + 2 * bits.read(3)?;
        left = 2 + bits.read(width)? as usize;
    }
    let (mut lengths, mut previous) = (Vec::with_capacity(alphabet), 8);
    while lengths.len() < alphabet && left > 0 {
        left -= 1;
        let symbol = code.symbol(bits)?;
        let (length, repeat) = match symbol {
            16 => (previous, 3 + bits.read(2)?),
            17 => (0, 3 + bits.read(3)?),
            18 => (0, 11 + bits.read(7)?),
            length => (length as u8, 1),
        };
        if length > 0 {
            previous = length;
        }
        lengths.extend(std::iter::repeat_n(length, repeat as usize));
    }
    if lengths.len() > alphabet {
        return None;
    }
    lengths.resize(alphabet, 0);
    Some(lengths)
}
