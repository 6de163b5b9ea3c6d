//! Finds the orientation of any file but a JPEG.

use image::ImageFormat;
use image::metadata::Orientation;

use super::tags::Tags;
use super::{png, webp};

/// Returns the orientation of a file.
///
/// The module of JPEG fills [`Tags`] itself, while it reads the segments for other reasons.
pub(crate) fn find(bytes: &[u8], format: ImageFormat) -> Orientation {
    let mut tags = Tags::default();
    match format {
        ImageFormat::Png => png::read(bytes, &mut tags),
        ImageFormat::WebP => webp::read(bytes, &mut tags),
        // EXIF metadata is a TIFF file without pixels.
        ImageFormat::Tiff => tags.add_exif(bytes),
        _ => {}
    }
    tags.orientation()
}
