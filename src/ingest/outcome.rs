//! The result of one delivery.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::layout::Part;
use crate::contract::photo::Photo;
use crate::error::Error;
use crate::rejection::Rejection;

/// The result of one delivery. Every result except [`DeliveryOutcome::Failed`] is durable in S3.
#[derive(Debug, Clone)]
pub enum DeliveryOutcome {
    /// The photo has a row.
    Embedded {
        /// The photo as S3 described it when it was read.
        photo: Photo,
        /// The part with the photo's row.
        part: Part,
        /// Whether the part existed already, because the batch was redelivered.
        already: bool,
        /// The time spent in each stage.
        timings: StageTimings,
    },
    /// The photo can't be embedded, and has a reject.
    Rejected {
        /// The photo as S3 described it when it was read.
        photo: Photo,
        /// The reason, as written to the reject.
        rejection: Rejection,
        /// The time spent in each stage. Stages after the failed one are zero.
        timings: StageTimings,
    },
    /// The photo was deleted before it was read. Nothing is written.
    Gone,
    /// The key has no object, and has a removal.
    Removed,
    /// Something was removed at the key, but S3 still holds a photo there: an old version was
    /// deleted, or a delete marker was removed.
    StillThere,
    /// The object is not a photo, but an empty object that represents a folder. Nothing is written.
    Ignored,
    /// Nothing is written. [`Error::disposition`] says whether to retry.
    Failed(Arc<Error>),
}

/// The time that one photo spends in each stage, without waiting for memory or a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimings {
    /// From the request to the last byte of the body.
    pub fetch: Duration,
    /// Decoding the file and resizing the image.
    pub decode: Duration,
    /// Running the network.
    pub embed: Duration,
    /// Encoding and writing the part, which all photos of its date share, or writing the reject.
    pub write: Duration,
}
