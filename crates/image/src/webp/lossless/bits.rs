//! Reads numbers of a few bits, from the lowest bit of each byte.

/// A position in a stream of bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Reads at most 16 bits. Returns `None` at the end of the stream.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let (value, end) = (self.peek(), self.position + count as usize);
        self.position = end;
        (end <= 8 * self.bytes.len()).then_some(value & ((1 << count) - 1))
    }

    /// Reads one bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }

    /// Returns whether a read went beyond the end.
    pub(super) fn is_past_end(&self) -> bool {
        self.position > 8 * self.bytes.len()
    }

    /// Returns the next bits, 25 at least, of which those after the end are zero.
    fn peek(&self) -> u32 {
        let rest = self.bytes.get(self.position / 8..).unwrap_or_default();
        let word = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut word = [0; 4];
            word[..rest.len()].copy_from_slice(rest);
            word
        });
        u32::from_le_bytes(word) >> (self.position % 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_start_at_the_lowest_bit_and_end_with_the_stream() {
        let mut bits = Bits::new(&[0b1010_0110, 0xFF, 0x01]);
        assert_eq!(bits.read(3), Some(0b110));
        assert_eq!(bits.flag(), Some(false));
        assert_eq!(bits.read(0), Some(0));
        assert_eq!(bits.read(16), Some(0x1FFA));
        assert_eq!(bits.read(4), Some(0));
        assert!(!bits.is_past_end());
        assert_eq!(bits.read(1), None);
        assert!(bits.is_past_end());
    }
}
