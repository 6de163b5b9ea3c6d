//! What the samples of a pixel mean (TIFF 6.0, sections 3 to 6 and 16 to 23).

use super::compression::Compression;
use super::directory::Directory;
use super::refuse::{corrupt, unsupported};
use fruitvec_core::rejection::Rejection;

/// What the samples of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
    /// Colours have a sign.
    CieLab,
    /// Colours have an offset instead of a sign.
    IccLab,
}

impl Photometric {
    pub(super) fn parse(tags: &Directory<'_>, compression: Compression) -> Result<Self, Rejection> {
        let Some(value) = tags.numbers(262)?.and_then(|numbers| numbers.get(0)) else {
            // Readers agree on these two only.
            return match compression {
                Compression::Fax(_) => Ok(Self::WhiteIsZero),
                _ if tags.number(277, 1)? >= 3 => Ok(Self::Rgb),
                _ => Err(corrupt("it doesn't say whether 0 is black or white")),
            };
        };
        Ok(match value {
            0 => Self::WhiteIsZero,
            1 => Self::BlackIsZero,
            2 => Self::Rgb,
            3 => Self::Palette,
            4 => return Err(unsupported("a mask as its first image")),
            5 => Self::Cmyk,
            6 => Self::YCbCr,
            8 => Self::CieLab,
            9 => Self::IccLab,
            10 => return Err(unsupported("ITU Lab colours")),
            32803 | 34892 => return Err(unsupported("samples of a camera's sensor")),
            32844 | 32845 => return Err(unsupported("LogLuv samples")),
            other => return Err(unsupported(&format!("photometric interpretation {other}"))),
        })
    }

    /// Returns the samples that a colour takes.
    pub(super) fn samples(self) -> usize {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero | Self::Palette => 1,
            Self::Rgb | Self::YCbCr | Self::CieLab | Self::IccLab => 3,
            Self::Cmyk => 4,
        }
    }

    /// Returns the number of channels after conversion.
    pub(super) fn channels(self) -> u32 {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero => 1,
            Self::Cmyk => 4,
            _ => 3,
        }
    }

    /// Returns how many pixels across and down share a chroma sample.
    pub(super) fn subsampling(
        self,
        tags: &Directory<'_>,
        compression: Compression,
    ) -> Result<(u32, u32), Rejection> {
        // libjpeg spreads the samples of a JPEG itself.
        if self != Self::YCbCr || compression == Compression::Jpeg {
            return Ok((1, 1));
        }
        let factors = tags.numbers(530)?;
        let factor = |index| factors.map_or(Some(2), |factors| factors.get(index));
        match (factor(0), factor(1)) {
            (Some(across @ (1 | 2 | 4)), Some(down @ (1 | 2 | 4))) => Ok((across as u32, down as u32)),
            _ => Err(corrupt("its chroma subsampling is impossible")),
        }
    }
}
