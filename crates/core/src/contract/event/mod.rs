//! Events that report changes to S3 objects, whatever wire format they arrive in.
//!
//! The wire formats are private to the submodules. Callers see a [`Delivery`] for each change.

mod delivery;
mod document;
mod eventbridge;
mod notification;
mod sqs;

pub use self::delivery::{Change, Delivery};
pub use self::document::deliveries;
pub use self::notification::decode_key;
pub use self::sqs::{Message, messages};

use crate::error::Result;

/// The event that a function is invoked with.
#[derive(Debug)]
pub enum Invocation {
    /// An SQS batch. Each message succeeds or fails on its own.
    Messages(Vec<Message>),
    /// A direct invocation by S3 or `EventBridge`. It succeeds or fails as a whole.
    Deliveries(Vec<Delivery>),
}

/// Parses an SQS batch, or any document that [`deliveries`] accepts.
///
/// # Errors
/// [`Error::Event`](crate::error::Error::Event) when the document is none of these.
pub fn invocation(document: &str) -> Result<Invocation> {
    if sqs::is_batch(document) {
        messages(document).map(Invocation::Messages)
    } else {
        deliveries(document).map(Invocation::Deliveries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    /// The characters that S3 does not encode in the key of a notification.
    const UNENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b' ');

    fn encode_key(key: &str) -> String {
        utf8_percent_encode(key, UNENCODED).to_string().replace(' ', "+")
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
        fn any_key_survives_a_notification(key in "\\PC{1,80}") {
            let found = deliveries(&notification("ObjectCreated:Put", &encode_key(&key))).unwrap();
            prop_assert_eq!(&found[0].key, &key);
        }

        #[test]
        fn no_document_makes_the_parser_panic(document in "\\PC*") {
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
    fn puts_copies_and_multipart_uploads_create() {
        for name in ["ObjectCreated:Put", "ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload"] {
            assert_eq!(
                deliveries(&notification(name, "a.jpg")).unwrap()[0].change,
                Change::Created,
                "{name}"
            );
        }
    }

    #[test]
    fn deletes_delete_markers_and_expirations_remove() {
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
    fn tagging_and_the_test_event_need_no_work() {
        assert!(deliveries(&notification("ObjectTagging:Put", "a.jpg")).unwrap().is_empty());
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-23T10:00:00.000Z",
            "Bucket":"photos","RequestId":"R","HostId":"H"}"#;
        assert!(deliveries(test).unwrap().is_empty());
    }

    #[test]
    fn eventbridge_keys_are_not_decoded() {
        let event = serde_json::json!({
            "version": "0", "detail-type": "Object Created", "source": "aws.s3", "time": "2026-11-23T10:00:00Z",
            "detail": {"bucket": {"name": "photos"}, "object": {"key": "a+b%20c.jpg", "size": 1}},
        });
        assert_eq!(deliveries(&event.to_string()).unwrap()[0].key, "a+b%20c.jpg");
    }

    #[test]
    fn an_sqs_batch_is_distinguished_from_an_event_of_s3() {
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

    #[test]
    fn a_message_without_an_id_fails_the_whole_batch() {
        let batch = r#"{"Records": [{"messageId": "1", "body": "x"}, {"messageId": "", "body": "x"}]}"#;
        assert_eq!(messages(batch).unwrap_err().to_string(), "event: message 1 of the batch has no id");
    }

    #[test]
    fn an_invalid_body_fails_only_its_own_message() {
        let batch = serde_json::json!({"Records": [
            {"messageId": "1", "body": "not json", "attributes": {"ApproximateReceiveCount": "3"}},
            {"messageId": "2", "body": notification("ObjectCreated:Put", "a.jpg")},
        ]});
        let found = messages(&batch.to_string()).unwrap();
        assert!(found[0].deliveries.is_err() && found[0].receive_count == 3);
        assert_eq!(found[1].deliveries.as_ref().unwrap().len(), 1);
    }
}
