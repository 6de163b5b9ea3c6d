//! Converts pixels from the colours of a TIFF to greyscale, RGB or CMYK over white.

use super::compression::Compression;
use super::directory::Directory;
use super::layout::{Alpha, Layout};
use super::photometric::Photometric;
use super::refuse::corrupt;
use crate::blend::over_white;
use fruitvec_core::rejection::Rejection;

/// Converts rows of samples of 8 bits.
pub(super) struct Converter {
    colours: Colours,
    alpha: Option<Alpha>,
}

enum Colours {
    Grey,
    InvertedGrey,
    Rgb,
    Palette(Box<[[u8; 3]; 256]>),
    Cmyk,
    YCbCr(Box<YCbCr>),
    Lab(Box<Lab>),
}

/// The summands of red, green and blue for each value of a sample.
struct YCbCr {
    brightness: [f32; 256],
    red_of_cr: [f32; 256],
    green_of_cr: [f32; 256],
    green_of_cb: [f32; 256],
    blue_of_cb: [f32; 256],
}

/// The intensities of X and Z for each lightness and colour, of Y for each lightness, and gamma.
struct Lab {
    x: Vec<[f32; 256]>,
    y: Vec<f32>,
    z: Vec<[f32; 256]>,
    /// The sRGB value for each of equidistant intensities.
    gamma: Vec<u8>,
}

impl Converter {
    pub(super) fn new(layout: &Layout, tags: &Directory<'_>) -> Result<Self, Rejection> {
        let colours = match layout.photometric {
            Photometric::BlackIsZero => Colours::Grey,
            Photometric::WhiteIsZero => Colours::InvertedGrey,
            Photometric::YCbCr if layout.compression == Compression::Jpeg => Colours::Rgb,
            Photometric::Rgb => Colours::Rgb,
            Photometric::Palette => Colours::Palette(palette(tags, layout.bits)?.into()),
            Photometric::Cmyk => Colours::Cmyk,
            Photometric::YCbCr => Colours::YCbCr(YCbCr::new(tags)?.into()),
            Photometric::CieLab => Colours::Lab(Lab::new(0).into()),
            Photometric::IccLab => Colours::Lab(Lab::new(128).into()),
        };
        // Only the samples that are used are unpacked, and alpha is the last of them.
        let index = layout.photometric.samples();
        Ok(Self { colours, alpha: layout.alpha.map(|alpha| Alpha { index, ..alpha }) })
    }

    /// Converts a row. `step` is the number of samples per pixel.
    pub(super) fn convert(&self, samples: &[u8], step: usize, target: &mut [u8]) {
        match &self.colours {
            Colours::Grey | Colours::Rgb if self.alpha.is_none() && samples.len() == target.len() => {
                target.copy_from_slice(samples);
            }
            Colours::Grey => self.each(samples, step, target, |pixel| [pixel[0]]),
            Colours::InvertedGrey => self.each(samples, step, target, |pixel| [255 - pixel[0]]),
            Colours::Rgb => self.each(samples, step, target, |pixel| [pixel[0], pixel[1], pixel[2]]),
            Colours::Palette(colours) => {
                self.each(samples, step, target, |pixel| colours[usize::from(pixel[0])]);
            }
            Colours::Cmyk => {
                // In a raster, 255 means no ink.
                self.each(samples, step, target, |pixel| [0, 1, 2, 3].map(|ink: usize| 255 - pixel[ink]));
            }
            Colours::YCbCr(tables) => {
                self.each(samples, step, target, |pixel| tables.rgb([pixel[0], pixel[1], pixel[2]]));
            }
            Colours::Lab(tables) => {
                self.each(samples, step, target, |pixel| tables.rgb([pixel[0], pixel[1], pixel[2]]));
            }
        }
    }

    fn each<const CHANNELS: usize>(
        &self,
        samples: &[u8],
        step: usize,
        target: &mut [u8],
        colour: impl Fn(&[u8]) -> [u8; CHANNELS],
    ) {
        let (pixels, _) = target.as_chunks_mut::<CHANNELS>();
        let pixels = samples.chunks_exact(step).zip(pixels);
        match self.alpha {
            None => pixels.for_each(|(samples, pixel)| *pixel = colour(samples)),
            // Ink that is already multiplied by alpha is ink on white paper.
            Some(Alpha { is_associated: true, .. })
                if matches!(self.colours, Colours::InvertedGrey | Colours::Cmyk) =>
            {
                pixels.for_each(|(samples, pixel)| *pixel = colour(samples));
            }
            Some(Alpha { index, is_associated: true }) => pixels.for_each(|(samples, pixel)| {
                *pixel = colour(samples).map(|sample| sample.saturating_add(255 - samples[index]));
            }),
            Some(Alpha { index, is_associated: false }) => pixels.for_each(|(samples, pixel)| {
                *pixel = colour(samples).map(|sample| over_white(sample, samples[index]));
            }),
        }
    }
}

/// Reads the colours of a palette, which are all reds, then all greens, then all blues.
fn palette(tags: &Directory<'_>, bits: u32) -> Result<[[u8; 3]; 256], Rejection> {
    let Some(map) = tags.numbers(320)? else { return Err(corrupt("it has no palette")) };
    let size = 1 << bits;
    // Some writers store 8 bits per colour, although 16 are required.
    let shift = if map.iter().any(|value| value > 255) { 8 } else { 0 };
    let mut colours = [[0; 3]; 256];
    for (index, colour) in colours.iter_mut().take(size).enumerate() {
        for (channel, value) in colour.iter_mut().enumerate() {
            let stored = map.get(channel * size + index);
            *value = (stored.ok_or_else(|| corrupt("its palette is too short"))? >> shift) as u8;
        }
    }
    Ok(colours)
}

impl YCbCr {
    fn new(tags: &Directory<'_>) -> Result<Self, Rejection> {
        let fractions = |tag, defaults: &[f32]| {
            let found = tags.numbers(tag)?;
            let values = defaults.iter().enumerate();
            let value = |(index, default): (usize, &f32)| {
                found.and_then(|numbers| numbers.fraction(index)).unwrap_or(*default)
            };
            Ok(values.map(value).collect::<Vec<f32>>())
        };
        let luma = fractions(529, &[0.299, 0.587, 0.114])?;
        let range = fractions(532, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0])?;
        let scaled = |channel: usize, size: f32| {
            let (black, white) = (range[2 * channel], range[2 * channel + 1]);
            let span = if white == black { 1.0 } else { white - black };
            std::array::from_fn(|code| (code as f32 - black) * size / span)
        };
        let (brightness, cb, cr): (_, [f32; 256], [f32; 256]) =
            (scaled(0, 255.0), scaled(1, 127.0), scaled(2, 127.0));
        let green = if luma[1] == 0.0 { 1.0 } else { luma[1] };
        let (of_red, of_blue) = (2.0 - 2.0 * luma[0], 2.0 - 2.0 * luma[2]);
        Ok(Self {
            brightness,
            red_of_cr: cr.map(|cr| cr * of_red),
            green_of_cr: cr.map(|cr| -cr * of_red * luma[0] / green),
            green_of_cb: cb.map(|cb| -cb * of_blue * luma[2] / green),
            blue_of_cb: cb.map(|cb| cb * of_blue),
        })
    }

    fn rgb(&self, ycbcr: [u8; 3]) -> [u8; 3] {
        let [y, cb, cr] = ycbcr.map(usize::from);
        let brightness = self.brightness[y];
        let green = self.green_of_cb[cb] + self.green_of_cr[cr];
        // The casts round down, and saturate.
        [self.red_of_cr[cr], green, self.blue_of_cb[cb]].map(|sum| (brightness + sum + 0.5) as u8)
    }
}

impl Lab {
    /// Intensities between black and white. Between two dark ones is less than a level.
    const STEPS: f32 = 16_383.0;

    /// Prepares the conversion from CIELAB under D50, the light of print and of ICC profiles.
    ///
    /// `offset` is subtracted from the bytes of colours, which are signed then.
    fn new(offset: u8) -> Self {
        let gamma = |step: u16| {
            let linear = f32::from(step) / Self::STEPS;
            let encoded =
                if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
            (encoded * 255.0).round() as u8
        };
        let intensity = |f: f32| if f > 6.0 / 29.0 { f * f * f } else { (f - 4.0 / 29.0) * (108.0 / 841.0) };
        let signed = |sample: usize| f32::from((sample as u8).wrapping_sub(offset) as i8);
        let lightnesses = || (0..=255_u8).map(|sample| (f32::from(sample) * (100.0 / 255.0) + 16.0) / 116.0);
        let table = |white: f32, scale: f32| {
            let row = |f: f32| std::array::from_fn(|sample| white * intensity(f + signed(sample) * scale));
            lightnesses().map(row).collect()
        };
        Self {
            x: table(0.964_22, 1.0 / 500.0),
            y: lightnesses().map(intensity).collect(),
            z: table(0.825_21, -1.0 / 200.0),
            gamma: (0..=Self::STEPS as u16).map(gamma).collect(),
        }
    }

    /// Converts a colour to sRGB.
    fn rgb(&self, lab: [u8; 3]) -> [u8; 3] {
        let [lightness, a, b] = lab.map(usize::from);
        let (x, y, z) = (self.x[lightness][a], self.y[lightness], self.z[lightness][b]);
        // From XYZ under D50 to linear sRGB, with Bradford's adaptation to D65.
        [
            3.133_856 * x - 1.616_867 * y - 0.490_615 * z,
            -0.978_768 * x + 1.916_142 * y + 0.033_454 * z,
            0.071_945 * x - 0.228_991 * y + 1.405_243 * z,
        ]
        .map(|linear| self.gamma[(linear.clamp(0.0, 1.0) * Self::STEPS + 0.5) as usize])
    }
}
