//! Finds the bytes of each strip or tile, and bounds their number and overlap.
//!
//! A small file can point thousands of chunks at one long stream that produces no pixels, and would
//! cost chunks × stream length. The byte counts of such a file add up to far more than its size, so
//! it is rejected before it is decoded.

use super::compression::Compression;
use super::directory::{Directory, Numbers};
use super::layout::Layout;
use super::refuse::{corrupt, too_large, truncated};
use fruitvec_core::rejection::Rejection;

/// How often the file's size fits into the sum of the byte counts at most. An intact file has its
/// chunks side by side, so the sum is at most 1.
const MAX_OVERLAP: u64 = 2;
/// Allows for the byte counts of tiny files, some of which writers round up.
const TOLERANCE: u64 = 64 << 10;
/// The limit on chunks: as many as rows of the highest image in four planes, or as tiles of the
/// smallest size in the largest image.
const MAX_CHUNKS: u64 = 4 * 65_536;
/// The limit on chunks that are JPEGs, whose headers cost far more than those of other streams. The
/// largest image has fewer tiles of 48 × 48 pixels.
const MAX_JPEGS: u64 = 32_768;

/// The positions of the chunks in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks<'a> {
    offsets: Numbers<'a>,
    counts: Option<Numbers<'a>>,
    file_bytes: usize,
    compression: Compression,
}

impl<'a> Chunks<'a> {
    /// Reads the offsets and byte counts.
    ///
    /// # Errors
    /// `Corrupt` if chunks are missing, overlap, or are smaller than any writer makes them.
    pub(super) fn read(bytes: &[u8], tags: &Directory<'a>, layout: &Layout) -> Result<Self, Rejection> {
        let list = |strips, tiles| match tags.numbers(if layout.is_tiled { tiles } else { strips })? {
            None => tags.numbers(if layout.is_tiled { strips } else { tiles }),
            found => Ok(found),
        };
        let Some(offsets) = list(273, 324)? else {
            return Err(corrupt("it doesn't say where its pixels are"));
        };
        let compression = layout.compression;
        let chunks = Self { offsets, counts: list(279, 325)?, file_bytes: bytes.len(), compression };
        let (across, down) = layout.chunks();
        let planes = if layout.planar { layout.samples } else { 1 };
        chunks.check((u64::from(across) * u64::from(down)).saturating_mul(planes as u64))?;
        Ok(chunks)
    }

    fn check(&self, needed: u64) -> Result<(), Rejection> {
        let limit = if self.compression == Compression::Jpeg { MAX_JPEGS } else { MAX_CHUNKS };
        if needed > limit {
            return Err(too_large(&format!("{needed} strips or tiles, above the limit of {limit}")));
        }
        if (self.offsets.len() as u64) < needed {
            let listed = self.offsets.len();
            return Err(corrupt(&format!("it lists {listed} of the {needed} strips or tiles of its size")));
        }
        // The cost of uncompressed pixels is bounded by their number, whatever the counts are.
        let Some(counts) = self.counts.filter(|_| self.compression != Compression::None) else {
            return Ok(());
        };
        let declared = counts.iter().take(needed as usize).fold(0, u64::saturating_add);
        let file_bytes = self.file_bytes as u64;
        if declared > file_bytes.saturating_mul(MAX_OVERLAP).saturating_add(TOLERANCE) {
            return Err(corrupt(&format!(
                "it declares {declared} bytes in {needed} strips or tiles, but has {file_bytes}"
            )));
        }
        Ok(())
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes as u64
    }

    /// Returns the length of the longest chunk at most.
    pub(super) fn longest(&self) -> u64 {
        let file_bytes = self.file_bytes as u64;
        let longest = self.counts.and_then(|counts| counts.iter().max());
        // A count of 0 can stand for the rest of the file.
        longest.filter(|count| (1..file_bytes).contains(count)).unwrap_or(file_bytes)
    }

    /// Returns the bytes of a chunk from those of the file.
    pub(super) fn bytes<'b>(&self, file: &'b [u8], index: usize) -> Result<&'b [u8], Rejection> {
        let part = || truncated(self.file_bytes, &format!("the end of strip or tile {index}"));
        let offset = usize::try_from(self.offsets.get(index).unwrap_or(u64::MAX)).map_err(|_| part())?;
        let rest = file.get(offset..).ok_or_else(part)?;
        if self.compression == Compression::None {
            return Ok(rest);
        }
        let count = self.counts.and_then(|counts| counts.get(index));
        // Some writers omit the counts, or set them to 0. Only one chunk then has a known end.
        match count.filter(|count| *count > 0 || self.offsets.len() > 1) {
            Some(count) => {
                let count = usize::try_from(count).map_err(|_| part())?;
                rest.get(..count).ok_or_else(part)
            }
            None if self.offsets.len() == 1 => Ok(rest),
            None => Err(corrupt("it doesn't say how long its strips are")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiff::tests::builder::{Field, Tiff};
    use fruitvec_core::rejection::RejectCode;

    fn check(counts: &[u32], needed: u64, file_bytes: usize) -> Result<(), Rejection> {
        let bytes = Tiff::little().with(273, Field::Long(counts)).with(279, Field::Long(counts)).bytes();
        let tags = Directory::read(&bytes).unwrap();
        let numbers = |tag| tags.numbers(tag).unwrap();
        let (offsets, counts) = (numbers(273).unwrap(), numbers(279));
        Chunks { offsets, counts, file_bytes, compression: Compression::Lzw }.check(needed)
    }

    #[test]
    fn chunks_side_by_side_pass_and_overlapping_ones_are_rejected() {
        check(&[1000; 100], 100, 100_008).unwrap();
        let rejection = check(&[100_000; 100], 100, 100_008).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Corrupt);
        assert!(rejection.message.contains("10000000 bytes in 100 strips"), "{rejection}");
        // Only chunks that belong to the image count.
        check(&[100_000; 100], 1, 100_008).unwrap();
        assert_eq!(check(&[1000; 99], 100, 100_008).unwrap_err().code, RejectCode::Corrupt);
        assert_eq!(check(&[1], 4_000_000, 100).unwrap_err().code, RejectCode::DecodedTooLarge);
    }
}
