//! How far a JPEG is scaled down while it is decoded.
//!
//! The decoder can make a pixel of each 2 × 2, 4 × 4 or 8 × 8 of a block, from the block's first coefficients: most of the work on a phone's
//! photo is never done. What is left is at least twice as large as what the resizer makes of it, so that it still has the choice of filter.

use super::Fit;

/// Pixels that are left of eight, along each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale(u8);

impl Scale {
    /// Every pixel.
    pub(super) const FULL: Self = Self(8);

    /// The smallest at which the shorter side is at least twice what it is resized to.
    pub(super) fn choose(width: u32, height: u32, side: u32, fit: Fit) -> Self {
        let shorter = match fit {
            Fit::Stretch => side,
            Fit::Crop { shorter_side } => shorter_side.max(side),
        };
        let enough = |scale: &Self| u64::from(scale.of(width.min(height))) >= 2 * u64::from(shorter);
        [Self(1), Self(2), Self(4)].into_iter().find(enough).unwrap_or(Self::FULL)
    }

    /// How many are left of so many pixels; a part of one counts.
    pub(super) fn of(self, pixels: u32) -> u32 {
        (u64::from(pixels) * u64::from(self.0)).div_ceil(8) as u32
    }

    /// How many are left of so many pixels, to the part.
    pub(super) fn exactly(self, pixels: u32) -> f64 {
        f64::from(pixels) * f64::from(self.0) / 8.0
    }

    /// Pixels that are left of eight.
    pub(super) fn eighths(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_stays_at_least_twice_what_it_becomes() {
        let crop = Fit::Crop { shorter_side: 256 };
        for (width, height, side, fit, eighths) in [
            (4032, 3024, 224, Fit::Stretch, 2),
            (3024, 4032, 224, Fit::Stretch, 2),
            (3584, 3584, 224, Fit::Stretch, 1),
            (3577, 3577, 224, Fit::Stretch, 1),
            (3576, 3576, 224, Fit::Stretch, 2),
            (896, 2000, 224, Fit::Stretch, 4),
            (894, 2000, 224, Fit::Stretch, 8),
            (3584, 3584, 224, crop, 2),
            (4096, 4096, 224, crop, 1),
            (100, 100, 224, Fit::Stretch, 8),
            (65_535, 1, 128, Fit::Stretch, 8),
        ] {
            let scale = Scale::choose(width, height, side, fit);
            assert_eq!(scale.eighths(), eighths, "{width}×{height} to {side}, {fit:?}");
        }
    }
}
