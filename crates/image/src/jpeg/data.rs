//! The data of a scan, which may be divided into restart intervals.
//!
//! libjpeg goes on at the next restart marker if the data of an interval ends early, or if a marker
//! is missing. The rest of the interval stays grey. A few such intervals in a large photo harm
//! nobody, but a wrong interval length can leave most of the photo grey.

use memchr::memchr;

/// One of this many units of a scan may lie in damaged intervals, such as two rows of a small
/// photo.
const DAMAGED: u64 = 8;

/// Where the data of a scan ends, and how much of it may be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanData {
    pub(super) end: usize,
    /// The number of restart intervals that may be damaged.
    pub(super) tolerance: u64,
    /// The number of bytes without stuffed zeros and markers.
    pub(super) bytes: usize,
}

impl ScanData {
    /// Finds the data from `start` of a scan of this many units. `interval` is the number of units
    /// in a restart interval, or 0 if there are none.
    pub(super) fn find(bytes: &[u8], start: usize, interval: u64, units: u64) -> Self {
        let (mut position, mut between, mut restarts) = (start, 0, 0);
        let mut end = bytes.len();
        while let Some(offset) = bytes.get(position..).and_then(|rest| memchr(0xFF, rest)) {
            position += offset;
            match bytes.get(position + 1) {
                // A stuffed zero, which makes the 0xFF a byte of data.
                Some(0) => (position, between) = (position + 2, between + 1),
                // Without intervals, libjpeg stops at a restart marker like at any other.
                Some(0xD0..=0xD7) if interval > 0 => {
                    (position, between, restarts) = (position + 2, between + 2, restarts + 1);
                }
                // A fill byte.
                Some(0xFF) => (position, between) = (position + 1, between + 1),
                _ => {
                    end = position;
                    break;
                }
            }
        }
        // Without restart markers, libjpeg can miss only the end of the data, which is detected in
        // another way.
        let tolerance = if restarts == 0 { u64::MAX } else { units / DAMAGED / interval };
        Self { end, tolerance, bytes: end.saturating_sub(start + between) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &[u8] = b"\x01\xFF\x00\x02\xFF\xD0\x03\xFF\xFF\x00\xFF\xD7\x04";

    #[test]
    fn the_data_may_contain_stuffed_zeros_fill_bytes_and_restarts() {
        let expected = ScanData { end: DATA.len(), tolerance: 12, bytes: 6 };
        for marker in [&b"\xFF\xD9"[..], b"\xFF\xD8", b"\xFF\x02", b"\xFF", b""] {
            assert_eq!(ScanData::find(&[DATA, marker].concat(), 0, 3, 300), expected, "{marker:X?}");
        }
    }

    #[test]
    fn without_intervals_the_data_ends_at_a_restart() {
        let expected = ScanData { end: 4, tolerance: u64::MAX, bytes: 3 };
        assert_eq!(ScanData::find(DATA, 0, 0, 300), expected);
    }

    #[test]
    fn an_eighth_of_the_units_may_be_damaged() {
        let tolerance = |interval, units| ScanData::find(DATA, 0, interval, units).tolerance;
        assert_eq!([tolerance(12, 100), tolerance(13, 100), tolerance(1, 7), tolerance(1, 8)], [1, 0, 0, 1]);
        assert_eq!(ScanData::find(b"\x01\x02", 0, 6, 100).tolerance, u64::MAX);
    }
}
