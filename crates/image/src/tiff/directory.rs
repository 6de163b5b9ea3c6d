//! Reads the first directory of a TIFF or BigTIFF (TIFF 6.0, section 2).
//!
//! Nothing is copied: lists of numbers stay in the file, so a tag that claims billions of them
//! costs nothing.

use super::refuse::{corrupt, truncated};
use fruitvec_core::rejection::Rejection;

/// The order of the bytes in a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Reads a number of at most 8 bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let append = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        // The widths of samples, of which there are millions.
        match (self, bytes) {
            (_, [byte]) => return u64::from(*byte),
            (Self::Little, [a, b]) => return u64::from(u16::from_le_bytes([*a, *b])),
            (Self::Big, [a, b]) => return u64::from(u16::from_be_bytes([*a, *b])),
            (Self::Little, [a, b, c, d]) => return u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
            (Self::Big, [a, b, c, d]) => return u64::from(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => {}
        }
        match self {
            Self::Little => bytes.iter().rev().fold(0, append),
            Self::Big => bytes.iter().fold(0, append),
        }
    }
}

/// The first directory of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    pub(super) order: ByteOrder,
    entries: &'a [u8],
    /// Whether numbers have the widths of BigTIFF.
    big: bool,
}

/// The values of a tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    data: &'a [u8],
    /// Bytes per value.
    size: usize,
    order: ByteOrder,
}

impl<'a> Directory<'a> {
    /// Finds the first directory of a file that starts with a TIFF's signature.
    ///
    /// # Errors
    /// `Truncated` if the directory is not whole.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let order = if bytes.starts_with(b"II") { ByteOrder::Little } else { ByteOrder::Big };
        let big = bytes.get(2..4).is_some_and(|version| order.number(version) == 43);
        let entries = Self::entries(bytes, order, big);
        let entries = entries.ok_or_else(|| truncated(bytes.len(), "its list of tags"))?;
        Ok(Self { bytes, order, entries, big })
    }

    fn entries(bytes: &[u8], order: ByteOrder, big: bool) -> Option<&[u8]> {
        let (offset_at, offset_size, count_size) = if big { (8, 8, 8) } else { (4, 4, 2) };
        let offset = order.number(bytes.get(offset_at..offset_at + offset_size)?);
        let directory = bytes.get(usize::try_from(offset).ok()?..)?;
        let (count, entries) = directory.split_at_checked(count_size)?;
        let count = usize::try_from(order.number(count)).ok()?;
        entries.get(..count.checked_mul(Self::entry_size(big))?)
    }

    fn entry_size(big: bool) -> usize {
        if big { 20 } else { 12 }
    }

    /// Returns the values of a tag, or `None` if the directory lacks it.
    ///
    /// # Errors
    /// `Truncated` if the file ends before the values, and `Corrupt` if they are not numbers.
    pub(super) fn numbers(&self, tag: u16) -> Result<Option<Numbers<'a>>, Rejection> {
        let mut entries = self.entries.chunks_exact(Self::entry_size(self.big));
        let Some(entry) = entries.find(|entry| self.order.number(&entry[..2]) == u64::from(tag)) else {
            return Ok(None);
        };
        let size = match self.order.number(&entry[2..4]) {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            // A fraction is one value here. See `Numbers::fraction`.
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => return Err(corrupt(&format!("tag {tag} has an unknown type"))),
        };
        let width = if self.big { 8 } else { 4 };
        let (count, value) = entry[4..].split_at(width);
        let bytes = usize::try_from(self.order.number(count)).ok().and_then(|count| count.checked_mul(size));
        let data = bytes.and_then(|bytes| {
            if bytes <= width {
                return value.get(..bytes);
            }
            let offset = usize::try_from(self.order.number(value)).ok()?;
            self.bytes.get(offset..)?.get(..bytes)
        });
        let data = data.ok_or_else(|| truncated(self.bytes.len(), &format!("the values of tag {tag}")))?;
        Ok(Some(Numbers { data, size, order: self.order }))
    }

    /// Returns the first value of a tag, or a default.
    pub(super) fn number(&self, tag: u16, default: u64) -> Result<u64, Rejection> {
        Ok(self.numbers(tag)?.and_then(|numbers| numbers.get(0)).unwrap_or(default))
    }

    /// Returns the bytes of a tag that holds a file of another format.
    pub(super) fn data(&self, tag: u16) -> Result<Option<&'a [u8]>, Rejection> {
        Ok(self.numbers(tag)?.map(|numbers| numbers.data))
    }
}

impl Numbers<'_> {
    pub(super) fn len(&self) -> usize {
        self.data.len() / self.size
    }

    pub(super) fn get(&self, index: usize) -> Option<u64> {
        let at = index.checked_mul(self.size)?;
        Some(self.order.number(self.data.get(at..at + self.size)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.data.chunks_exact(self.size).map(|value| self.order.number(value))
    }

    /// Returns a value that is stored as numerator and denominator.
    pub(super) fn fraction(&self, index: usize) -> Option<f32> {
        let value = self.data.chunks_exact(8).nth(index)?;
        let (numerator, denominator) = value.split_at(4);
        let fraction = self.order.number(numerator) as f32 / self.order.number(denominator) as f32;
        fraction.is_finite().then_some(fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiff::tests::builder::{Field, Tiff};

    #[test]
    fn numbers_of_every_width_and_order_are_read() {
        for tiff in [Tiff::little(), Tiff::big_endian(), Tiff::bigtiff()] {
            let bytes = tiff
                .with(256, Field::Long(&[70_000]))
                .with(258, Field::Short(&[8, 9, 10, 11, 12]))
                .with(529, Field::Fraction(&[(1, 2), (3, 4)]))
                .bytes();
            let directory = Directory::read(&bytes).unwrap();
            assert_eq!(directory.number(256, 0).unwrap(), 70_000);
            assert_eq!(directory.number(257, 7).unwrap(), 7);
            let depths = directory.numbers(258).unwrap().unwrap();
            assert_eq!((depths.len(), depths.iter().sum::<u64>(), depths.get(5)), (5, 50, None));
            assert_eq!(directory.numbers(529).unwrap().unwrap().fraction(1), Some(0.75));
        }
    }

    #[test]
    fn a_directory_or_a_list_beyond_the_end_is_truncated() {
        let bytes = Tiff::little().with(258, Field::Short(&[8; 9])).bytes();
        for length in 8..bytes.len() - 4 {
            let whole = Directory::read(&bytes[..length]).and_then(|directory| directory.numbers(258));
            assert!(whole.is_err(), "{length}");
        }
        let mut endless = bytes.clone();
        let count = bytes.len() - 12;
        endless[count..count + 4].fill(0xFF);
        assert!(Directory::read(&endless).unwrap().numbers(258).is_err());
    }
}
