//! Finds the colour space that a file declares.

use image::ImageFormat;

use super::bmp;
use super::declared::{Declared, MAX_PROFILE_BYTES};
use super::heif;
use super::jpeg;
use super::png;
use super::tiff;
use super::webp;
use crate::format::HEIF;

/// Returns the colour space that a file declares, or `None` if that is sRGB or can't be read.
pub(super) fn find(bytes: &[u8], format: ImageFormat) -> Option<Declared> {
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
