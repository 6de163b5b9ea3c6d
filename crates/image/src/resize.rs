//! Resizes a decoded image to a square, in 8 bits as Pillow does.

use std::fmt::Display;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, SrcCropping};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::input_image::InputImage;
use super::raster::Raster;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
use fruitvec_core::rejection::{RejectCode, Rejection};

/// How an image becomes a square.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Square {
    pub(crate) side: u32,
    pub(crate) fit: ResizeMode,
    pub(crate) filter: Filter,
}

/// Resizes an image to a square. An image that already has that size is returned unchanged.
///
/// `extent` is the width and height of the image inside the raster. After scaled decoding it can be
/// a fraction smaller than the raster, whose last row and column then show the image only in part.
pub(crate) fn to_square(raster: Raster, extent: (f64, f64), square: Square) -> Result<Raster, Rejection> {
    // Pillow resizes horizontally, then vertically, and rounds to 8 bits after each. In one call,
    // the resizer would start vertically. Where the kernel overshoots at a hard edge, the results
    // would differ by up to 30 levels.
    vertically(horizontally(raster, extent, square)?, extent, square)
}

/// Resizes rows of an image of this extent to the width of the square.
pub(crate) fn horizontally(raster: Raster, extent: (f64, f64), square: Square) -> Result<Raster, Rejection> {
    let Raster { width, height, channels, samples } = raster;
    let [left, _, box_width, _] = source_box(extent, square);
    let options = options(square.filter).crop(left, 0.0, box_width, f64::from(height));
    let samples = resize(samples, (width, height), (square.side, height), channels, &options)?;
    Ok(Raster { width: square.side, height, channels, samples })
}

/// Resizes an image of this extent, which already has the width of the square, to its height.
pub(crate) fn vertically(raster: Raster, extent: (f64, f64), square: Square) -> Result<Raster, Rejection> {
    let Raster { width, height, channels, samples } = raster;
    let [_, top, _, box_height] = source_box(extent, square);
    let options = options(square.filter).crop(0.0, top, f64::from(width), box_height);
    let samples = resize(samples, (width, height), (width, square.side), channels, &options)?;
    Ok(Raster { width, height: square.side, channels, samples })
}

fn options(filter: Filter) -> ResizeOptions {
    ResizeOptions::new().use_alpha(false).resize_alg(ResizeAlg::Convolution(kernel(filter)))
}

/// Resizes in one direction. Returns the samples unchanged if the size stays the same and nothing
/// is cropped.
fn resize(
    samples: Vec<u8>,
    from: (u32, u32),
    to: (u32, u32),
    channels: u32,
    options: &ResizeOptions,
) -> Result<Vec<u8>, Rejection> {
    let is_whole = match options.cropping {
        SrcCropping::Crop(part) => (part.width, part.height) == (f64::from(from.0), f64::from(from.1)),
        _ => true,
    };
    if from == to && is_whole {
        return Ok(samples);
    }
    let pixels = match channels {
        // A greyscale image is resized as one channel, which is a third of the work.
        1 => PixelType::U8,
        // CMYK.
        4 => PixelType::U8x4,
        _ => PixelType::U8x3,
    };
    let source = ImageRef::new(from.0, from.1, &samples, pixels).map_err(failed)?;
    let mut target = Image::new(to.0, to.1, pixels);
    Resizer::new().resize(&source, &mut target, options).map_err(failed)?;
    Ok(target.into_vec())
}

/// Turns or mirrors a square of RGB according to its EXIF orientation.
pub(crate) fn upright(side: u32, rgb: Vec<u8>, orientation: Orientation) -> Result<InputImage, Rejection> {
    let input =
        InputImage::new(side, rgb).ok_or_else(|| failed("the resized image has an unexpected length"))?;
    if orientation == Orientation::NoTransforms {
        return Ok(input);
    }
    let stored = RgbImage::from_raw(side, side, input.into_rgb()).map(DynamicImage::ImageRgb8);
    let upright = stored.map(|mut image| {
        image.apply_orientation(orientation);
        image.into_rgb8().into_raw()
    });
    upright
        .and_then(|rgb| InputImage::new(side, rgb))
        .ok_or_else(|| failed("the upright image has an unexpected length"))
}

/// Returns the left, top, width and height of the box that the square shows, in source pixels.
///
/// Scaling and cropping are one step. The kernel reaches beyond the box, as if the whole image had
/// been scaled.
fn source_box((width, height): (f64, f64), Square { side, fit, .. }: Square) -> [f64; 4] {
    match fit {
        ResizeMode::Stretch => [0.0, 0.0, width, height],
        ResizeMode::Crop { shorter_side } => {
            let shorter = width.min(height);
            let cropped = shorter * (f64::from(side) / f64::from(shorter_side.max(side).max(1)));
            [(width - cropped) / 2.0, (height - cropped) / 2.0, cropped, cropped]
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

/// Rejects an image that the resizer refuses.
fn failed(cause: impl Display) -> Rejection {
    // The resizer refuses only inconsistent arguments. A rejection, unlike an error, is not
    // retried, so such an image does not come back forever.
    Rejection::new(RejectCode::Corrupt, format!("the image can't be resized: {cause}; export it again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretch_takes_the_whole_image() {
        let square = Square { side: 224, fit: ResizeMode::Stretch, filter: Filter::Bicubic };
        assert_eq!(source_box((400.0, 300.0), square), [0.0, 0.0, 400.0, 300.0]);
    }

    #[test]
    fn a_crop_takes_a_centred_square() {
        let crop = |shorter_side| {
            let fit = ResizeMode::Crop { shorter_side };
            source_box((400.0, 300.0), Square { side: 224, fit, filter: Filter::Bicubic })
        };
        assert_eq!(crop(224), [50.0, 0.0, 300.0, 300.0]);
        assert_eq!(crop(448), [125.0, 75.0, 150.0, 150.0]);
        assert_eq!(crop(0), crop(224));
    }
}
