//! The ICC profile of a BMP with a header of version 5.

const FILE_HEADER: usize = 14;
/// The size of an image header of version 5, the first with a profile.
const VERSION_5: u32 = 124;
/// The little-endian "MBED" that announces an embedded profile.
const EMBEDDED: &[u8] = b"DEBM";

/// Returns the profile of a BMP.
pub(super) fn profile(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.get(FILE_HEADER..)?;
    let number = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    if number(0)? < VERSION_5 || header.get(56..60)? != EMBEDDED {
        return None;
    }
    let (offset, length) = (number(112)? as usize, number(116)? as usize);
    header.get(offset..offset.checked_add(length)?)
}
