//! The sample data set: encoded photos of every kind.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageError, ImageFormat, RgbImage, Rgba, RgbaImage};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::kind::{KINDS, Kind, PHOTOS_PER_KIND};
use crate::painting::paint_rectangle;

/// The side of most photos, in pixels.
const SIDE: u32 = 160;
/// Close to the quality that phone cameras use.
const JPEG_QUALITY: u8 = 90;

/// Yields [`PHOTOS_PER_KIND`] encoded photos of each kind, named like `Apple Red/007.jpg`.
///
/// Most are square JPEGs. Every kind has a wide photo, a tall one, a larger one, and a PNG. Some
/// kinds also have one photo with a less common format or pixel type.
///
/// # Errors
///
/// Yields an [`ImageError`] for a photo that can't be encoded.
pub fn photos() -> impl Iterator<Item = Result<(String, Vec<u8>), ImageError>> {
    // One kind at a time: this keeps all cores busy and holds only one kind's photos in memory.
    KINDS.into_iter().flat_map(|kind| {
        (0..PHOTOS_PER_KIND).into_par_iter().map(|number| photo(kind, number)).collect::<Vec<_>>()
    })
}

/// Returns the name and the file of one photo.
fn photo(kind: Kind, number: u32) -> Result<(String, Vec<u8>), ImageError> {
    let (width, height) = match number {
        4 => (200, 150),
        9 => (120, 180),
        14 => (256, 256),
        _ => (SIDE, SIDE),
    };
    let (pixels, format) = vary(paint_rectangle(kind, number, width, height), kind, number);
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => {
            pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        }
        _ => pixels.write_to(&mut bytes, format),
    }?;
    let extension = format.extensions_str().first().copied().unwrap_or_default();
    Ok((format!("{}/{number:03}.{extension}", kind.name()), bytes.into_inner()))
}

/// Chooses the pixel type and format of a photo.
///
/// The second to last photo of a kind is a PNG. The last has a less common format or pixel type for
/// some kinds.
fn vary(picture: RgbImage, kind: Kind, number: u32) -> (DynamicImage, ImageFormat) {
    let picture = match (number, kind) {
        (19, Kind::Apricot) => DynamicImage::from(picture).into_rgb16().into(),
        (19, Kind::Banana) => with_transparent_ground(&picture).into(),
        (19, Kind::Pear) => DynamicImage::from(picture).into_luma8().into(),
        _ => DynamicImage::from(picture),
    };
    let format = match (number, kind) {
        (18, _) | (19, Kind::Apricot | Kind::Banana) => ImageFormat::Png,
        (19, Kind::Lemon) => ImageFormat::Tiff,
        (19, Kind::Lime) => ImageFormat::Bmp,
        (19, Kind::Orange) => ImageFormat::WebP,
        (19, Kind::Plum) => ImageFormat::Gif,
        _ => ImageFormat::Jpeg,
    };
    (picture, format)
}

/// Makes the white ground transparent black.
///
/// Drawing programs often save it this way, so a decoder that drops the alpha channel shows black.
fn with_transparent_ground(picture: &RgbImage) -> RgbaImage {
    RgbaImage::from_fn(picture.width(), picture.height(), |x, y| match picture.get_pixel(x, y).0 {
        [255, 255, 255] => Rgba([0; 4]),
        [red, green, blue] => Rgba([red, green, blue, 255]),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::painting::paint;

    #[test]
    fn every_photo_has_a_unique_name_and_decodes() {
        let mut names = HashSet::new();
        for photo in photos() {
            let (name, bytes) = photo.unwrap();
            let picture = image::load_from_memory(&bytes).unwrap();
            assert!(picture.width() >= 120 && picture.height() >= 120, "{name}");
            assert_eq!(
                image::guess_format(&bytes).unwrap(),
                ImageFormat::from_path(&name).unwrap(),
                "{name}"
            );
            assert!(names.insert(name));
        }
        assert_eq!(names.len(), KINDS.len() * PHOTOS_PER_KIND as usize);
        assert!(names.contains("Apple Red/007.jpg"));
    }

    #[test]
    fn transparent_ground_is_black() {
        let (pixels, format) = vary(paint(Kind::Banana, 19, 32), Kind::Banana, 19);
        assert_eq!(format, ImageFormat::Png);
        assert_eq!(pixels.into_rgba8().get_pixel(0, 0).0, [0; 4]);
    }
}
