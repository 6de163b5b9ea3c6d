//! Feeds a JPEG to libjpeg, with padding behind the data of each scan.

use std::io::{self, BufRead, Read};

use super::data::ScanData;
use super::watch::{padding_starts, scan_starts};

/// Ones, as long as libjpeg reads ahead, so a complete scan never decodes them. A Huffman code
/// never consists of ones alone. Each 0xFF needs a zero behind it, or it would start a marker.
const PADDING: &[u8] = &[0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0];
/// Stands for a missing end-of-image marker, and follows the file in any case.
const END_OF_IMAGE: &[u8] = &[0xFF, 0xD9];

/// A reader that returns the pieces of a JPEG, divided where the data of its scans ends.
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    scans: std::slice::Iter<'a, ScanData>,
    /// The number of warnings that the padding itself causes.
    warnings: usize,
    position: usize,
    piece: &'a [u8],
    padding_is_next: bool,
}

impl<'a> Source<'a> {
    /// Creates a source for a JPEG whose scans have this data. If libjpeg reads on after a scan, it
    /// warns once that it skips the padding.
    pub(super) fn new(bytes: &'a [u8], scans: &'a [ScanData], reads_on: bool) -> Self {
        let warnings = usize::from(reads_on);
        Self { bytes, scans: scans.iter(), warnings, position: 0, piece: &[], padding_is_next: false }
    }

    fn next_piece(&mut self) -> &'a [u8] {
        if std::mem::take(&mut self.padding_is_next) {
            padding_starts(self.position, self.warnings);
            return PADDING;
        }
        let start = self.position;
        let scan = self.scans.next();
        self.padding_is_next = scan.is_some();
        self.position = scan.map_or(self.bytes.len(), |scan| scan.end);
        scan_starts(scan.map_or(u64::MAX, |scan| scan.tolerance));
        match self.bytes.get(start..self.position) {
            Some(piece) if !piece.is_empty() => piece,
            _ if self.padding_is_next => self.next_piece(),
            _ => END_OF_IMAGE,
        }
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() {
            self.piece = self.next_piece();
        }
        Ok(self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.piece = self.piece.get(amount..).unwrap_or_default();
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
