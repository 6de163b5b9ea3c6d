//! Bounds the work of decoding a JPEG, which is not in proportion to its bytes.
//!
//! For each scan, libjpeg walks through all blocks of the scan's components, even if the scan
//! changes none of them. A scan takes a few dozen bytes, and a visit to a block up to 30 ns.

use super::frame::{Coding, Frame};
use fruitvec_core::rejection::{RejectCode, Rejection};

/// The size of a small file, in bytes, which must not take long.
const SMALL_FILE: usize = 1_000_000;
/// The limits on visits to blocks. A photo of 64 megapixels as encoders write it, with ten scans,
/// has nine million.
const VISITS_OF_SMALL_FILE: u64 = 14_000_000;
const VISITS: u64 = 40_000_000;
/// The visits as which a block in arithmetic coding counts. A few bytes can describe any number of
/// coefficients, each of which takes several steps to decode.
const ARITHMETIC: u64 = 16;

/// The work that the scans of a JPEG cause.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    scans: usize,
    visits: u64,
}

impl Cost {
    /// Adds a scan that visits this number of blocks.
    pub(super) fn add(&mut self, blocks: u64, coding: Coding) {
        self.scans += 1;
        self.visits += blocks * if coding.arithmetic { ARITHMETIC } else { 1 };
    }

    /// Returns whether the scans take so little time that they may be decoded twice.
    pub(super) fn allows_two_passes(&self, file_bytes: usize) -> bool {
        2 * self.visits <= limit(file_bytes)
    }

    /// Rejects a JPEG whose scans take longer than its size justifies. `remedy` says how to save
    /// it.
    pub(super) fn check(&self, frame: &Frame, file_bytes: usize, remedy: &str) -> Result<(), Rejection> {
        let limit = limit(file_bytes);
        if self.visits <= limit {
            return Ok(());
        }
        let Frame { width, height, coding, .. } = frame;
        let coding = if coding.arithmetic { "arithmetic-coded " } else { "" };
        let message = format!(
            "the JPEG's {} {coding}scans of {width}×{height} pixels count as {} blocks; \
             the limit is {limit} for {file_bytes} bytes; {remedy}",
            self.scans, self.visits
        );
        Err(Rejection::new(RejectCode::UnsupportedFormat, message))
    }
}

fn limit(file_bytes: usize) -> u64 {
    if file_bytes < SMALL_FILE { VISITS_OF_SMALL_FILE } else { VISITS }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &[u8] = &[8, 0x20, 0, 0x10, 0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];

    fn message(frame: u8, blocks: u64, scans: u64, file_bytes: usize) -> Option<String> {
        let frame = Frame::parse(frame, FRAME).unwrap();
        let mut cost = Cost::default();
        (0..scans).for_each(|_| cost.add(blocks, frame.coding));
        let rejection = cost.check(&frame, file_bytes, "save it").err()?;
        assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
        Some(rejection.message)
    }

    #[test]
    fn the_limit_depends_on_the_size_of_the_file() {
        assert_eq!(message(0xC2, 1_000_000, 14, 999_999), None);
        assert_eq!(message(0xC2, 1_000_000, 40, 1_000_000), None);
        assert!(message(0xC2, 1_000_000, 41, 1_000_000).is_some());
        assert_eq!(
            message(0xC2, 1_000_000, 15, 999_999).unwrap(),
            "the JPEG's 15 scans of 4096×8192 pixels count as 15000000 blocks; the limit is 14000000 for \
             999999 bytes; save it"
        );
    }

    #[test]
    fn arithmetic_coding_counts_for_more() {
        assert_eq!(message(0xC9, 875_000, 1, 999_999), None);
        assert!(message(0xC9, 875_001, 1, 999_999).unwrap().contains("1 arithmetic-coded scans"));
    }

    #[test]
    fn half_the_limit_allows_two_passes() {
        let allows = |blocks, file_bytes| {
            let mut cost = Cost::default();
            cost.add(blocks, Frame::parse(0xC2, FRAME).unwrap().coding);
            cost.allows_two_passes(file_bytes)
        };
        assert_eq!([allows(7_000_000, 999_999), allows(7_000_001, 999_999)], [true, false]);
        assert_eq!([allows(20_000_000, 1_000_000), allows(20_000_001, 1_000_000)], [true, false]);
    }
}
