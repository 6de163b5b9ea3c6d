//! The wire format of S3 notifications.
//!
//! Source: "Event message structure" in the Amazon S3 user guide.

use serde::Deserialize;
use time::OffsetDateTime;

use super::delivery::{Change, Delivery};
use crate::error::{Error, Result};

/// One element of the `Records` of a notification.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    event_name: String,
    #[serde(with = "time::serde::rfc3339")]
    event_time: OffsetDateTime,
    s3: S3Entity,
}

/// The bucket and object that an event names.
#[derive(Deserialize)]
pub(super) struct S3Entity {
    pub(super) bucket: Bucket,
    pub(super) object: Object,
}

#[derive(Deserialize)]
pub(super) struct Bucket {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Object {
    pub(super) key: String,
}

impl Record {
    /// Returns the reported change, or `None` for a kind of event that needs no work.
    pub(super) fn delivery(self) -> Result<Option<Delivery>> {
        // Some S3-compatible servers keep the `s3:` prefix of the notification's configuration.
        let name = self.event_name.strip_prefix("s3:").unwrap_or(&self.event_name);
        let change = match name.split(':').next() {
            Some("ObjectCreated") => Change::Created,
            Some("ObjectRemoved" | "LifecycleExpiration") => Change::Removed,
            _ => return Ok(None),
        };
        let S3Entity { bucket, object } = self.s3;
        let key = decode_key(&object.key)?;
        Delivery { bucket: bucket.name, key, change, at: self.event_time, attempts: 1 }.validated().map(Some)
    }
}

/// Decodes the key in an S3 notification.
///
/// The key is form-encoded: `+` means a space, and `%2B` a plus.
///
/// # Errors
/// [`Error::Event`] when the decoded bytes are not UTF-8, which S3 does not allow in a key.
pub fn decode_key(encoded: &str) -> Result<String> {
    // Before percent-decoding, which turns `%2B` into pluses that are part of the key.
    let spaces = encoded.replace('+', " ");
    percent_encoding::percent_decode_str(&spaces)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| Error::Event(format!("the key {encoded:?} does not decode to UTF-8")))
}
