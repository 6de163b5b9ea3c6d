//! What the first image of a TIFF declares, and which kinds of image are refused.

use super::compression::Compression;
use super::directory::Directory;
use super::photometric::Photometric;
use super::refuse::{corrupt, unsupported};
use fruitvec_core::rejection::Rejection;

/// The flag of `NewSubfileType` that marks a smaller version of another image in the file.
const PREVIEW: u64 = 1;
/// The value of `InkSet` for inks other than cyan, magenta, yellow and black.
const OTHER_INKS: u64 = 2;
/// The largest number of samples per pixel, which satellite images reach.
const MAX_SAMPLES: u64 = 256;

/// The properties of an image.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) photometric: Photometric,
    pub(super) alpha: Option<Alpha>,
    /// Samples per pixel, with those that are ignored.
    pub(super) samples: usize,
    /// Bits per sample.
    pub(super) bits: u32,
    pub(super) is_float: bool,
    /// Whether each sample has chunks of its own.
    pub(super) planar: bool,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// Whether the lowest bit of each stored byte comes first.
    pub(super) reversed_bits: bool,
    /// Width and height of a strip or tile, in pixels.
    pub(super) chunk: (u32, u32),
    pub(super) is_tiled: bool,
    /// Pixels across and down that share one chroma sample, where the file stores it so.
    pub(super) subsampling: (u32, u32),
}

/// A sample that declares how opaque the pixel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alpha {
    /// The position of the sample in the pixel.
    pub(super) index: usize,
    /// Whether the other samples are already multiplied by it.
    pub(super) is_associated: bool,
}

/// What samples are stored as, instead of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// The difference from the sample to the left.
    Difference,
    /// The same for the bytes of floating-point numbers, of which the highest come first.
    FloatDifference,
}

impl Layout {
    pub(super) fn read(tags: &Directory<'_>) -> Result<Self, Rejection> {
        refuse_raw(tags)?;
        let (width, height) = (side(tags, 256)?, side(tags, 257)?);
        let compression = Compression::parse(tags.number(259, 1)?, tags.number(292, 0)?)?;
        let samples = tags.number(277, 1)?;
        if !(1..=MAX_SAMPLES).contains(&samples) {
            return Err(unsupported(&format!("{samples} samples per pixel")));
        }
        let samples = samples as usize;
        let planar = tags.number(284, 1)? == 2 && samples > 1;
        let photometric = Photometric::parse(tags, compression)?;
        if samples < photometric.samples() {
            return Err(corrupt("it has fewer samples per pixel than its colours need"));
        }
        if photometric == Photometric::Cmyk && tags.number(332, 1)? == OTHER_INKS {
            return Err(unsupported("inks other than CMYK"));
        }
        let is_tiled = tags.numbers(322)?.is_some();
        let chunk = if is_tiled {
            (side(tags, 322)?, side(tags, 323)?)
        } else {
            let rows = tags.number(278, u64::from(height))?.min(u64::from(height));
            (width, rows as u32)
        };
        let layout = Self {
            width,
            height,
            photometric,
            alpha: alpha(tags, photometric, samples)?,
            samples,
            bits: bits(tags, samples)?,
            is_float: is_float(tags, samples, photometric)?,
            planar,
            compression,
            predictor: predictor(tags, compression)?,
            reversed_bits: tags.number(266, 1)? == 2 && compression != Compression::Jpeg,
            chunk,
            is_tiled,
            subsampling: photometric.subsampling(tags, compression)?,
        };
        layout.check()?;
        Ok(layout)
    }

    /// Rejects combinations that no writer produces, or that are not read.
    fn check(&self) -> Result<(), Rejection> {
        let Self { bits, is_float, .. } = *self;
        if self.chunk.0 == 0 || self.chunk.1 == 0 {
            return Err(corrupt("its strips or tiles are empty"));
        }
        let is_readable = match (self.compression, self.photometric) {
            (Compression::Jpeg, Photometric::Palette) => false,
            (Compression::Jpeg, _) => bits == 8 && !is_float,
            (Compression::Fax(_), Photometric::WhiteIsZero | Photometric::BlackIsZero) => {
                bits == 1 && (self.planar || self.samples == 1)
            }
            (Compression::Fax(_), _) => false,
            (_, Photometric::Palette) => bits <= 8 && !is_float,
            (_, Photometric::YCbCr) => bits == 8 && !is_float,
            (_, Photometric::CieLab | Photometric::IccLab) => matches!(bits, 8 | 16) && !is_float,
            _ if is_float => matches!(bits, 16 | 32 | 64),
            _ => bits <= 32,
        };
        if !is_readable {
            return Err(unsupported(&format!("{} bits per sample of this kind", self.bits)));
        }
        match self.predictor {
            Predictor::Difference if !matches!(bits, 8 | 16 | 32 | 64) => {
                return Err(unsupported(&format!("a predictor for {bits} bits")));
            }
            Predictor::FloatDifference if !is_float => {
                return Err(corrupt("its predictor is for floating-point samples"));
            }
            _ => {}
        }
        let is_subsampled = self.subsampling != (1, 1);
        if is_subsampled && (self.planar || self.samples != 3 || self.predictor != Predictor::None) {
            return Err(unsupported("subsampled colour in separate planes, or with alpha or a predictor"));
        }
        if self.planar && self.compression == Compression::Jpeg && self.photometric == Photometric::YCbCr {
            return Err(unsupported("YCbCr JPEGs in separate planes"));
        }
        Ok(())
    }

    /// Returns the number of samples per pixel that are decoded.
    pub(super) fn used_samples(&self) -> usize {
        self.used().count()
    }

    /// Returns the positions of the samples that are decoded: those of the colour, and alpha.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.photometric.samples()).chain(self.alpha.map(|alpha| alpha.index))
    }

    /// Returns the most pixels in a row of a chunk that are not padding.
    pub(super) fn visible_width(&self) -> u32 {
        self.chunk.0.min(self.width)
    }

    /// Returns the number of streams of a chunk: one, or one for each sample that is decoded.
    pub(super) fn planes(&self) -> usize {
        if self.planar { self.used_samples() } else { 1 }
    }

    /// Returns the samples per pixel in each stream.
    pub(super) fn samples_per_plane(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Returns the number of chunks across and down.
    pub(super) fn chunks(&self) -> (u32, u32) {
        (self.width.div_ceil(self.chunk.0), self.height.div_ceil(self.chunk.1))
    }

    /// Returns the length of a stored row of a chunk, or of the rows that share chroma samples.
    pub(super) fn row_bytes(&self) -> u64 {
        let width = u64::from(self.chunk.0);
        let (across, down) = self.subsampling;
        if self.subsampling != (1, 1) {
            return width.div_ceil(u64::from(across)) * (u64::from(across * down) + 2);
        }
        (width * self.samples_per_plane() as u64 * u64::from(self.bits)).div_ceil(8)
    }
}

/// Rejects camera raw files. Their first image is a preview, which would pass for the photo.
fn refuse_raw(tags: &Directory<'_>) -> Result<(), Rejection> {
    let kind = if tags.numbers(50706).is_ok_and(|version| version.is_some()) {
        "camera raw (DNG)"
    } else if tags.number(254, 0)? & PREVIEW != 0 {
        "camera raw (a TIFF that starts with a preview)"
    } else {
        return Ok(());
    };
    Err(crate::format::unsupported(kind))
}

fn side(tags: &Directory<'_>, tag: u16) -> Result<u32, Rejection> {
    let Some(side) = tags.numbers(tag)?.and_then(|numbers| numbers.get(0)) else {
        return Err(corrupt("it declares no size"));
    };
    // Limits on the size give better messages than this one could.
    Ok(u32::try_from(side).unwrap_or(u32::MAX))
}

/// Finds the alpha among the samples after those of the colour.
///
/// Samples that are declared as unspecified are not alpha. Writers store masks, heights or infrared
/// in them. Only a fourth sample of RGB without any declaration is alpha, as for all other readers.
fn alpha(tags: &Directory<'_>, photometric: Photometric, samples: usize) -> Result<Option<Alpha>, Rejection> {
    let colours = photometric.samples();
    let Some(kinds) = tags.numbers(338)? else {
        let is_rgba = photometric == Photometric::Rgb && samples == 4;
        return Ok(is_rgba.then_some(Alpha { index: colours, is_associated: false }));
    };
    let extra = kinds.iter().take(samples - colours).enumerate();
    let mut alphas = extra.filter(|(_, kind)| matches!(kind, 1 | 2));
    Ok(alphas.next().map(|(index, kind)| Alpha { index: colours + index, is_associated: kind == 1 }))
}

fn bits(tags: &Directory<'_>, samples: usize) -> Result<u32, Rejection> {
    let Some(depths) = tags.numbers(258)? else { return Ok(1) };
    let first = depths.get(0).unwrap_or(1);
    if depths.iter().take(samples).any(|bits| bits != first) {
        return Err(unsupported("samples of different numbers of bits"));
    }
    if !(1..=64).contains(&first) {
        return Err(unsupported(&format!("{first} bits per sample")));
    }
    Ok(first as u32)
}

fn is_float(tags: &Directory<'_>, samples: usize, photometric: Photometric) -> Result<bool, Rejection> {
    let Some(formats) = tags.numbers(339)? else { return Ok(false) };
    let first = formats.get(0).unwrap_or(1);
    let is_signed = formats.iter().take(samples).any(|format| matches!(format, 2 | 5 | 6));
    // The colours of CIELAB are signed by definition. Anything else with a sign is a measurement.
    if is_signed && !matches!(photometric, Photometric::CieLab | Photometric::IccLab) {
        return Err(unsupported("signed or complex samples (measurements without a defined brightness)"));
    }
    Ok(first == 3)
}

fn predictor(tags: &Directory<'_>, compression: Compression) -> Result<Predictor, Rejection> {
    if !compression.has_predictor() {
        return Ok(Predictor::None);
    }
    match tags.number(317, 1)? {
        1 => Ok(Predictor::None),
        2 => Ok(Predictor::Difference),
        3 => Ok(Predictor::FloatDifference),
        other => Err(unsupported(&format!("predictor {other}"))),
    }
}
