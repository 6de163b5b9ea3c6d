//! The conversion of pixels from a colour space to sRGB.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use super::black_point::{Compensation, luminance_of_lightness, srgb_level};
use super::cmyk;
use crate::raster::Raster;

/// How far a conversion may move a level and still count as none, because both sides round.
const SAME_LEVEL: u8 = 1;

/// A conversion of 8-bit samples to sRGB.
pub(crate) struct Conversion {
    colours: Colours,
    /// Applied to the converted samples.
    black: Option<Compensation>,
}

enum Colours {
    /// The sRGB colour of each level of grey.
    Grey(Box<[[u8; 3]; 256]>),
    Rgb(Arc<Transform8BitExecutor>),
    /// From ink: 255 is full ink.
    Cmyk(Arc<Transform8BitExecutor>),
}

impl Conversion {
    /// Creates the conversion of images with this number of channels.
    ///
    /// Returns `None` if the profile is for other images or if the conversion would change nothing.
    pub(super) fn new(profile: &ColorProfile, channels: u32) -> Option<Self> {
        let colours = match (profile.color_space, channels) {
            (DataColorSpace::Gray, 1) => Colours::Grey(grey_levels(profile)?),
            (DataColorSpace::Rgb, 1) => {
                let levels: Vec<_> = (0..=255).map(|level| [level; 3]).collect();
                let converted = run::<3>(&*transform(profile, Layout::Rgb)?, levels.as_flattened())?;
                Colours::Grey(Box::new(converted.as_chunks().0.try_into().ok()?))
            }
            (DataColorSpace::Rgb, 3) => Colours::Rgb(transform(profile, Layout::Rgb)?),
            (DataColorSpace::Cmyk, 4) => Colours::Cmyk(transform(profile, Layout::Rgba)?),
            _ => return None,
        };
        let darkest = match &colours {
            Colours::Grey(levels) => levels[0],
            Colours::Rgb(transform) => *run::<3>(&**transform, &[0; 3])?.first_chunk()?,
            Colours::Cmyk(transform) => *run::<4>(&**transform, &[255; 4])?.first_chunk()?,
        };
        let conversion = Self { black: Compensation::new(profile, darkest), colours };
        (!conversion.is_identity()).then_some(conversion)
    }

    /// Returns whether the conversion leaves a cube of colours as they are.
    fn is_identity(&self) -> bool {
        let is_near = |samples: &[u8], converted: &[u8]| {
            samples.iter().zip(converted).all(|(a, b)| a.abs_diff(*b) <= SAME_LEVEL)
        };
        let steps = || (0..=255).step_by(15);
        let (samples, rgb) = match self.colours {
            Colours::Grey(_) => {
                let levels = (0..=255).map(|level| [level; 3]).collect();
                ((0..=255).collect(), levels)
            }
            Colours::Rgb(_) => {
                let cube: Vec<[u8; 3]> = steps()
                    .flat_map(|r| steps().flat_map(move |g| steps().map(move |b| [r, g, b])))
                    .collect();
                (cube.as_flattened().to_vec(), cube)
            }
            Colours::Cmyk(_) => return false,
        };
        self.apply(&samples).is_some_and(|converted| is_near(rgb.as_flattened(), &converted))
    }

    /// Converts samples to RGB. Returns `None` if the library refuses.
    fn apply(&self, samples: &[u8]) -> Option<Vec<u8>> {
        let mut rgb = match &self.colours {
            Colours::Grey(levels) => samples.iter().flat_map(|level| levels[usize::from(*level)]).collect(),
            Colours::Rgb(transform) => run::<3>(&**transform, samples)?,
            Colours::Cmyk(transform) => {
                // Decoders return 255 for no ink.
                let ink: Vec<u8> = samples.iter().map(|sample| 255 - sample).collect();
                run::<4>(&**transform, &ink)?
            }
        };
        if let Some(black) = &self.black {
            black.apply(&mut rgb);
        }
        Some(rgb)
    }
}

/// Converts a square of greyscale, RGB or CMYK to RGB.
///
/// Without a conversion, it takes the samples for sRGB.
pub(crate) fn to_srgb(mut square: Raster, conversion: Option<&Conversion>) -> Vec<u8> {
    // A photo must not be rejected for its metadata, so a conversion that panics counts as none.
    let converted = conversion.and_then(|conversion| {
        catch_unwind(AssertUnwindSafe(|| conversion.apply(&square.samples))).ok().flatten()
    });
    if let Some(rgb) = converted {
        return rgb;
    }
    match square.channels {
        1 => return square.samples.iter().flat_map(|grey| [*grey; 3]).collect(),
        4 => cmyk::to_rgb(&mut square),
        _ => {}
    }
    square.samples
}

/// Creates the library's conversion to sRGB for pixels of this layout.
fn transform(profile: &ColorProfile, layout: Layout) -> Option<Arc<Transform8BitExecutor>> {
    let options = TransformOptions { allow_use_cicp_transfer: false, ..TransformOptions::default() };
    let srgb = ColorProfile::new_srgb();
    profile.create_transform_8bit(layout, &srgb, Layout::Rgb, options).ok()
}

/// Converts pixels of `N` samples to RGB.
fn run<const N: usize>(transform: &Transform8BitExecutor, samples: &[u8]) -> Option<Vec<u8>> {
    let mut rgb = vec![0; samples.len() / N * 3];
    transform.transform(samples, &mut rgb).ok()?;
    Some(rgb)
}

/// Returns the sRGB colour of each level of a greyscale profile.
fn grey_levels(profile: &ColorProfile) -> Option<Box<[[u8; 3]; 256]>> {
    let curve = profile.gray_trc.as_ref()?.make_linear_evaluator().ok()?;
    let mut levels = Box::new([[0; 3]; 256]);
    for (level, rgb) in levels.iter_mut().enumerate() {
        let value = f64::from(curve.evaluate_value(level as f32 / 255.0));
        let luminance =
            if profile.pcs == DataColorSpace::Lab { luminance_of_lightness(value) } else { value };
        *rgb = [srgb_level(luminance); 3];
    }
    Some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use moxcms::{CmsError, TransformExecutor};

    /// A conversion by the library that fails, in one of two ways.
    struct Failing {
        panics: bool,
    }

    impl TransformExecutor<u8> for Failing {
        fn transform(&self, _: &[u8], _: &mut [u8]) -> Result<(), CmsError> {
            assert!(!self.panics, "on purpose");
            Err(CmsError::InvalidProfile)
        }
    }

    #[test]
    fn a_conversion_that_fails_counts_as_none() {
        let raster = |channels: u32, samples: &[u8]| Raster {
            width: 1,
            height: 1,
            channels,
            samples: samples.to_vec(),
        };
        for panics in [false, true] {
            let failing = Arc::new(Failing { panics });
            let rgb = Conversion { colours: Colours::Rgb(failing.clone()), black: None };
            assert_eq!(to_srgb(raster(3, &[1, 2, 3]), Some(&rgb)), [1, 2, 3]);
            let cmyk = Conversion { colours: Colours::Cmyk(failing), black: None };
            assert_eq!(to_srgb(raster(4, &[255, 0, 51, 255]), Some(&cmyk)), [255, 0, 51]);
        }
    }
}
