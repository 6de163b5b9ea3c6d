//! The flags of an extended WebP (RFC 9649, section 2.7).

pub(super) const ANIMATED: u8 = 2;
pub(crate) const HAS_XMP: u8 = 4;
pub(crate) const HAS_EXIF: u8 = 8;
pub(super) const HAS_ALPHA: u8 = 16;
