//! Black point compensation: the darkest colour of a printer or screen becomes black.
//!
//! Paper and ink reflect a few percent of the light. Without compensation, their photos would have
//! no black. The rules are those of Little CMS, the reference: it compensates whenever the
//! target is a version 4 profile, and its sRGB is.

use moxcms::{ColorProfile, ProfileVersion, TransferCharacteristics};

/// The luminance of black for the perceptual intent in version 4 (ICC.1:2022, section 6.3.3).
const PERCEPTUAL_BLACK: f64 = 0.003_473_1;
/// The limit on the luminance of a black point: a lightness of 50 %.
const LIGHTEST_BLACK: f64 = 0.184_187;

/// A map of the levels of an sRGB image that makes a dark grey black and leaves white unchanged.
pub(super) struct Compensation(Box<[u8; 256]>);

impl Compensation {
    /// Creates the compensation for a profile, whose darkest colour was converted to `darkest`.
    ///
    /// Returns `None` if that is black already.
    pub(super) fn new(profile: &ColorProfile, darkest: [u8; 3]) -> Option<Self> {
        let has_table = profile.lut_a_to_b_perceptual.is_some();
        let black = if has_table && profile.version() >= ProfileVersion::V4_0 {
            PERCEPTUAL_BLACK
        } else {
            let [r, g, b] = darkest.map(linear);
            (0.2126 * r + 0.7152 * g + 0.0722 * b).min(LIGHTEST_BLACK)
        };
        (black > 0.0).then(|| {
            let mut levels = Box::new([0; 256]);
            for (level, to) in (0..=255).zip(levels.iter_mut()) {
                *to = srgb_level((linear(level) - black) / (1.0 - black));
            }
            Self(levels)
        })
    }

    pub(super) fn apply(&self, samples: &mut [u8]) {
        for sample in samples {
            *sample = self.0[usize::from(*sample)];
        }
    }
}

/// Returns the linear light, from 0 to 1, of a level of sRGB.
fn linear(level: u8) -> f64 {
    TransferCharacteristics::Srgb.linearize(f64::from(level) / 255.0)
}

/// Returns the level of sRGB for a linear light, clipped to the range of 0 to 1.
pub(super) fn srgb_level(linear: f64) -> u8 {
    // The cast turns NaN into 0.
    (TransferCharacteristics::Srgb.gamma(linear.clamp(0.0, 1.0)) * 255.0).round() as u8
}

/// Returns the luminance of a CIE lightness, both from 0 to 1.
pub(super) fn luminance_of_lightness(lightness: f64) -> f64 {
    let root = (lightness * 100.0 + 16.0) / 116.0;
    if root > 6.0 / 29.0 { root.powi(3) } else { (root - 4.0 / 29.0) * (108.0 / 841.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightness_and_luminance_agree_with_cie() {
        for (lightness, luminance) in [(0.0, 0.0), (0.08, 0.008_856), (0.5, 0.184_187), (1.0, 1.0)] {
            assert!((luminance_of_lightness(lightness) - luminance).abs() < 1e-6, "{lightness}");
        }
    }

    #[test]
    fn black_and_white_stay_and_a_dark_grey_becomes_black() {
        let profile = ColorProfile::new_srgb();
        assert!(Compensation::new(&profile, [0; 3]).is_none());
        let Compensation(levels) = Compensation::new(&profile, [40; 3]).unwrap();
        assert_eq!((levels[0], levels[40], levels[255]), (0, 0, 255));
        assert!(levels.is_sorted() && levels[41] > 0 && levels[200] < 200);
        // Even a profile whose black is white leaves an image.
        let Compensation(levels) = Compensation::new(&profile, [255; 3]).unwrap();
        assert_eq!((levels[100], levels[255]), (0, 255));
    }
}
