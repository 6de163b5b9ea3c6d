//! The bytes of a file as a reader that bounds what a decoder reads.
//!
//! Most formats allow data that produces no pixels, such as empty blocks and codes that only reset
//! the decoder. A file full of them costs far more than an honest one. So a decoder may read only
//! as much as an honest encoder needs for the pixels so far.

use std::cell::Cell;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use super::watch::Watch;
use fruitvec_core::rejection::{RejectCode, Rejection};

/// The most bytes that a decoder gets at once. It looks at the [`Watch`] each time.
const BLOCK: u64 = 64 << 10;

/// How much of a file a decoder has read, and how much it may read.
#[derive(Debug)]
pub(crate) struct Allowance<'a> {
    watch: &'a Watch,
    taken: Cell<u64>,
    limit: Cell<u64>,
    /// Whether the decoder asked for more than the limit.
    exceeded: Cell<bool>,
}

impl<'a> Allowance<'a> {
    /// Creates an allowance of `limit` bytes. Bytes that are read again count again.
    pub(crate) fn new(limit: u64, watch: &'a Watch) -> Self {
        Self { watch, taken: Cell::new(0), limit: Cell::new(limit), exceeded: Cell::new(false) }
    }

    /// Returns the bytes read so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Allows the decoder to read this many bytes in total.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.set(limit);
    }

    /// Returns the rejection if the decoder failed because of this reader.
    pub(crate) fn rejection(&self, format: &str) -> Option<Rejection> {
        if self.watch.is_stopped() {
            let message = format!("decoding the {format} takes too long; export it again, as a plain JPEG");
            return Some(Rejection::new(RejectCode::TooSlow, message));
        }
        let message = format!(
            "the {format} takes {} bytes for pixels that need far fewer; export it again",
            self.taken.get()
        );
        self.exceeded.get().then(|| Rejection::new(RejectCode::Corrupt, message))
    }

    /// Returns the length of the next block.
    fn block(&self) -> io::Result<usize> {
        if self.watch.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        let left = self.limit.get().saturating_sub(self.taken.get());
        if left == 0 {
            self.exceeded.set(true);
            return Err(io::Error::other("too many bytes"));
        }
        Ok(left.min(BLOCK) as usize)
    }

    fn take(&self, count: usize) {
        self.taken.set(self.taken.get().saturating_add(count as u64));
    }
}

/// A reader that takes its bytes from an [`Allowance`].
#[derive(Debug)]
pub(crate) struct Source<'a, R> {
    bytes: R,
    allowance: &'a Allowance<'a>,
}

impl<'a, B: AsRef<[u8]>> Source<'a, Cursor<B>> {
    pub(crate) fn new(bytes: B, allowance: &'a Allowance<'a>) -> Self {
        Self { bytes: Cursor::new(bytes), allowance }
    }
}

impl<'a, R> Source<'a, R> {
    pub(crate) fn over(bytes: R, allowance: &'a Allowance<'a>) -> Self {
        Self { bytes, allowance }
    }
}

impl<R: BufRead> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Source<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.bytes.fill_buf()?;
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let length = self.allowance.block()?.min(bytes.len());
        Ok(&bytes[..length])
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
        self.allowance.take(count);
    }
}

impl<R: Seek> Seek for Source<'_, R> {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_reads_up_to_the_limit() {
        let watch = Watch::default();
        let (bytes, allowance) = ([7; 100], Allowance::new(60, &watch));
        let mut source = Source::new(&bytes, &allowance);
        source.read_exact(&mut [0; 60]).unwrap();
        assert_eq!(allowance.rejection("PNG"), None);
        source.read_exact(&mut [0; 1]).unwrap_err();
        let rejection = allowance.rejection("PNG").unwrap();
        assert_eq!(rejection.code, RejectCode::Corrupt);
        assert!(rejection.message.contains("the PNG takes 60 bytes"), "{rejection}");
        allowance.set_limit(100);
        source.read_exact(&mut [0; 40]).unwrap();
        assert_eq!(source.read(&mut [0; 1]).unwrap(), 0, "the end of the file is not an error");
    }

    #[test]
    fn bytes_that_are_read_again_count_again() {
        let watch = Watch::default();
        let (bytes, allowance) = ([7; 100], Allowance::new(150, &watch));
        let mut source = Source::new(&bytes, &allowance);
        source.read_exact(&mut [0; 100]).unwrap();
        source.rewind().unwrap();
        source.read_exact(&mut [0; 50]).unwrap();
        source.read_exact(&mut [0; 1]).unwrap_err();
        assert_eq!(allowance.taken(), 150);
    }

    #[test]
    fn a_decoder_is_stopped_within_a_block() {
        let watch = Watch::default();
        let (bytes, allowance) = (vec![7; 1 << 20], Allowance::new(u64::MAX, &watch));
        let mut source = Source::new(&bytes, &allowance);
        assert!(source.fill_buf().unwrap().len() <= 64 << 10);
        watch.clone().stop();
        source.fill_buf().unwrap_err();
        assert_eq!(allowance.rejection("GIF").unwrap().code, RejectCode::TooSlow);
    }
}
