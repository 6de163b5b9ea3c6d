//! Why a photo can't be embedded, and the object that says so.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::partition::{Partition, reject_key};
use crate::photo::{Photo, PhotoId};
use crate::store::Store;

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
    /// The network gives a number that is not finite.
    NotFinite,
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

/// The content of a reject object: it stands for the photo as a row would, until the photo changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The photo's id.
    pub photo_id: String,
    /// The object that can't be embedded.
    #[serde(flatten)]
    pub photo: Photo,
    /// The reason in a word.
    pub code: RejectCode,
    /// The reason in a sentence.
    pub message: String,
    /// When it was found out.
    #[serde(with = "time::serde::rfc3339")]
    pub rejected_at: OffsetDateTime,
    /// By which version and engine.
    pub made_by: String,
}

impl Reject {
    /// The reject of a photo, made now.
    #[must_use]
    pub fn new(photo: Photo, rejection: Rejection, made_by: &str) -> Self {
        let Rejection { code, message } = rejection;
        let photo_id = photo.id().to_string();
        Self {
            photo_id,
            photo,
            code,
            message,
            rejected_at: OffsetDateTime::now_utc(),
            made_by: made_by.to_owned(),
        }
    }

    /// Writes the reject. A later verdict on the same bytes replaces it: the bytes are the same, so it is as good.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn record(&self, store: &Store, results_bucket: &str, model: &str) -> Result<()> {
        let partition = Partition { model: model.to_owned(), date: self.photo.date() };
        let key = reject_key(&partition, self.id());
        // On one line: what reads JSON as a table (Athena) takes a line for a row.
        let body = serde_json::to_vec(self).map_err(Error::schema(&key))?;
        store.put(results_bucket, &key, "application/json", body).await.map(drop)
    }

    /// The reject in these bytes; `object` is named in errors.
    ///
    /// # Errors
    /// [`Error::Schema`].
    pub fn parse(object: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(Error::schema(object))
    }

    /// The photo's id.
    #[must_use]
    pub fn id(&self) -> PhotoId {
        self.photo.id()
    }
}
