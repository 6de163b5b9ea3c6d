//! The change to one object that an event reports.

use time::OffsetDateTime;

use crate::error::{Error, Result};

/// A kind of change to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// An object was written.
    Created,
    /// An object, one of its versions, or a delete marker was removed.
    ///
    /// The event does not say whether a version remains at the key.
    Removed,
}

/// One change to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The object's bucket.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// The kind of change.
    pub change: Change,
    /// The time of the change by S3's clock.
    pub at: OffsetDateTime,
    /// The number of attempts at this delivery, including this one, as far as the event tells.
    pub attempts: u32,
}

impl Delivery {
    /// Checks that the event names an object.
    pub(super) fn validated(self) -> Result<Self> {
        if self.bucket.is_empty() || self.key.is_empty() {
            return Err(Error::Event(format!(
                "the bucket or key is empty: bucket {:?}, key {:?}",
                self.bucket, self.key
            )));
        }
        Ok(self)
    }
}
