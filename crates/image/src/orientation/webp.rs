//! Finds the metadata of a WebP (RFC 9649, section 2.7).

use super::tags::Tags;
use crate::webp::{Chunks, HAS_EXIF, HAS_XMP};

/// Reads the chunks `EXIF` and `XMP `. Like libwebp, it ignores those that no flag announces.
pub(super) fn read(bytes: &[u8], tags: &mut Tags) {
    let mut flags = 0;
    for (name, payload) in Chunks::of(bytes) {
        match name {
            b"VP8X" => flags = payload.first().copied().unwrap_or(0),
            b"EXIF" if flags & HAS_EXIF != 0 => tags.add_exif(payload),
            b"XMP " if flags & HAS_XMP != 0 => tags.add_xmp(payload),
            _ => {}
        }
    }
}
