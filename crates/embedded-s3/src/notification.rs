//! Event notifications in the format of S3.
//!
//! See "Event message structure" in the Amazon S3 user guide, version 2.1.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::region::REGION;

/// Escapes all characters but letters, digits, `-._*/` and the space, which becomes a plus later.
const FORM: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/').remove(b' ');
const EVENT_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// The owner of every bucket and the author of every change.
const PRINCIPAL: &str = "AWS:FRUITVEC";

/// A change of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectEvent<'a> {
    Created { by: CreatedBy, size: u64, etag: &'a str },
    Removed,
}

/// The request that created an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreatedBy {
    Put,
    Copy,
    CompleteMultipartUpload,
}

impl ObjectEvent<'_> {
    fn event_name(self) -> &'static str {
        match self {
            Self::Created { by: CreatedBy::Put, .. } => "ObjectCreated:Put",
            Self::Created { by: CreatedBy::Copy, .. } => "ObjectCreated:Copy",
            Self::Created { by: CreatedBy::CompleteMultipartUpload, .. } => {
                "ObjectCreated:CompleteMultipartUpload"
            }
            Self::Removed => "ObjectRemoved:Delete",
        }
    }

    fn object(self, key: &str, sequencer: u64) -> Value {
        let key = utf8_percent_encode(key, FORM).to_string().replace(' ', "+");
        // Consumers compare sequencers as strings, so they all need the same length.
        let sequencer = format!("{sequencer:016X}");
        match self {
            Self::Created { size, etag, .. } => {
                json!({ "key": key, "size": size, "eTag": etag, "sequencer": sequencer })
            }
            Self::Removed => json!({ "key": key, "sequencer": sequencer }),
        }
    }
}

/// Sends notifications of each bucket's changes to its subscribers.
///
/// A key's lock is held while its change is sent, so the notifications of one key are in order.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    subscribers: Mutex<HashMap<String, Vec<UnboundedSender<String>>>>,
    /// The last sequencer used.
    last_sequencer: AtomicU64,
}

impl Notifier {
    /// Subscribes to a bucket's notifications. Each item is a document `{"Records": […]}`.
    pub(crate) fn subscribe(&self, bucket: &str) -> UnboundedReceiver<String> {
        // In a bounded channel, a slow subscriber would block writes.
        let (sender, receiver) = unbounded_channel();
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.entry(bucket.to_owned()).or_default().push(sender);
        receiver
    }

    /// Sends a notification to the bucket's subscribers.
    pub(crate) fn notify(&self, bucket: &str, key: &str, event: ObjectEvent<'_>) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        // Most buckets have no subscriber. Their changes need no document.
        let Some(senders) = subscribers.get_mut(bucket) else { return };
        let now = OffsetDateTime::now_utc();
        let document = document(bucket, key, event, now, self.next_sequencer(now)).to_string();
        // A send fails when the subscriber has dropped its receiver.
        senders.retain(|sender| sender.send(document.clone()).is_ok());
    }

    /// Returns a number that is greater than all before it.
    ///
    /// The numbers are nanoseconds since 1970, so that they also increase across restarts.
    fn next_sequencer(&self, now: OffsetDateTime) -> u64 {
        let now = u64::try_from(now.unix_timestamp_nanos()).unwrap_or_default();
        let next = |last: u64| now.max(last + 1);
        // `Relaxed` suffices, because no other memory depends on the order.
        let last =
            self.last_sequencer.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        last.map_or(now, next)
    }
}

fn document(bucket: &str, key: &str, event: ObjectEvent<'_>, time: OffsetDateTime, sequencer: u64) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": time.format(EVENT_TIME).unwrap_or_default(),
        "eventName": event.event_name(),
        "userIdentity": { "principalId": PRINCIPAL },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": {
            "x-amz-request-id": format!("{sequencer:016X}"),
            "x-amz-id-2": format!("fruitvec/{sequencer:016X}"),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "fruitvec",
            "bucket": {
                "name": bucket,
                "ownerIdentity": { "principalId": PRINCIPAL },
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": event.object(key, sequencer),
        },
    }] })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_put_is_reported_in_the_format_of_s3() {
        let event =
            ObjectEvent::Created { by: CreatedBy::Put, size: 3, etag: "900150983cd24fb0d6963f7d28e17f72" };
        let time = datetime!(2026-11-23 15:04:05.678912 UTC);
        let expected = json!({ "Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-3",
            "eventTime": "2026-11-23T15:04:05.678Z", "eventName": "ObjectCreated:Put",
            "userIdentity": { "principalId": "AWS:FRUITVEC" },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" },
            "responseElements": {
                "x-amz-request-id": "00000000000000FF", "x-amz-id-2": "fruitvec/00000000000000FF"
            },
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "fruitvec",
                "bucket": {
                    "name": "photos", "ownerIdentity": { "principalId": "AWS:FRUITVEC" },
                    "arn": "arn:aws:s3:::photos"
                },
                "object": {
                    "key": "photos/a+b.jpg", "size": 3, "eTag": "900150983cd24fb0d6963f7d28e17f72",
                    "sequencer": "00000000000000FF"
                }
            }
        }] });
        assert_eq!(document("photos", "photos/a b.jpg", event, time, 255), expected);
    }

    #[test]
    fn a_removal_has_neither_size_nor_etag() {
        let object = ObjectEvent::Removed.object("a.jpg", 1);
        assert_eq!(object, json!({ "key": "a.jpg", "sequencer": "0000000000000001" }));
    }

    #[test]
    fn keys_are_form_encoded_and_slashes_stay() {
        for (key, encoded) in [
            ("photos/Pomme d'été/1 (2).jpg", "photos/Pomme+d%27%C3%A9t%C3%A9/1+%282%29.jpg"),
            ("a+b%20c", "a%2Bb%2520c"),
            ("date=2026-11-23/x_y.parquet", "date%3D2026-11-23/x_y.parquet"),
        ] {
            assert_eq!(ObjectEvent::Removed.object(key, 1)["key"], encoded);
        }
    }

    #[test]
    fn sequencers_increase_within_one_instant() {
        let notifier = Notifier::default();
        let now = OffsetDateTime::now_utc();
        let first = notifier.next_sequencer(now);
        assert!(notifier.next_sequencer(now) > first);
    }

    #[test]
    fn only_the_buckets_own_subscribers_are_notified() {
        let notifier = Notifier::default();
        let (mut photos, mut results) = (notifier.subscribe("photos"), notifier.subscribe("results"));
        notifier.notify("photos", "a.jpg", ObjectEvent::Removed);
        assert!(photos.try_recv().unwrap().contains("ObjectRemoved:Delete"));
        assert!(results.try_recv().is_err());
    }
}
