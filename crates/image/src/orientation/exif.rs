//! Reads tags from the first directory of EXIF metadata, which is a TIFF file (TIFF 6.0, section
//! 2).

/// The tag of the orientation.
const ORIENTATION: u64 = 0x0112;
/// The tag of an XMP packet in a TIFF.
const XMP: u64 = 700;
/// The length of each type of value in bytes, by its number in the file.
const TYPE_BYTES: [usize; 19] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

/// The first directory of EXIF metadata.
pub(super) struct Directory<'a> {
    numbers: Numbers<'a>,
    /// The length of an offset: 4 bytes, or 8 in a BigTIFF.
    offset_bytes: usize,
    /// The position of the first entry.
    start: usize,
    entries: u64,
}

/// A value of an entry.
struct Value {
    kind: u64,
    position: usize,
    /// The length in bytes.
    length: usize,
}

/// Numbers of either byte order.
struct Numbers<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl<'a> Directory<'a> {
    /// Finds the first directory, or returns `None` if the metadata is damaged.
    ///
    /// Many writers put the prefix of a JPEG's EXIF segment into other formats, too. Skia takes any
    /// byte for its sixth one, and Pillow skips the prefix twice.
    pub(super) fn first(mut metadata: &'a [u8]) -> Option<Self> {
        for _ in 0..2 {
            metadata = metadata.strip_prefix(b"Exif\0").and_then(|rest| rest.get(1..)).unwrap_or(metadata);
        }
        let little_endian = match metadata.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let numbers = Numbers { bytes: metadata, little_endian };
        // Pillow accepts a version in the other byte order.
        let (offset_bytes, count_bytes) = match metadata.get(2..4)? {
            [42, 0] | [0, 42] => (4, 2),
            [43, 0] | [0, 43] => (8, 8),
            _ => return None,
        };
        let position = usize::try_from(numbers.read(offset_bytes, offset_bytes)?).ok()?;
        let entries = numbers.read(position, count_bytes)?;
        Some(Self { numbers, offset_bytes, start: position + count_bytes, entries })
    }

    /// Returns the orientation, or 0 for a value that is not an integer from 1 to 8.
    pub(super) fn orientation(&self) -> Option<u8> {
        let value = self.number(&self.find(ORIENTATION)?)?;
        Some((1..=8).find(|orientation| f64::from(*orientation) == value).unwrap_or(0))
    }

    /// Returns the XMP packet.
    pub(super) fn xmp(&self) -> Option<&'a [u8]> {
        let Value { position, length, .. } = self.find(XMP)?;
        self.numbers.bytes.get(position..position.checked_add(length)?)
    }

    /// Finds the value of a tag.
    ///
    /// A damaged directory may declare more entries than the metadata has. Those that exist count.
    fn find(&self, tag: u64) -> Option<Value> {
        let entry_bytes = 4 + 2 * self.offset_bytes;
        let entries = self.numbers.bytes.get(self.start..)?.len() / entry_bytes;
        let entries = usize::try_from(self.entries).unwrap_or(usize::MAX).min(entries);
        let mut positions = (0..entries).map(|entry| self.start + entry * entry_bytes);
        positions.find_map(|at| (self.numbers.read(at, 2)? == tag).then(|| self.value(at)).flatten())
    }

    /// Returns the value of the entry at `position`.
    fn value(&self, position: usize) -> Option<Value> {
        let kind = self.numbers.read(position + 2, 2)?;
        let count = usize::try_from(self.numbers.read(position + 4, self.offset_bytes)?).ok()?;
        let length =
            TYPE_BYTES.get(usize::try_from(kind).ok()?)?.checked_mul(count).filter(|length| *length > 0)?;
        let inline = position + 4 + self.offset_bytes;
        // A value that does not fit into the entry is stored elsewhere.
        let position = if length <= self.offset_bytes {
            inline
        } else {
            usize::try_from(self.numbers.read(inline, self.offset_bytes)?).ok()?
        };
        Some(Value { kind, position, length })
    }

    /// Returns the first number of a value.
    fn number(&self, &Value { kind, position, .. }: &Value) -> Option<f64> {
        let read = |offset: usize, length| self.numbers.read(position.checked_add(offset)?, length);
        // The sign of signed types does not matter, because no valid value is negative.
        Some(match kind {
            1 | 6 => read(0, 1)? as f64,
            3 | 8 => read(0, 2)? as f64,
            4 | 9 | 13 => read(0, 4)? as f64,
            16..=18 => read(0, 8)? as f64,
            5 | 10 => read(0, 4)? as f64 / read(4, 4)? as f64,
            11 => f32::from_bits(read(0, 4)? as u32).into(),
            12 => f64::from_bits(read(0, 8)?),
            _ => return None,
        })
    }
}

impl Numbers<'_> {
    /// Returns the unsigned number of `length` bytes at `position`.
    fn read(&self, position: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(position..position.checked_add(length)?)?;
        let append = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.little_endian { bytes.iter().rfold(0, append) } else { bytes.iter().fold(0, append) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orientation(metadata: &[u8]) -> Option<u8> {
        Directory::first(metadata).and_then(|directory| directory.orientation())
    }

    /// Returns big-endian metadata whose only entry is an orientation of this type.
    fn typed(kind: u8, count: u8, value: [u8; 4], elsewhere: &[u8]) -> Vec<u8> {
        let head = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0", &[kind, 0, 0, 0, count][..], &value, &[0; 4]];
        [&head.concat(), elsewhere].concat()
    }

    #[test]
    fn every_numeric_type_is_read() {
        let at = [0, 0, 0, 26];
        for metadata in [
            typed(1, 1, [6, 0, 0, 0], &[]),
            typed(3, 1, [0, 6, 0, 0], &[]),
            typed(3, 2, [0, 6, 0, 9], &[]),
            typed(3, 3, at, &[0, 6, 0, 9, 0, 9]),
            typed(4, 1, [0, 0, 0, 6], &[]),
            typed(5, 1, at, &[0, 0, 0, 12, 0, 0, 0, 2]),
            typed(6, 1, [6, 0, 0, 0], &[]),
            typed(8, 1, [0, 6, 0, 0], &[]),
            typed(9, 1, [0, 0, 0, 6], &[]),
            typed(10, 1, at, &[0, 0, 0, 6, 0, 0, 0, 1]),
            typed(11, 1, 6.0_f32.to_be_bytes(), &[]),
            typed(12, 1, at, &6.0_f64.to_be_bytes()),
            typed(13, 1, [0, 0, 0, 6], &[]),
            typed(16, 1, at, &6_u64.to_be_bytes()),
        ] {
            assert_eq!(orientation(&metadata), Some(6), "type {}", metadata[13]);
        }
    }

    #[test]
    fn a_number_that_is_no_orientation_counts_as_unknown() {
        for value in [[0, 0], [0, 9], [1, 6], [0xFF, 0xFE]] {
            assert_eq!(orientation(&typed(3, 1, [value[0], value[1], 0, 0], &[])), Some(0));
        }
        let at = [0, 0, 0, 26];
        assert_eq!(orientation(&typed(5, 1, at, &[0, 0, 0, 6, 0, 0, 0, 0])), Some(0), "six divided by zero");
        assert_eq!(orientation(&typed(11, 1, f32::NAN.to_be_bytes(), &[])), Some(0));
    }

    #[test]
    fn values_of_other_types_and_outside_the_metadata_are_ignored() {
        let outside = [0, 0, 0xFF, 0];
        for metadata in [
            typed(2, 2, *b"6\0\0\0", &[]),
            typed(7, 1, [6; 4], &[]),
            typed(19, 1, [6; 4], &[]),
            typed(255, 1, [6; 4], &[]),
            typed(3, 0, [0, 6, 0, 0], &[]),
            typed(5, 1, outside, &[]),
            typed(12, 1, [0xFF; 4], &[]),
        ] {
            assert_eq!(orientation(&metadata), None, "type {}", metadata[13]);
        }
    }

    #[test]
    fn byte_orders_versions_and_prefixes_vary() {
        let little: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x05\0\0\0";
        let swapped_version: &[u8] = b"II\0*\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x05\0\0\0";
        let big_tiff: &[u8] = b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x01\x01\x12\0\x03\0\0\0\0\0\0\0\x01\0\x05\0\0\0\0\0\0";
        for metadata in [little, swapped_version, big_tiff] {
            for prefix in [&b""[..], b"Exif\0\0", b"Exif\0\xFF", b"Exif\0\0Exif\0\0"] {
                assert_eq!(orientation(&[prefix, metadata].concat()), Some(5));
            }
        }
    }

    #[test]
    fn a_directory_may_declare_more_entries_than_it_has_and_start_anywhere() {
        assert_eq!(orientation(b"II*\0\x08\0\0\0\xFF\xFF\x12\x01\x03\0\x01\0\0\0\x05\0\0\0"), Some(5));
        assert_eq!(orientation(b"II*\0\x0B\0\0\0???\x01\0\x12\x01\x03\0\x01\0\0\0\x05\0\0\0"), Some(5));
    }

    #[test]
    fn damaged_metadata_is_ignored() {
        let intact = typed(3, 1, [0, 6, 0, 0], &[]);
        // Without its last six bytes, the entry still has its value.
        for length in 0..20 {
            assert_eq!(orientation(&intact[..length]), None, "{length}");
        }
        for offset in [[0xFF; 4], [0, 0, 0, 0], [0, 0, 0, 26]] {
            let mut moved = intact.clone();
            moved[4..8].copy_from_slice(&offset);
            assert_eq!(orientation(&moved), None);
        }
        assert_eq!(orientation(b"MM\0+\0\x08\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), None);
    }
}
