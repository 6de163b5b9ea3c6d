//! Rejects TIFF files that the decoder would accept but must not decode (TIFF 6.0, section 2).
//!
//! A camera raw file is a TIFF whose first image is a preview. It would decode, and the preview
//! would pass for the photo. A JPEG inside a TIFF has a second size, which the decoder checks
//! against no limit.

use crate::format::unsupported;
use fruitvec_core::rejection::Rejection;

const NEW_SUBFILE_TYPE: u16 = 254;
const COMPRESSION: u16 = 259;
const DNG_VERSION: u16 = 50706;
/// The flag of [`NEW_SUBFILE_TYPE`] that marks a smaller version of another image in the file.
const PREVIEW: u32 = 1;
/// The field type of 16-bit numbers.
const SHORT: u16 = 3;

/// Rejects camera raw files, and TIFFs that contain a JPEG.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Rejection> {
    if bytes.get(8..10) == Some(b"CR") {
        return Err(unsupported("Canon raw (CR2)"));
    }
    for (tag, value) in first_directory(bytes).into_iter().flatten() {
        match tag {
            DNG_VERSION => return Err(unsupported("camera raw (DNG)")),
            NEW_SUBFILE_TYPE if value & PREVIEW != 0 => {
                return Err(unsupported("camera raw (a TIFF that starts with a preview)"));
            }
            COMPRESSION if matches!(value, 6 | 7) => return Err(unsupported("TIFF with JPEG compression")),
            _ => {}
        }
    }
    Ok(())
}

/// Iterates over the tag and value of each entry. A value is meaningful only if it is a single
/// number.
///
/// Returns `None` for a truncated file. The decoder rejects it with a better message.
fn first_directory(bytes: &[u8]) -> Option<impl Iterator<Item = (u16, u32)>> {
    let little_endian = bytes.starts_with(b"II");
    let short =
        move |at: &[u8; 2]| if little_endian { u16::from_le_bytes(*at) } else { u16::from_be_bytes(*at) };
    let long =
        move |at: &[u8; 4]| if little_endian { u32::from_le_bytes(*at) } else { u32::from_be_bytes(*at) };
    let directory = bytes.get(long(bytes.get(4..)?.first_chunk()?) as usize..)?;
    let (count, entries) = directory.split_first_chunk()?;
    let entries = entries.chunks_exact(12).take(usize::from(short(count)));
    Some(entries.filter_map(move |entry| {
        // A short value occupies the first two of the four bytes, in either byte order.
        let value = match short(entry[2..].first_chunk()?) {
            SHORT => u32::from(short(entry[8..].first_chunk()?)),
            _ => long(entry[8..].first_chunk()?),
        };
        Some((short(entry.first_chunk()?), value))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: u16 = 4;

    /// Returns a TIFF with one directory of (tag, field type, value) and no pixels.
    fn tiff(little_endian: bool, entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let short = |n: u16| if little_endian { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if little_endian { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut bytes = if little_endian { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        bytes.extend(long(8));
        bytes.extend(short(entries.len() as u16));
        for (tag, field_type, value) in entries {
            bytes.extend([short(*tag), short(*field_type)].as_flattened());
            bytes.extend(long(1));
            match *field_type {
                SHORT => bytes.extend([short(*value as u16), [0; 2]].as_flattened()),
                _ => bytes.extend(long(*value)),
            }
        }
        bytes
    }

    #[test]
    fn both_byte_orders_and_field_types_are_read() {
        for little_endian in [false, true] {
            for field_type in [SHORT, LONG] {
                let check =
                    |tag, value| check(&tiff(little_endian, &[(256, LONG, 32), (tag, field_type, value)]));
                for (tag, value, word) in [
                    (NEW_SUBFILE_TYPE, PREVIEW, "preview"),
                    (NEW_SUBFILE_TYPE, PREVIEW | 2, "preview"),
                    (COMPRESSION, 6, "JPEG compression"),
                    (COMPRESSION, 7, "JPEG compression"),
                    (DNG_VERSION, 1, "DNG"),
                ] {
                    let rejection = check(tag, value).unwrap_err();
                    assert!(rejection.message.contains(word), "{tag}, {value}: {rejection}");
                }
                for (tag, value) in [(NEW_SUBFILE_TYPE, 2), (COMPRESSION, 1), (COMPRESSION, 5)] {
                    check(tag, value).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_truncated_directory_is_left_to_the_decoder() {
        let bytes = tiff(true, &[(DNG_VERSION, LONG, 1)]);
        for length in 0..bytes.len() {
            check(&bytes[..length]).unwrap();
        }
        check(&bytes).unwrap_err();
    }
}
