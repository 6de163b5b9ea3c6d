//! The ICC profile of a JPEG, in APP2 segments (ICC.1:2022, annex B.4).

use super::declared::MAX_PROFILE_BYTES;
use crate::jpeg::segments_before_scan;

const APP2: u8 = 0xE2;
/// The limit on segments, whose numbers have eight bits.
const MAX_SEGMENTS: usize = 255;

/// Joins the profile's segments, which are numbered because a segment holds at most 64 KB.
///
/// Returns `None` if a segment is missing or repeated.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<(u8, u8, &[u8])> = segments_before_scan(bytes)
        .filter(|(marker, _)| *marker == APP2)
        .filter_map(|(_, payload)| match payload.strip_prefix(b"ICC_PROFILE\0") {
            Some([number, count, part @ ..]) => Some((*number, *count, part)),
            _ => None,
        })
        // One more makes the profile incomplete, however many follow.
        .take(MAX_SEGMENTS + 1)
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
