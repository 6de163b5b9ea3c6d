//! What the first directory of a TIFF tells about it (TIFF 6.0, section 2), where the decoder would not
//! refuse it.
//!
//! Camera raw files are TIFFs whose first picture is a preview: it would decode, and pass for the photo. A
//! JPEG inside a TIFF has a size of its own, which the decoder holds to no limit.

use super::format::unsupported;
use crate::reject::Rejection;

const NEW_SUBFILE_TYPE: u16 = 254;
const COMPRESSION: u16 = 259;
const DNG_VERSION: u16 = 50706;
/// The flag of [`NEW_SUBFILE_TYPE`] for a smaller version of another picture in the file.
const PREVIEW: u32 = 1;

/// Refuses raw files, and TIFFs that hold a JPEG.
pub(super) fn check(bytes: &[u8]) -> Result<(), Rejection> {
    if bytes.get(8..10) == Some(b"CR") {
        return Err(unsupported("Canon raw (CR2)"));
    }
    for (tag, value) in first_directory(bytes).into_iter().flatten() {
        match tag {
            DNG_VERSION => return Err(unsupported("camera raw (DNG)")),
            NEW_SUBFILE_TYPE if value & PREVIEW != 0 => {
                return Err(unsupported("camera raw (a TIFF that begins with a preview)"));
            }
            COMPRESSION if matches!(value, 6 | 7) => return Err(unsupported("TIFF with JPEG compression")),
            _ => {}
        }
    }
    Ok(())
}

/// Tag and value of each entry; the value means something where it is one number. What is cut off is left to
/// the decoder.
fn first_directory(bytes: &[u8]) -> Option<impl Iterator<Item = (u16, u32)>> {
    let little = bytes.starts_with(b"II");
    let short = move |at: &[u8; 2]| if little { u16::from_le_bytes(*at) } else { u16::from_be_bytes(*at) };
    let long = move |at: &[u8; 4]| if little { u32::from_le_bytes(*at) } else { u32::from_be_bytes(*at) };
    let directory = bytes.get(long(bytes.get(4..)?.first_chunk()?) as usize..)?;
    let (count, entries) = directory.split_first_chunk()?;
    let entries = entries.chunks_exact(12).take(usize::from(short(count)));
    Some(entries.filter_map(move |entry| {
        const SHORT: u16 = 3;
        let value = match short(entry[2..].first_chunk()?) {
            SHORT => u32::from(short(entry[8..].first_chunk()?)),
            _ => long(entry[8..].first_chunk()?),
        };
        Some((short(entry.first_chunk()?), value))
    }))
}
