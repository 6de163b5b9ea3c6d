//! Finds the JPEGs that must be decoded at full size, although they are large enough for a smaller
//! one.
//!
//! Fine patterns, such as a screen or a fabric, are nearly grey after resizing. What remains of
//! them depends on the exact filter, and it decides the embedding when there is nothing else.

use super::jpeg::{self, Outline};
use super::raster::Raster;
use super::resize::{Square, horizontally, vertically};
use super::scale::Scale;
use fruitvec_core::rejection::Rejection;

/// The rows that are decoded before they are resized, so that the full image is never in memory.
pub(crate) const ROWS: u32 = 64;

/// The bits of coefficients per pixel, at least, of a photo with fine patterns over large areas. A
/// photo from a camera has two.
const BITS_PER_PIXEL: f64 = 1.5;
/// The limit on the pixels of a photo that is decoded again. It bounds the time of the second
/// decoding.
const MAX_PIXELS: u64 = 24_000_000;
/// The standard deviation, in levels, below which a resized image counts as nearly grey. Three in a
/// hundred photos from cameras are below.
const DEVIATION: f64 = 24.0;

/// Returns whether a JPEG may have fine patterns, and can be decoded twice in little time.
pub(crate) fn may_be_decoded_again(outline: &Outline, file_bytes: usize) -> bool {
    let pixels = u64::from(outline.width) * u64::from(outline.height);
    outline.bits_per_pixel() >= BITS_PER_PIXEL
        && pixels <= MAX_PIXELS
        && outline.allows_two_passes(file_bytes)
}

/// Returns whether an image has little contrast.
pub(crate) fn is_nearly_grey(image: &Raster) -> bool {
    let channels = image.channels.max(1) as usize;
    let levels = image.samples.chunks_exact(channels).map(|pixel| {
        let sum: u32 = pixel.iter().map(|sample| u32::from(*sample)).sum();
        f64::from(sum) / channels as f64
    });
    let (count, sum, squares) = levels.fold((0.0, 0.0, 0.0), |(count, sum, squares), level| {
        (count + 1.0, sum + level, squares + level * level)
    });
    squares * count - sum * sum < DEVIATION * DEVIATION * count * count
}

/// Decodes a JPEG at full size and resizes it to a square. `prepare` changes the decoded pixels.
pub(crate) fn square_in_full(
    bytes: &[u8],
    outline: &Outline,
    square: Square,
    prepare: impl Fn(&mut Raster),
) -> Result<Raster, Rejection> {
    let extent = (f64::from(outline.width), f64::from(outline.height));
    let (mut channels, mut samples) = (0, Vec::new());
    jpeg::in_strips(bytes, outline, Scale::FULL, ROWS, &mut |mut strip| {
        prepare(&mut strip);
        let mut narrow = horizontally(strip, extent, square)?;
        if samples.is_empty() {
            channels = narrow.channels;
            samples.reserve_exact(square.side as usize * outline.height as usize * channels as usize);
        }
        samples.append(&mut narrow.samples);
        Ok(())
    })?;
    vertically(Raster { width: square.side, height: outline.height, channels, samples }, extent, square)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_measured_across_pixels() {
        let image = |levels: [u8; 2]| {
            let samples = levels.iter().flat_map(|level| [level + 9, level - 9, *level]).collect();
            Raster { width: 1, height: 2, channels: 3, samples }
        };
        assert!(is_nearly_grey(&image([100, 147])));
        assert!(!is_nearly_grey(&image([100, 149])));
    }
}
