//! Reasons why a photo cannot be embedded, as a code for programs and a message for people.

use serde::{Deserialize, Serialize};

/// The reject code that appears in reject objects, metrics and `--retry-rejects`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// The file has no bytes.
    Empty,
    /// The bytes match no known image format.
    NotAnImage,
    /// A known image format without a decoder here (AVIF, JPEG XL, camera raw …).
    UnsupportedFormat,
    /// The file ends before the last pixel.
    Truncated,
    /// The file contradicts itself, for example with a wrong checksum or an impossible header.
    Corrupt,
    /// The file is larger than the limit. Nothing was decoded.
    TooManyBytes,
    /// The header declares more pixels than the limit. Nothing was decoded.
    TooManyPixels,
    /// Decoding would take more memory than the limit. Nothing was decoded.
    DecodedTooLarge,
    /// Decoding and embedding took longer than the limit, twice.
    TooSlow,
    /// The object is in an archive storage class and must be restored before it can be read.
    Archived,
    /// The embedding contains a value that is not finite.
    NotFinite,
    /// The decoder panicked.
    Panicked,
}

impl RejectCode {
    /// Returns the code as it is stored and displayed.
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
            Self::TooSlow => "too_slow",
            Self::Archived => "archived",
            Self::NotFinite => "not_finite",
            Self::Panicked => "panicked",
        }
    }
}

impl std::fmt::Display for RejectCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason why one photo is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// The reason for programs.
    pub code: RejectCode,
    /// The reason for people, with the measured values and a remedy.
    pub message: String,
}

impl Rejection {
    /// Creates a rejection.
    pub fn new(code: RejectCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_displayed_code_is_the_serialized_code() {
        for code in [
            RejectCode::Empty,
            RejectCode::NotAnImage,
            RejectCode::UnsupportedFormat,
            RejectCode::Truncated,
            RejectCode::Corrupt,
            RejectCode::TooManyBytes,
            RejectCode::TooManyPixels,
            RejectCode::DecodedTooLarge,
            RejectCode::TooSlow,
            RejectCode::Archived,
            RejectCode::NotFinite,
            RejectCode::Panicked,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
