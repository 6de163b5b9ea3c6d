//! Rejects: records that a photo can't be embedded.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::contract::layout::{Partition, reject_key};
use crate::contract::photo::{Photo, PhotoId};
use crate::error::{Error, Result};
use crate::rejection::{RejectCode, Rejection};
use crate::s3::Store;

/// The content of a reject object. It takes the place of a row until the photo changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The photo's id, as 32 hex digits.
    pub photo_id: String,
    /// The object that can't be embedded.
    #[serde(flatten)]
    pub photo: Photo,
    /// The reason for programs.
    pub code: RejectCode,
    /// The reason for people.
    pub message: String,
    /// The time of the rejection, by the worker's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub rejected_at: OffsetDateTime,
    /// The program's version and its inference engine.
    pub made_by: String,
}

impl Reject {
    /// Creates the reject of a photo, dated now.
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

    /// Writes the reject, replacing any earlier reject of the same bytes.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn record(&self, store: &Store, results_bucket: &str, model: &str) -> Result<()> {
        let partition = Partition { model: model.to_owned(), date: self.photo.date() };
        store.put_json(results_bucket, &reject_key(&partition, self.id()), self).await
    }

    /// Parses a reject object. `object` names it in errors.
    ///
    /// # Errors
    /// [`Error::Schema`].
    pub fn parse(object: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(Error::schema(object))
    }

    /// Returns the photo's id.
    #[must_use]
    pub fn id(&self) -> PhotoId {
        self.photo.id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_reject_is_flat_json_that_can_be_read_back() {
        let photo = Photo {
            bucket: "photos".into(),
            key: "a.jpg".into(),
            etag: "e".into(),
            size_bytes: 3,
            last_modified: datetime!(2026-11-23 10:00 UTC),
        };
        let rejection = Rejection::new(RejectCode::Truncated, "the file ends early");
        let reject = Reject::new(photo.clone(), rejection, "fruitvec test");
        let json = serde_json::to_value(&reject).unwrap();
        assert_eq!(json["photo_id"], photo.id().to_string());
        assert_eq!(json["key"], "a.jpg");
        assert_eq!(json["last_modified"], "2026-11-23T10:00:00Z");
        assert_eq!(json["code"], "truncated");
        let bytes = serde_json::to_vec(&reject).unwrap();
        assert_eq!(Reject::parse("rejects/x.json", &bytes).unwrap(), reject);
        let error = Reject::parse("rejects/x.json", b"{}").unwrap_err().to_string();
        assert!(error.starts_with("rejects/x.json: "), "{error}");
    }
}
