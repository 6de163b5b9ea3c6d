//! Finds the colour space that a file declares.

use image::ImageFormat;
use moxcms::ColorProfile;

use super::{bmp, heif, jpeg, png, tiff, webp};
use crate::format::HEIF;

/// The limit on an embedded profile, in bytes. Profiles of printers have up to 3 MB.
pub(super) const MAX_PROFILE_BYTES: usize = 4 << 20;

/// A colour space that a file declares.
pub(super) enum Declared {
    /// An embedded ICC profile, not yet parsed.
    Icc(Vec<u8>),
    /// The primaries and the transfer curve of an RGB colour space.
    Rgb(Box<ColorProfile>),
}

/// Reads the colour space that a file declares, or `None` if that is sRGB or can't be read.
pub(super) fn declared(bytes: &[u8], format: ImageFormat) -> Option<Declared> {
    let profile = match format {
        ImageFormat::Jpeg => return jpeg::profile(bytes).map(Declared::Icc),
        HEIF => return heif::colour_space(bytes),
        ImageFormat::Png => return png::colour_space(bytes),
        ImageFormat::WebP => webp::profile(bytes),
        ImageFormat::Tiff => tiff::profile(bytes),
        ImageFormat::Bmp => bmp::profile(bytes),
        _ => None,
    };
    profile
        .filter(|profile| profile.len() <= MAX_PROFILE_BYTES)
        .map(|profile| Declared::Icc(profile.to_vec()))
}
