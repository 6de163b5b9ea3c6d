//! S3 event records, as S3 itself writes them.
//!
//! The structure is that of "Event message structure" in the Amazon S3 user guide, version 2.1.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::REGION;

/// What stays as it is in the key of an event, next to letters and digits; a space becomes a plus.
const FORM: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/').remove(b' ');
const EVENT_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// Who does everything here.
const PRINCIPAL: &str = "AWS:FRUITVEC";

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// It is there, with these bytes.
    Created { how: Created, size: u64, etag: &'a str },
    /// It is gone.
    Removed,
}

/// By which request an object came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    Put,
    Copy,
    CompleteMultipartUpload,
}

impl Change<'_> {
    fn event_name(self) -> &'static str {
        match self {
            Self::Created { how: Created::Put, .. } => "ObjectCreated:Put",
            Self::Created { how: Created::Copy, .. } => "ObjectCreated:Copy",
            Self::Created { how: Created::CompleteMultipartUpload, .. } => {
                "ObjectCreated:CompleteMultipartUpload"
            }
            Self::Removed => "ObjectRemoved:Delete",
        }
    }

    fn object(self, key: &str, sequencer: u64) -> Value {
        let key = utf8_percent_encode(key, FORM).to_string().replace(' ', "+");
        // Sixteen digits each, so that the order of the texts is that of the numbers.
        let sequencer = format!("{sequencer:016X}");
        match self {
            Self::Created { size, etag, .. } => {
                json!({ "key": key, "size": size, "eTag": etag, "sequencer": sequencer })
            }
            Self::Removed => json!({ "key": key, "sequencer": sequencer }),
        }
    }
}

/// Tells whoever subscribed to a bucket about every change in it.
///
/// A key's changes are announced while its lock is held, so they arrive in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    subscribers: Mutex<HashMap<String, Vec<UnboundedSender<String>>>>,
    /// The greatest sequencer given out.
    last: AtomicU64,
}

impl Notifier {
    /// The notifications of this bucket from now on; each a document `{"Records": […]}`.
    pub(crate) fn subscribe(&self, bucket: &str) -> UnboundedReceiver<String> {
        let (sender, receiver) = unbounded_channel();
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.entry(bucket.to_owned()).or_default().push(sender);
        receiver
    }

    /// Announces a change.
    pub(crate) fn announce(&self, bucket: &str, key: &str, change: Change<'_>) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(senders) = subscribers.get_mut(bucket) else { return };
        let now = OffsetDateTime::now_utc();
        let document = document(bucket, key, change, now, self.sequencer(now)).to_string();
        senders.retain(|sender| sender.send(document.clone()).is_ok());
    }

    /// A number greater than all before it; nanoseconds since 1970, so that this holds across restarts.
    fn sequencer(&self, now: OffsetDateTime) -> u64 {
        let now = u64::try_from(now.unix_timestamp_nanos()).unwrap_or_default();
        let next = |last: u64| now.max(last + 1);
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        last.map_or(now, next)
    }
}

fn document(bucket: &str, key: &str, change: Change<'_>, at: OffsetDateTime, sequencer: u64) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": at.format(EVENT_TIME).unwrap_or_default(),
        "eventName": change.event_name(),
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
            "object": change.object(key, sequencer),
        },
    }] })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_put_is_told_as_aws_tells_it() {
        let change = Change::Created { how: Created::Put, size: 3, etag: "900150983cd24fb0d6963f7d28e17f72" };
        let at = datetime!(2026-11-23 15:04:05.678912 UTC);
        let wanted = json!({ "Records": [{
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
        assert_eq!(document("photos", "photos/a b.jpg", change, at, 255), wanted);
    }

    #[test]
    fn a_removal_has_neither_size_nor_etag() {
        let object = Change::Removed.object("a.jpg", 1);
        assert_eq!(object, json!({ "key": "a.jpg", "sequencer": "0000000000000001" }));
    }

    #[test]
    fn keys_are_form_encoded_and_slashes_stay() {
        for (key, written) in [
            ("photos/Pomme d'été/1 (2).jpg", "photos/Pomme+d%27%C3%A9t%C3%A9/1+%282%29.jpg"),
            ("a+b%20c", "a%2Bb%2520c"),
            ("date=2026-11-23/x_y.parquet", "date%3D2026-11-23/x_y.parquet"),
        ] {
            assert_eq!(Change::Removed.object(key, 1)["key"], written);
        }
    }

    #[test]
    fn sequencers_increase_within_one_instant() {
        let notifier = Notifier::default();
        let now = OffsetDateTime::now_utc();
        let first = notifier.sequencer(now);
        assert!(notifier.sequencer(now) > first);
    }

    #[test]
    fn only_the_buckets_own_subscribers_hear_of_a_change() {
        let notifier = Notifier::default();
        let (mut photos, mut results) = (notifier.subscribe("photos"), notifier.subscribe("results"));
        notifier.announce("photos", "a.jpg", Change::Removed);
        assert!(photos.try_recv().unwrap().contains("ObjectRemoved:Delete"));
        assert!(results.try_recv().is_err());
    }
}
