//! The wire format of S3 events that arrive through `EventBridge`.
//!
//! Source: "`EventBridge` event message structure" in the Amazon S3 user guide.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::delivery::{Change, Delivery};
use super::notification::S3Entity;
use crate::error::{Error, Result};

/// An `EventBridge` event. The fields of `detail` are those of S3.
#[derive(Deserialize)]
pub(super) struct EventBridge {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: String,
    detail: S3Entity,
}

impl EventBridge {
    /// Returns the reported change, or `None` for a kind of event that needs no work.
    pub(super) fn delivery(self) -> Result<Option<Delivery>> {
        if self.source != "aws.s3" {
            return Err(Error::Event(format!("the source is {:?}, not \"aws.s3\"", self.source)));
        }
        let change = match self.detail_type.as_str() {
            "Object Created" => Change::Created,
            "Object Deleted" => Change::Removed,
            _ => return Ok(None),
        };
        let at = OffsetDateTime::parse(&self.time, &Rfc3339)
            .map_err(|cause| Error::Event(format!("time {:?}: {cause}", self.time)))?;
        let S3Entity { bucket, object } = self.detail;
        // Unlike in a notification, the key is not encoded.
        Delivery { bucket: bucket.name, key: object.key, change, at, attempts: 1 }.validated().map(Some)
    }
}
