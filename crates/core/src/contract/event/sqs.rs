//! The wire format of an SQS batch as Lambda delivers it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::delivery::Delivery;
use super::document::{deliveries, excerpt};
use crate::error::{Error, Result};

/// One message of an SQS batch.
#[derive(Debug)]
pub struct Message {
    /// The id to report in `batchItemFailures`.
    pub id: String,
    /// How often SQS has delivered the message, including this time.
    pub receive_count: u32,
    /// The changes that the body reports. A body that is not an event fails only this message.
    pub deliveries: Result<Vec<Delivery>>,
}

/// The fields that distinguish an SQS batch from an S3 notification.
#[derive(Deserialize)]
struct BatchShape {
    #[serde(rename = "Records")]
    records: Vec<RecordShape>,
}

#[derive(Deserialize)]
struct RecordShape {
    // Its presence is enough. The text may be large.
    #[serde(rename = "body")]
    _body: IgnoredAny,
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    body: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize, Default)]
struct Attributes {
    #[serde(rename = "ApproximateReceiveCount", default)]
    receive_count: String,
}

impl Record {
    fn message(self) -> Message {
        // Only the order of processing and the patience with a slow photo depend on this number, so
        // a missing one may count as 1.
        let receive_count = self.attributes.receive_count.parse().unwrap_or(1);
        let deliveries = deliveries(&self.body).map(|mut deliveries| {
            deliveries.iter_mut().for_each(|delivery| delivery.attempts = receive_count);
            deliveries
        });
        Message { id: self.message_id, receive_count, deliveries }
    }
}

/// Returns whether a document is an SQS batch rather than an event of S3.
pub(super) fn is_batch(document: &str) -> bool {
    // Both have `Records`, but only those of SQS have a `body`.
    serde_json::from_str::<BatchShape>(document).is_ok_and(|batch| !batch.records.is_empty())
}

/// Parses an SQS batch.
///
/// # Errors
/// [`Error::Event`] when the document is not an SQS batch, or one of its messages has no id.
pub fn messages(document: &str) -> Result<Vec<Message>> {
    let batch: Batch = serde_json::from_str(document)
        .map_err(|cause| Error::Event(format!("not an SQS batch: {cause}: {}", excerpt(document))))?;
    // Lambda treats an empty id among the failures as a failure of the whole batch, and leaving it
    // out would lose the message. So the batch fails before any of it is processed.
    if let Some(index) = batch.records.iter().position(|record| record.message_id.is_empty()) {
        return Err(Error::Event(format!("message {index} of the batch has no id")));
    }
    Ok(batch.records.into_iter().map(Record::message).collect())
}
