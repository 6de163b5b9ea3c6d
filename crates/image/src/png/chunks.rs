//! The bytes of a PNG, as far as its pixels need them.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// The length of the signature.
const SIGNATURE: usize = 8;
/// The length of a chunk without its payload.
const FRAMING: usize = 12;
/// Chunks whose faults the decoder does not forgive: the code points of the colour space, which
/// this crate reads itself, and the properties of an animation.
const IGNORED: [&[u8; 4]; 3] = [b"cICP", b"acTL", b"fcTL"];

/// A reader of everything but the ignored chunks before the pixels.
#[derive(Debug)]
pub(super) struct PixelChunks<'a> {
    current: &'a [u8],
    rest: &'a [u8],
}

impl<'a> PixelChunks<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let (current, rest) = bytes.split_at(bytes.len().min(SIGNATURE));
        Self { current, rest }
    }

    /// Makes the next chunk the current one, and from the pixels on the rest of the file.
    fn advance(&mut self) {
        while self.current.is_empty() && !self.rest.is_empty() {
            let Some((name, chunk, after)) = split_chunk(self.rest).filter(|(name, ..)| *name != b"IDAT")
            else {
                self.current = std::mem::take(&mut self.rest);
                return;
            };
            self.rest = after;
            if !IGNORED.contains(&name) {
                self.current = chunk;
            }
        }
    }
}

/// Splits off the first chunk: its name, the whole chunk, and the rest of the file.
fn split_chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let name = rest.first_chunk()?;
    let length = (u32::from_be_bytes(*length) as usize).checked_add(FRAMING)?;
    let (chunk, after) = bytes.split_at_checked(length)?;
    Some((name, chunk, after))
}

impl Read for PixelChunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for PixelChunks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.advance();
        Ok(self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current = &self.current[count..];
    }
}

/// The decoder asks for a reader that can seek, but never seeks.
impl Seek for PixelChunks<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
