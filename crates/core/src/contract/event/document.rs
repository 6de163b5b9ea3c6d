//! Parses one event document, whatever its wire format.

use serde::Deserialize;

use super::delivery::Delivery;
use super::eventbridge::EventBridge;
use super::notification::Record;
use crate::error::{Error, Result};

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Notification {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    EventBridge(EventBridge),
    Test {
        #[serde(rename = "Event")]
        event: String,
    },
}

/// Parses an S3 notification, an `EventBridge` event of S3, or `s3:TestEvent`.
///
/// Kinds of events that need no work (tagging, restore, replication …) yield no delivery.
///
/// # Errors
/// [`Error::Event`] when the document is none of these.
pub fn deliveries(document: &str) -> Result<Vec<Delivery>> {
    let event: Document = serde_json::from_str(document)
        .map_err(|cause| Error::Event(format!("not an event of S3: {cause}: {}", excerpt(document))))?;
    match event {
        Document::Notification { records } => {
            records.into_iter().filter_map(|record| record.delivery().transpose()).collect()
        }
        Document::EventBridge(event) => Ok(event.delivery()?.into_iter().collect()),
        // S3 sends it once, when notifications are configured.
        Document::Test { event } if event == "s3:TestEvent" => Ok(Vec::new()),
        Document::Test { event } => Err(Error::Event(format!("unknown event {event:?}"))),
    }
}

/// Returns the start of a document, short enough for a log line.
pub(super) fn excerpt(document: &str) -> String {
    const LENGTH: usize = 120;
    // Cut between characters. A cut between bytes could split one.
    document.chars().take(LENGTH).chain((document.chars().count() > LENGTH).then_some('…')).collect()
}
