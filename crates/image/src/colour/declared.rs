//! The colour space that a file declares.

use moxcms::ColorProfile;

/// The limit on an embedded profile, in bytes. Profiles of printers have up to 3 MB.
pub(super) const MAX_PROFILE_BYTES: usize = 4 << 20;

/// A colour space that a file declares.
pub(super) enum Declared {
    /// An embedded ICC profile, not yet parsed.
    Icc(Vec<u8>),
    /// The primaries and the transfer curve of an RGB colour space.
    Rgb(Box<ColorProfile>),
}
