//! Several slices that are read as one file.

use std::borrow::Cow;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// A reader over slices, one after the other.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    parts: Vec<Cow<'a, [u8]>>,
    position: u64,
}

impl<'a> Parts<'a> {
    pub(super) fn push(&mut self, part: impl Into<Cow<'a, [u8]>>) {
        self.parts.push(part.into());
    }

    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

impl BufRead for Parts<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let mut at = usize::try_from(self.position).unwrap_or(usize::MAX);
        for part in &self.parts {
            if at < part.len() {
                return Ok(&part[at..]);
            }
            at -= part.len();
        }
        Ok(&[])
    }

    fn consume(&mut self, count: usize) {
        self.position += count as u64;
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl Seek for Parts<'_> {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.len().checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_like_one_slice() {
        let whole: Vec<u8> = (0..20).collect();
        let mut parts = Parts::default();
        for part in [&whole[..3], &[], &whole[3..10], &whole[10..]] {
            parts.push(part);
        }
        let mut found = Vec::new();
        parts.read_to_end(&mut found).unwrap();
        assert_eq!(found, whole);
        for target in [SeekFrom::Start(9), SeekFrom::End(-11), SeekFrom::Current(0)] {
            assert_eq!(parts.seek(target).unwrap(), 9);
            assert_eq!(parts.fill_buf().unwrap(), [9]);
        }
        parts.seek(SeekFrom::Start(100)).unwrap();
        assert!(parts.fill_buf().unwrap().is_empty());
    }
}
