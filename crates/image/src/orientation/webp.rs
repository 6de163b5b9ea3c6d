//! Finds the metadata of a WebP (RFC 9649, section 2.7).

use super::tags::Tags;

/// The position of the first chunk.
const FIRST_CHUNK: usize = 12;
/// The flags of an extended file that announce EXIF metadata and an XMP packet.
const HAS_EXIF: u8 = 8;
const HAS_XMP: u8 = 4;

/// Reads the chunks `EXIF` and `XMP `. Like libwebp, it ignores those that no flag announces.
pub(super) fn read(bytes: &[u8], tags: &mut Tags) {
    let mut chunks = bytes.get(FIRST_CHUNK..).unwrap_or_default();
    let mut flags = 0;
    while let Some((name, payload, rest)) = split_chunk(chunks) {
        match name {
            b"VP8X" => flags = payload.first().copied().unwrap_or(0),
            b"EXIF" if flags & HAS_EXIF != 0 => tags.add_exif(payload),
            b"XMP " if flags & HAS_XMP != 0 => tags.add_xmp(payload),
            _ => {}
        }
        chunks = rest;
    }
}

/// Splits the name and the payload of the first chunk from the others.
fn split_chunk(chunks: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (name, rest) = chunks.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (payload, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    // A payload of an odd length is padded.
    Some((name, payload, rest.get(payload.len() % 2..).unwrap_or_default()))
}
