//! The ICC profile of a JPEG, in APP2 segments (ICC.1:2022, annex B.4).

use super::declared::MAX_PROFILE_BYTES;

const APP2: u8 = 0xE2;
const SOS: u8 = 0xDA;
const EOI: u8 = 0xD9;

/// Joins the profile's segments, which are numbered because a segment holds at most 64 KB.
///
/// Returns `None` if a segment is missing or repeated.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<(u8, u8, &[u8])> = Segments { bytes, position: 2 }
        .filter(|(marker, _)| *marker == APP2)
        .filter_map(|(_, payload)| match payload.strip_prefix(b"ICC_PROFILE\0") {
            Some([number, count, part @ ..]) => Some((*number, *count, part)),
            _ => None,
        })
        .collect();
    parts.sort_unstable_by_key(|(number, ..)| *number);
    let is_next = |(index, (number, count, _)): (usize, &(u8, u8, &[u8]))| {
        usize::from(*number) == index + 1 && usize::from(*count) == parts.len()
    };
    let length: usize = parts.iter().map(|(.., part)| part.len()).sum();
    let is_complete = !parts.is_empty() && parts.iter().enumerate().all(is_next);
    (is_complete && length <= MAX_PROFILE_BYTES)
        .then(|| parts.iter().map(|(.., part)| *part).collect::<Vec<_>>().concat())
}

/// The segments before the first scan, each with its marker and payload.
struct Segments<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.position..)?;
        // Like libjpeg, skip bytes that are not a marker.
        let start = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF))?;
        let marker = rest[start + 1];
        if matches!(marker, SOS | EOI) {
            return None;
        }
        // These have no payload.
        if matches!(marker, 0x01 | 0xD0..=0xD8) {
            self.position += start + 2;
            return Some((marker, &[]));
        }
        let length = usize::from(u16::from_be_bytes(*rest.get(start + 2..)?.first_chunk()?));
        let payload = rest.get(start + 4..start + 2 + length)?;
        self.position += start + 2 + length;
        Some((marker, payload))
    }
}
