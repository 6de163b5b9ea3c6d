//! The ICC profile of a TIFF: tag 34675 of its first directory.

const PROFILE: u16 = 34_675;
/// A directory ends before this many entries, which a 16-bit count can't exceed.
const MAX_ENTRIES: u64 = 1 << 16;

/// Returns the profile of a TIFF or BigTIFF.
pub(super) fn profile(bytes: &[u8]) -> Option<&[u8]> {
    let file = File { bytes, big_endian: bytes.starts_with(b"MM") };
    let is_big = file.number(2, 2)? == 43;
    // Widths of a count of entries, of an offset, and of an entry.
    let (count, offset, entry) = if is_big { (8, 8, 20) } else { (2, 4, 12) };
    let directory = file.number(if is_big { 8 } else { 4 }, offset)?;
    let entries = file.number(directory, count)?.min(MAX_ENTRIES);
    let first = directory.checked_add(count)?;
    let mut entries = (0..entries).map(|index| first + index * entry);
    // A file that ends here has no more entries.
    let at = entries.find(|at| file.number(*at, 2).is_none_or(|tag| tag == u64::from(PROFILE)))?;
    let is_bytes = matches!(file.number(at + 2, 2)?, 1 | 7);
    let length = file.number(at + 4, offset)?;
    let start = file.number(at + 4 + offset, offset)?;
    let range = usize::try_from(start).ok()?..usize::try_from(start.checked_add(length)?).ok()?;
    bytes.get(range).filter(|_| is_bytes)
}

struct File<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl File<'_> {
    /// Reads an unsigned integer of `width` bytes.
    fn number(&self, at: u64, width: u64) -> Option<u64> {
        let start = usize::try_from(at).ok()?;
        let bytes = self.bytes.get(start..start.checked_add(width as usize)?)?;
        let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }
}
