//! The colour space of a HEIC.

use super::declared::Declared;
use super::png::code_points;
use crate::heif::Photo;

/// The code points of sRGB's primaries and of those that are not specified (ITU-T H.273).
const LIKE_SRGB: [u16; 2] = [1, 2];

/// Reads the colour space: the ICC profile, or the code points of other primaries than sRGB's.
///
/// With sRGB's primaries, viewers take any curve for that of sRGB.
pub(super) fn colour_space(bytes: &[u8]) -> Option<Declared> {
    let photo = Photo::read(bytes).ok()?;
    if let Some(profile) = photo.profile() {
        return Some(Declared::Icc(profile.to_vec()));
    }
    let (primaries, transfer) =
        photo.code_points().filter(|(primaries, _)| !LIKE_SRGB.contains(primaries))?;
    let space = code_points(primaries.try_into().ok()?, transfer.try_into().ok()?)?;
    Some(Declared::Rgb(Box::new(space)))
}
