//! Bounds the work on the strips and tiles of a TIFF.
//!
//! A strip or tile has an offset and a byte count. A small file can point thousands of them at one
//! long stream that produces no pixels, such as clear codes or empty blocks, and would cost strips
//! × stream length. The byte counts of such a file add up to far more than its size, so it is
//! rejected before it is decoded. The decoder does not end a deflate stream at its byte count, so
//! [`ChunkReader`] does.

use std::collections::HashMap;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use tiff::decoder::Decoder;
use tiff::tags::Tag;

use fruitvec_core::rejection::{RejectCode, Rejection};

/// The value of [`Tag::Compression`] for uncompressed pixels. Their cost is bounded by the size of
/// the image, whatever the byte counts are.
const UNCOMPRESSED: u16 = 1;
/// How often the file's size fits into the sum of the byte counts at most. An intact file has its
/// chunks side by side, so the sum is at most 1.
const MAX_OVERLAP: u64 = 2;
/// Allows for the byte counts of tiny files, some of which writers round up.
const TOLERANCE: u64 = 64 << 10;

/// The byte count of each compressed strip or tile, by offset.
#[derive(Debug, Default)]
pub(crate) struct Chunks(HashMap<u64, u64>);

impl Chunks {
    /// Reads the offsets and byte counts of the first image.
    ///
    /// Returns no chunks for a file that can't be parsed. The decoder rejects it with a better
    /// message.
    ///
    /// # Errors
    /// `Corrupt` if there are too many chunks, or if they overlap.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Rejection> {
        let Ok(mut decoder) = Decoder::new(Cursor::new(bytes)) else { return Ok(Self::default()) };
        let compression = decoder.find_tag_unsigned(Tag::Compression);
        if matches!(compression, Ok(None | Some(UNCOMPRESSED)) | Err(_)) {
            return Ok(Self::default());
        }
        let mut values = |strips, tiles| match decoder.find_tag_unsigned_vec(strips) {
            Ok(None) => decoder.find_tag_unsigned_vec(tiles),
            values => values,
        };
        // The decoder refuses lists above its limit of a megabyte, which is more than an image of
        // 64 megapixels has tiles of the smallest size.
        let (Ok(offsets), Ok(counts)) =
            (values(Tag::StripOffsets, Tag::TileOffsets), values(Tag::StripByteCounts, Tag::TileByteCounts))
        else {
            let message = "the TIFF has too many strips or tiles, or their list is damaged; export it again";
            return Err(Rejection::new(RejectCode::Corrupt, message));
        };
        Self::check(&offsets.unwrap_or_default(), &counts.unwrap_or_default(), bytes.len() as u64)
    }

    fn check(offsets: &[u64], counts: &[u64], file_bytes: u64) -> Result<Self, Rejection> {
        let declared = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
        if declared > file_bytes.saturating_mul(MAX_OVERLAP).saturating_add(TOLERANCE) {
            let message = format!(
                "the TIFF declares {declared} bytes in {} strips or tiles, but the file has {file_bytes}; \
                 export it again",
                counts.len()
            );
            return Err(Rejection::new(RejectCode::Corrupt, message));
        }
        let mut chunks = HashMap::new();
        for (offset, count) in offsets.iter().zip(counts) {
            // Of chunks at one offset the smallest count applies. With another, one long chunk
            // would lend its count to thousands of short ones, past the check of the sum.
            chunks.entry(*offset).and_modify(|known: &mut u64| *known = *count.min(known)).or_insert(*count);
        }
        Ok(Self(chunks))
    }
}

/// A reader that ends each strip or tile after its byte count.
#[derive(Debug)]
pub(crate) struct ChunkReader<'a> {
    bytes: Cursor<&'a [u8]>,
    chunks: Chunks,
    /// Bytes that may be read before the next seek.
    left: u64,
}

impl<'a> ChunkReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], chunks: Chunks) -> Self {
        Self { bytes: Cursor::new(bytes), chunks, left: u64::MAX }
    }

    fn take(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
    }
}

impl Read for ChunkReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.bytes.read(&mut buffer[..length])?;
        self.take(count);
        Ok(count)
    }
}

impl BufRead for ChunkReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.bytes.fill_buf()?;
        let length = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(&bytes[..length])
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
        self.take(count);
    }
}

impl Seek for ChunkReader<'_> {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = self.bytes.seek(target)?;
        // The decoder seeks to the start of each chunk. Asking for the position is no such seek.
        if target != SeekFrom::Current(0) {
            self.left = self.chunks.0.get(&position).copied().unwrap_or(u64::MAX);
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_side_by_side_pass_and_overlapping_ones_are_rejected() {
        let (side_by_side, overlapping) = ([1000; 100], [100_000; 100]);
        assert_eq!(Chunks::check(&[8; 100], &side_by_side, 100_008).unwrap().0.len(), 1);
        let rejection = Chunks::check(&[8; 100], &overlapping, 100_008).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Corrupt);
        assert!(rejection.message.contains("10000000 bytes in 100 strips"), "{rejection}");
        assert!(Chunks::check(&[8; 2], &[u64::MAX; 2], 10).is_err(), "the sum must not wrap");
    }

    /// The sum of the counts is small here, so only the bound on each chunk limits the work.
    #[test]
    fn one_long_chunk_does_not_lengthen_others_at_its_offset() {
        for counts in [[12, 12, 100_000], [100_000, 12, 12]] {
            assert_eq!(Chunks::check(&[8; 3], &counts, 100_008).unwrap().0, [(8, 12)].into());
        }
    }

    #[test]
    fn a_chunk_ends_after_its_byte_count_and_other_parts_do_not() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut reader = ChunkReader::new(&bytes, Chunks([(10, 5)].into()));
        let mut all = Vec::new();
        reader.seek(SeekFrom::Start(10)).unwrap();
        assert_eq!(reader.stream_position().unwrap(), 10);
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, [10, 11, 12, 13, 14]);
        assert!(reader.fill_buf().unwrap().is_empty());
        reader.seek(SeekFrom::Start(9)).unwrap();
        assert_eq!(reader.fill_buf().unwrap().len(), 91);
    }
}
