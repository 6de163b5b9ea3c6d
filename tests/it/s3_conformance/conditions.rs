//! Conditional requests, which the guarantees of the table depend on.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use futures::future::join_all;

use super::{error_of, get, list, put};

const ROUNDS: usize = 30;
const WRITERS: usize = 16;

fn precondition_failed() -> (u16, String) {
    (412, "PreconditionFailed".to_owned())
}

pub(super) async fn a_put_if_absent_succeeds_once(client: &Client, bucket: &str) {
    let put_if_absent = |body: &'static str| {
        client
            .put_object()
            .bucket(bucket)
            .key("a")
            .if_none_match("*")
            .body(ByteStream::from_static(body.as_bytes()))
    };
    put_if_absent("first").send().await.unwrap();
    assert_eq!(error_of(put_if_absent("second").send().await), precondition_failed());
    assert_eq!(get(client, bucket, "a").await, b"first");
    client.delete_object().bucket(bucket).key("a").send().await.unwrap();
    put_if_absent("third").send().await.unwrap();
    // Keys below `b/` do not make `b` an object.
    put(client, bucket, "b/c", "x").await;
    client.put_object().bucket(bucket).key("b").if_none_match("*").send().await.unwrap();
}

pub(super) async fn a_put_if_match_detects_changes(client: &Client, bucket: &str) {
    let first = put(client, bucket, "a", "first").await;
    let put_if = |etag: &str, body: &'static str| {
        let body = ByteStream::from_static(body.as_bytes());
        client.put_object().bucket(bucket).key("a").if_match(etag).body(body).send()
    };
    let second = put_if(&first, "second").await.unwrap().e_tag.unwrap();
    assert_eq!(error_of(put_if(&first, "third").await), precondition_failed());
    assert_eq!(get(client, bucket, "a").await, b"second");
    put_if(&second, "fourth").await.unwrap();
}

pub(super) async fn a_put_if_match_needs_an_object(client: &Client, bucket: &str) {
    let etag = "\"900150983cd24fb0d6963f7d28e17f72\"";
    let missing = client.put_object().bucket(bucket).key("none").if_match(etag).send().await;
    assert_eq!(error_of(missing), (404, "NoSuchKey".to_owned()));
    assert!(list(client, bucket).await.is_empty());
}

pub(super) async fn a_delete_if_match_detects_changes(client: &Client, bucket: &str) {
    let first = put(client, bucket, "a", "first").await;
    let second = put(client, bucket, "a", "second").await;
    let delete_if = |etag: &str| client.delete_object().bucket(bucket).key("a").if_match(etag).send();
    assert_eq!(error_of(delete_if(&first).await), precondition_failed());
    assert_eq!(get(client, bucket, "a").await, b"second");
    delete_if(&second).await.unwrap();
    assert!(list(client, bucket).await.is_empty());
}

pub(super) async fn reads_respect_etag_conditions(client: &Client, bucket: &str) {
    let etag = &put(client, bucket, "a", "abc").await;
    let other = "\"00000000000000000000000000000000\"";
    let get = || client.get_object().bucket(bucket).key("a");
    get().if_match(etag).send().await.unwrap();
    assert_eq!(error_of(get().if_match(other).send().await), precondition_failed());
    get().if_none_match(other).send().await.unwrap();
    assert_eq!(error_of(get().if_none_match(etag).send().await).0, 304);
    let head = || client.head_object().bucket(bucket).key("a");
    head().if_match(etag).send().await.unwrap();
    assert_eq!(error_of(head().if_match(other).send().await).0, 412);
    assert_eq!(error_of(head().if_none_match(etag).send().await).0, 304);
}

pub(super) async fn reads_respect_time_conditions(client: &Client, bucket: &str) {
    put(client, bucket, "a", "abc").await;
    let get = || client.get_object().bucket(bucket).key("a");
    let modified = get().send().await.unwrap().last_modified.unwrap();
    let before = DateTime::from(SystemTime::try_from(modified).unwrap() - Duration::from_secs(10));
    get().if_modified_since(before).send().await.unwrap();
    assert_eq!(error_of(get().if_modified_since(modified).send().await).0, 304);
    get().if_unmodified_since(modified).send().await.unwrap();
    assert_eq!(error_of(get().if_unmodified_since(before).send().await), precondition_failed());
}

pub(super) async fn exactly_one_of_several_racing_writers_wins(client: &Client, bucket: &str) {
    for round in 0..ROUNDS {
        let key = &format!("round/{round}.txt");
        let writers = (0..WRITERS).map(|writer| async move {
            let body = format!("{writer}").repeat(1000).into_bytes();
            let put = client.put_object().bucket(bucket).key(key).if_none_match("*").body(body.into());
            put.send().await.map(|_| writer)
        });
        let (won, lost): (Vec<_>, Vec<_>) = join_all(writers).await.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}");
        // S3 may also respond with 409 (try again) while another write is in progress.
        assert!(lost.into_iter().all(|lost| matches!(error_of(lost).0, 409 | 412)));
        let winner = won.into_iter().next().unwrap().unwrap();
        assert_eq!(get(client, bucket, key).await, format!("{winner}").repeat(1000).as_bytes());
    }
}
