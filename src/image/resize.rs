//! A picture becomes a square, in 8 bits as Pillow does it.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, SrcCropping};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::decode::Raster;
use super::{Filter, Fit, Square};
use crate::reject::{RejectCode, Rejection};

/// Resizes a picture to a square of RGB. One that has that size already is passed through. Of its pixels so many across and down
/// show the picture: where it was scaled down, its last ones may show it in part.
pub(super) fn to_square(
    raster: Raster,
    shown: (f64, f64),
    side: u32,
    fit: Fit,
    filter: Filter,
) -> Result<Square, Rejection> {
    let Raster { width, height, channels, samples } = raster;
    // A grey picture is resized as one channel, a third of the work.
    let pixels = if channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let [left, top, box_width, box_height] = source_box(shown, side, fit);
    let algorithm = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel(filter)));
    // Across first, then down, each rounded to 8 bits, because Pillow does it so; the resizer alone would
    // begin downwards, and differ by up to 30 levels where the kernel overshoots at a hard edge.
    let across = algorithm.crop(left, 0.0, box_width, f64::from(height));
    let samples = resized(samples, (width, height), (side, height), pixels, &across)?;
    let down = algorithm.crop(0.0, top, f64::from(side), box_height);
    let samples = resized(samples, (side, height), (side, side), pixels, &down)?;
    let rgb = if channels == 1 { samples.iter().flat_map(|grey| [*grey; 3]).collect() } else { samples };
    Square::new(side, rgb).ok_or_else(|| internal("the resized picture has an unexpected length"))
}

/// One resize; what has the size already and is taken whole is not touched.
fn resized(
    samples: Vec<u8>,
    from: (u32, u32),
    to: (u32, u32),
    pixels: PixelType,
    options: &ResizeOptions,
) -> Result<Vec<u8>, Rejection> {
    let whole = match options.cropping {
        SrcCropping::Crop(part) => (part.width, part.height) == (f64::from(from.0), f64::from(from.1)),
        _ => true,
    };
    if from == to && whole {
        return Ok(samples);
    }
    let source = ImageRef::new(from.0, from.1, &samples, pixels).map_err(internal)?;
    let mut target = Image::new(to.0, to.1, pixels);
    Resizer::new().resize(&source, &mut target, options).map_err(internal)?;
    Ok(target.into_vec())
}

/// Turns a square as EXIF orientation asks.
pub(super) fn upright(square: Square, orientation: Orientation) -> Result<Square, Rejection> {
    if orientation == Orientation::NoTransforms {
        return Ok(square);
    }
    let side = square.side;
    let picture = RgbImage::from_raw(side, side, square.rgb).map(DynamicImage::ImageRgb8);
    let turned = picture.map(|mut picture| {
        picture.apply_orientation(orientation);
        picture.into_rgb8().into_raw()
    });
    turned
        .and_then(|rgb| Square::new(side, rgb))
        .ok_or_else(|| internal("the turned picture has an unexpected length"))
}

/// Left, top, width and height of what the square shows, in source pixels. Scaling and cutting are one step:
/// the kernel reaches beyond the box as it would have had the whole picture been scaled.
fn source_box((width, height): (f64, f64), side: u32, fit: Fit) -> [f64; 4] {
    match fit {
        Fit::Stretch => [0.0, 0.0, width, height],
        Fit::Crop { shorter_side } => {
            let shorter = width.min(height);
            let cut = shorter * (f64::from(side) / f64::from(shorter_side.max(side).max(1)));
            [(width - cut) / 2.0, (height - cut) / 2.0, cut, cut]
        }
    }
}

fn kernel(filter: Filter) -> FilterType {
    match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos3 => FilterType::Lanczos3,
    }
}

/// The resizer refuses only what contradicts itself. Such a picture must not come back for ever.
fn internal(cause: impl std::fmt::Display) -> Rejection {
    Rejection::new(RejectCode::Corrupt, format!("the picture can't be resized: {cause}"))
}
