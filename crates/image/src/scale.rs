//! Chooses the scale at which a JPEG is decoded.
//!
//! The decoder can turn each 2 × 2, 4 × 4 or 8 × 8 pixels of a block into one, from the block's
//! low-frequency coefficients. That skips most of the work on a photo from a phone. Each of these
//! pixels is a plain average. The more of them the resampling filter weighs, the less that matters.

use fruitvec_core::contract::model_card::ResizeMode;

/// The ratio of the scaled image to the resized one, at least.
///
/// Of about 190 photos from cameras, three at ratios between 3 and 4 had a cosine below 0.9995 to
/// the embedding of the full image. None had at larger ratios, where the lowest was 0.99952. At a
/// ratio of 2 many had, and the lowest was 0.979.
const MARGIN: u64 = 4;

/// A scale in eighths: 8 is full size, 1 is one eighth of the width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale(u8);

impl Scale {
    /// Full size.
    pub(crate) const FULL: Self = Self(8);

    /// Returns the smallest scale at which the shorter side is at least [`MARGIN`] times its size
    /// after resizing.
    pub(crate) fn choose(width: u32, height: u32, side: u32, fit: ResizeMode) -> Self {
        let resized = match fit {
            ResizeMode::Stretch => side,
            ResizeMode::Crop { shorter_side } => shorter_side.max(side),
        };
        let is_enough =
            |scale: &Self| u64::from(scale.apply(width.min(height))) >= MARGIN * u64::from(resized);
        [Self(1), Self(2), Self(4)].into_iter().find(is_enough).unwrap_or(Self::FULL)
    }

    /// Scales a width or height to whole pixels, rounded up as libjpeg does.
    pub(crate) fn apply(self, pixels: u32) -> u32 {
        (u64::from(pixels) * u64::from(self.0)).div_ceil(8) as u32
    }

    /// Scales a width or height without rounding.
    pub(crate) fn apply_exactly(self, pixels: u32) -> f64 {
        f64::from(pixels) * f64::from(self.0) / 8.0
    }

    pub(crate) fn eighths(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_stays_at_least_four_times_its_resized_length() {
        let crop = ResizeMode::Crop { shorter_side: 256 };
        for (width, height, side, fit, eighths) in [
            (4032, 3024, 224, ResizeMode::Stretch, 4),
            (3024, 4032, 224, ResizeMode::Stretch, 4),
            (7168, 7168, 224, ResizeMode::Stretch, 1),
            (7161, 7161, 224, ResizeMode::Stretch, 1),
            (7160, 7160, 224, ResizeMode::Stretch, 2),
            (1791, 4000, 224, ResizeMode::Stretch, 4),
            (1790, 4000, 224, ResizeMode::Stretch, 8),
            (7168, 7168, 224, crop, 2),
            (8192, 8192, 224, crop, 1),
            (100, 100, 224, ResizeMode::Stretch, 8),
            (65_535, 1, 128, ResizeMode::Stretch, 8),
        ] {
            let scale = Scale::choose(width, height, side, fit);
            assert_eq!(scale.eighths(), eighths, "{width}×{height} to {side}, {fit:?}");
        }
    }

    #[test]
    fn a_partial_pixel_counts_as_a_whole_one() {
        let quarter = Scale(2);
        assert_eq!([0, 1, 4, 5, 4032].map(|pixels| quarter.apply(pixels)), [0, 1, 1, 2, 1008]);
        assert_eq!([1, 4, 5].map(|pixels| quarter.apply_exactly(pixels)), [0.25, 1.0, 1.25]);
        assert_eq!(Scale::FULL.apply(u32::MAX), u32::MAX);
    }
}
