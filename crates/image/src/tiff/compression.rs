//! The compression methods of a TIFF.

use super::refuse::unsupported;
use fruitvec_core::rejection::Rejection;

/// A compression method that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Fax(Fax),
    Jpeg,
}

/// The variants of the fax compressions (ITU-T T.4 and T.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fax {
    /// Rows without a mark between them, each on a new byte.
    Rle,
    /// Rows that each follow an end-of-line mark. `two_dimensional` ones have a bit after it, which
    /// tells whether the row refers to the one above.
    Group3 { two_dimensional: bool },
    /// Rows that all refer to the one above.
    Group4,
}

/// Methods that are not read, by number.
const UNSUPPORTED: &[(u64, &str)] = &[
    (6, "old-style JPEG compression"),
    (9, "JBIG compression"),
    (10, "JBIG compression"),
    (32766, "NeXT compression"),
    (32771, "word-aligned fax compression"),
    (32809, "ThunderScan compression"),
    (32908, "Pixar compression"),
    (32909, "Pixar compression"),
    (33003, "JPEG 2000 compression"),
    (33004, "JPEG 2000 compression"),
    (33005, "JPEG 2000 compression"),
    (34661, "JBIG compression"),
    (34676, "LogLuv samples"),
    (34677, "LogLuv samples"),
    (34712, "JPEG 2000 compression"),
    (34887, "LERC compression"),
    (34892, "lossy DNG compression"),
    (34925, "LZMA compression"),
    (34933, "PNG compression"),
    (34934, "JPEG XR compression"),
    (50001, "WebP compression"),
    (50002, "JPEG XL compression"),
    (52546, "JPEG XL compression"),
];

impl Compression {
    /// Interprets the value of the tag `Compression`, with that of `T4Options`.
    pub(super) fn parse(value: u64, fax_options: u64) -> Result<Self, Rejection> {
        Ok(match value {
            1 => Self::None,
            2 => Self::Fax(Fax::Rle),
            3 | 4 if fax_options & 2 != 0 => return Err(unsupported("uncompressed fax rows")),
            3 => Self::Fax(Fax::Group3 { two_dimensional: fax_options & 1 != 0 }),
            4 => Self::Fax(Fax::Group4),
            5 => Self::Lzw,
            7 => Self::Jpeg,
            8 | 32946 => Self::Deflate,
            32773 => Self::PackBits,
            50000 => Self::Zstd,
            _ => {
                let known = UNSUPPORTED.iter().find(|(number, _)| *number == value);
                return Err(match known {
                    Some((_, name)) => unsupported(name),
                    None => unsupported(&format!("compression {value}")),
                });
            }
        })
    }

    /// Returns whether the predictor tag applies to this method.
    pub(super) fn has_predictor(self) -> bool {
        matches!(self, Self::Lzw | Self::Deflate | Self::Zstd)
    }
}
