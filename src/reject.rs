//! Why a photo can't be embedded.

use serde::{Deserialize, Serialize};

/// The reason in a word, as it stands in reject objects, metrics and `--retry-rejects`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// No bytes at all.
    Empty,
    /// The bytes are not those of any picture format.
    NotAnImage,
    /// A picture, of a format that is not decoded here (HEIC, AVIF, JPEG XL …).
    UnsupportedFormat,
    /// The picture ends before its last pixel.
    Truncated,
    /// The bytes contradict themselves: a wrong checksum, an impossible header.
    Corrupt,
    /// More bytes than the limit; nothing was decoded.
    TooManyBytes,
    /// More pixels than the limit, as the header has it; nothing was decoded.
    TooManyPixels,
    /// Decoding would take more memory than the limit; nothing was decoded.
    DecodedTooLarge,
    /// In an archive storage class: it must be restored before it can be read.
    Archived,
    /// The decoder panicked.
    Panicked,
}

impl RejectCode {
    /// The code as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnImage => "not_an_image",
            Self::UnsupportedFormat => "unsupported_format",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::TooManyBytes => "too_many_bytes",
            Self::TooManyPixels => "too_many_pixels",
            Self::DecodedTooLarge => "decoded_too_large",
            Self::Archived => "archived",
            Self::Panicked => "panicked",
        }
    }
}

impl std::fmt::Display for RejectCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verdict on one photo: the code for programs, the message for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// The reason in a word.
    pub code: RejectCode,
    /// What is wrong, with the numbers, and what to do.
    pub message: String,
}

impl Rejection {
    /// A rejection with its message.
    pub fn new(code: RejectCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
