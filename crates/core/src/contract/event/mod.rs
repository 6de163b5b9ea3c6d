//! What S3 tells of its objects: notifications, the same wrapped in SQS, `EventBridge` events, the test event.
//!
//! Wire shapes stay in this file; what leaves it is a [`Delivery`]. Sources: the "Event message structure" page of
//! the Amazon S3 user guide, and its page on `EventBridge` events.

use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, Result};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// There are new bytes at the key.
    Created,
    /// Something was removed: the object, one of its versions, or a delete marker. The event does not say what is left.
    Removed,
}

/// One thing that happened to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The bucket it happened in.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// What happened.
    pub change: Change,
    /// When, by S3's clock.
    pub at: OffsetDateTime,
}

impl Delivery {
    fn named(self) -> Result<Self> {
        if self.bucket.is_empty() || self.key.is_empty() {
            return Err(Error::Event(format!(
                "it names no object: bucket {:?}, key {:?}",
                self.bucket, self.key
            )));
        }
        Ok(self)
    }
}

/// One message of an SQS batch: what the queue needs back when it fails, and what it holds.
#[derive(Debug)]
pub struct Message {
    /// The id that a partial failure names.
    pub id: String,
    /// How often the queue has handed it out, this time included.
    pub receive_count: u32,
    /// What happened; an error when the body is no event, so that this message alone fails.
    pub deliveries: Result<Vec<Delivery>>,
}

/// What a function can be invoked with.
#[derive(Debug)]
pub enum Invocation {
    /// A batch of a queue: each message fails or succeeds alone.
    Messages(Vec<Message>),
    /// An event of S3 itself, notification or `EventBridge`: it fails or succeeds as a whole.
    Deliveries(Vec<Delivery>),
}

/// The invocation that this document describes: an SQS batch, or what [`deliveries`] takes.
///
/// # Errors
/// [`Error::Event`] when it is none of these.
pub fn invocation(document: &str) -> Result<Invocation> {
    // Only what tells one from the other: both have records, and those of a queue have bodies.
    let queued = serde_json::from_str::<Queued>(document).is_ok_and(|Queued { records }| !records.is_empty());
    if queued {
        messages(document).map(Invocation::Messages)
    } else {
        deliveries(document).map(Invocation::Deliveries)
    }
}

/// The deliveries of one event document: an S3 notification, an `EventBridge` event of S3, or `s3:TestEvent`. Kinds of
/// events that ask for no work (tagging, restore, replication …) give no delivery.
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
        Document::Test { event } if event == "s3:TestEvent" => Ok(Vec::new()),
        Document::Test { event } => Err(Error::Event(format!("unknown event {event:?}"))),
    }
}

/// The messages of an SQS batch as Lambda delivers it.
///
/// # Errors
/// [`Error::Event`] when the document is no such batch, or a message of it has no id; a bad body fails its own message only.
pub fn messages(document: &str) -> Result<Vec<Message>> {
    let batch: SqsBatch = serde_json::from_str(document)
        .map_err(|cause| Error::Event(format!("not a batch of SQS: {cause}: {}", excerpt(document))))?;
    // The whole batch would come again if an empty id were reported, and be lost if it were not: so it is said at once.
    if let Some(place) = batch.records.iter().position(|record| record.message_id.is_empty()) {
        return Err(Error::Event(format!("message {place} of the batch has no id")));
    }
    Ok(batch.records.into_iter().map(SqsRecord::message).collect())
}

/// The key of a notification as S3 has it: there it is encoded as in a form, so `+` is a space and `%2B` a plus.
///
/// # Errors
/// [`Error::Event`] when the bytes are no UTF-8, which S3 does not allow in a key.
pub fn decode_key(encoded: &str) -> Result<String> {
    let spaces = encoded.replace('+', " ");
    percent_encoding::percent_decode_str(&spaces)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| Error::Event(format!("the key {encoded:?} does not decode to UTF-8")))
}

/// Enough of a document to recognise it in a log, and no more.
fn excerpt(document: &str) -> String {
    const LENGTH: usize = 120;
    document.chars().take(LENGTH).chain((document.chars().count() > LENGTH).then_some('…')).collect()
}

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    #[serde(with = "time::serde::rfc3339")]
    event_time: OffsetDateTime,
    s3: S3Entity,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: Named,
    object: Keyed,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Keyed {
    key: String,
}

impl Record {
    fn delivery(self) -> Result<Option<Delivery>> {
        // Some stand-ins keep the prefix that the notification's configuration has.
        let name = self.event_name.strip_prefix("s3:").unwrap_or(&self.event_name);
        let change = match name.split(':').next() {
            Some("ObjectCreated") => Change::Created,
            Some("ObjectRemoved" | "LifecycleExpiration") => Change::Removed,
            _ => return Ok(None),
        };
        let S3Entity { bucket, object } = self.s3;
        let key = decode_key(&object.key)?;
        Delivery { bucket: bucket.name, key, change, at: self.event_time }.named().map(Some)
    }
}

#[derive(Deserialize)]
struct EventBridge {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: String,
    detail: S3Entity,
}

impl EventBridge {
    /// Keys are not encoded here, unlike in a notification.
    fn delivery(self) -> Result<Option<Delivery>> {
        if self.source != "aws.s3" {
            return Err(Error::Event(format!("an event of {:?}, not of aws.s3", self.source)));
        }
        let change = match self.detail_type.as_str() {
            "Object Created" => Change::Created,
            "Object Deleted" => Change::Removed,
            _ => return Ok(None),
        };
        let at = OffsetDateTime::parse(&self.time, &Rfc3339)
            .map_err(|cause| Error::Event(format!("time {:?}: {cause}", self.time)))?;
        let S3Entity { bucket, object } = self.detail;
        Delivery { bucket: bucket.name, key: object.key, change, at }.named().map(Some)
    }
}

/// An SQS batch as far as it differs from a notification of S3.
#[derive(Deserialize)]
struct Queued {
    #[serde(rename = "Records")]
    records: Vec<Body>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "body")]
    _body: IgnoredAny,
}

#[derive(Deserialize)]
struct SqsBatch {
    #[serde(rename = "Records")]
    records: Vec<SqsRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsRecord {
    message_id: String,
    body: String,
    #[serde(default)]
    attributes: SqsAttributes,
}

#[derive(Deserialize, Default)]
struct SqsAttributes {
    #[serde(rename = "ApproximateReceiveCount", default)]
    receive_count: String,
}

impl SqsRecord {
    fn message(self) -> Message {
        Message {
            id: self.message_id,
            receive_count: self.attributes.receive_count.parse().unwrap_or(1),
            deliveries: deliveries(&self.body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    /// What S3 leaves as it is in the key of a notification.
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b' ');

    fn encode_key(key: &str) -> String {
        utf8_percent_encode(key, KEPT).to_string().replace(' ', "+")
    }

    fn notification(name: &str, key: &str) -> String {
        serde_json::json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-3",
            "eventTime": "2026-11-23T10:00:00.123Z", "eventName": name,
            "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "photos"}, "object": {"key": key, "size": 3}},
        }]})
        .to_string()
    }

    proptest! {
        #[test]
        fn every_key_survives_a_notification(key in "\\PC{1,80}") {
            let found = deliveries(&notification("ObjectCreated:Put", &encode_key(&key))).unwrap();
            prop_assert_eq!(&found[0].key, &key);
        }

        #[test]
        fn no_document_panics(document in "\\PC*") {
            let _ = deliveries(&document);
            let _ = messages(&document);
        }
    }

    #[test]
    fn spaces_pluses_and_accents_are_decoded() {
        assert_eq!(decode_key("photos/Apple+Red/a%2Bb%20c%25.jpg").unwrap(), "photos/Apple Red/a+b c%.jpg");
        assert_eq!(decode_key("p%C3%AAche/%F0%9F%8D%91.jpg").unwrap(), "pêche/🍑.jpg");
        assert!(decode_key("%FF").is_err());
    }

    #[test]
    fn puts_copies_and_multiparts_create() {
        for name in ["ObjectCreated:Put", "ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload"] {
            assert_eq!(
                deliveries(&notification(name, "a.jpg")).unwrap()[0].change,
                Change::Created,
                "{name}"
            );
        }
    }

    #[test]
    fn deletes_markers_and_expirations_remove() {
        for name in
            ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete"]
        {
            assert_eq!(
                deliveries(&notification(name, "a.jpg")).unwrap()[0].change,
                Change::Removed,
                "{name}"
            );
        }
    }

    #[test]
    fn an_event_that_names_no_object_is_refused() {
        assert!(deliveries(&notification("ObjectCreated:Put", "")).is_err());
    }

    #[test]
    fn tagging_and_the_test_event_ask_for_nothing() {
        assert!(deliveries(&notification("ObjectTagging:Put", "a.jpg")).unwrap().is_empty());
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-23T10:00:00.000Z",
            "Bucket":"photos","RequestId":"R","HostId":"H"}"#;
        assert!(deliveries(test).unwrap().is_empty());
    }

    #[test]
    fn eventbridge_keys_are_taken_as_they_are() {
        let event = serde_json::json!({
            "version": "0", "detail-type": "Object Created", "source": "aws.s3", "time": "2026-11-23T10:00:00Z",
            "detail": {"bucket": {"name": "photos"}, "object": {"key": "a+b%20c.jpg", "size": 1}},
        });
        assert_eq!(deliveries(&event.to_string()).unwrap()[0].key, "a+b%20c.jpg");
    }

    #[test]
    fn a_batch_is_told_from_an_event_of_s3() {
        let put = notification("ObjectCreated:Put", "a.jpg");
        let batch = serde_json::json!({"Records": [{"messageId": "1", "body": put}]}).to_string();
        assert!(matches!(invocation(&batch), Ok(Invocation::Messages(messages)) if messages.len() == 1));
        assert!(matches!(invocation(&put), Ok(Invocation::Deliveries(deliveries)) if deliveries.len() == 1));
        assert!(
            matches!(invocation(r#"{"Records": []}"#), Ok(Invocation::Deliveries(none)) if none.is_empty())
        );
        let error = invocation(r#"{"Records": [{"body": "x"}]}"#).unwrap_err().to_string();
        assert!(error.contains("messageId"), "{error}");
        let error = invocation(r#"{"hello": "world"}"#).unwrap_err().to_string();
        assert!(error.contains("not an event of S3"), "{error}");
    }

    /// Lambda takes a batch with an empty identifier for failed as a whole.
    #[test]
    fn a_message_without_an_id_fails_the_batch_at_once() {
        let batch = r#"{"Records": [{"messageId": "1", "body": "x"}, {"messageId": "", "body": "x"}]}"#;
        assert_eq!(messages(batch).unwrap_err().to_string(), "event: message 1 of the batch has no id");
    }

    #[test]
    fn a_bad_body_fails_its_own_message_only() {
        let batch = serde_json::json!({"Records": [
            {"messageId": "1", "body": "not json", "attributes": {"ApproximateReceiveCount": "3"}},
            {"messageId": "2", "body": notification("ObjectCreated:Put", "a.jpg")},
        ]});
        let found = messages(&batch.to_string()).unwrap();
        assert!(found[0].deliveries.is_err() && found[0].receive_count == 3);
        assert_eq!(found[1].deliveries.as_ref().unwrap().len(), 1);
    }
}
