//! Keys are bytes, not paths, and are never changed.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;

use super::{get, list, put};

/// Puts an object at each key, then lists, reads and deletes all of them.
async fn assert_kept(client: &Client, bucket: &str, keys: &[&str]) {
    let mut sorted: Vec<_> = keys.to_vec();
    sorted.sort_unstable();
    for key in keys {
        put(client, bucket, key, *key).await;
    }
    assert_eq!(list(client, bucket).await, sorted);
    for key in keys {
        assert_eq!(get(client, bucket, key).await, key.as_bytes(), "{key:?}");
        client.delete_object().bucket(bucket).key(*key).send().await.unwrap();
    }
    assert!(list(client, bucket).await.is_empty());
}

pub(super) async fn unusual_keys_are_kept(client: &Client, bucket: &str) {
    let long_name = &format!("long/{}", "n".repeat(400));
    let long_emoji = &format!("long/{}.jpg", "🍎🍐".repeat(60));
    let keys = [
        "a+b",
        "a b",
        "a%20b",
        "a%2Bb",
        "100%",
        "%",
        "x",
        "x/y",
        "x/y/z",
        "x.y",
        "folder/",
        "~tilde",
        "q?a=b&c=d#e",
        "semi;colon:at@",
        "quote'\"quote",
        "<xml>&amp;",
        "back\\slash",
        "pipe|star*",
        "Apfel ä ö ü",
        "Ä",
        "А",
        "日本/語.jpg",
        "🍎/🍐+🍌.jpg",
        "embeddings/model=x/date=2026-11-23/abc.parquet",
        ".hidden",
        "..x",
        "v1.5/x.jpg",
        "(1) [2] {3}",
        "a$b!c,d^e`f",
        long_name,
        long_emoji,
    ];
    assert_kept(client, bucket, &keys).await;
}

pub(super) async fn dot_segments_are_kept(client: &Client, bucket: &str) {
    assert_kept(client, bucket, &["a/./b", "a/../b", "./c", "a/b", "b/..", "b/.", "..."]).await;
}

pub(super) async fn empty_segments_are_kept(client: &Client, bucket: &str) {
    assert_kept(client, bucket, &["a//b", "a/b", "a///", "a/", "/a", "//a"]).await;
}

pub(super) async fn the_longest_key_is_kept(client: &Client, bucket: &str) {
    let plain = "k".repeat(1024);
    let emoji = "🍎".repeat(256);
    let folders = "f/".repeat(512);
    assert_kept(client, bucket, &[&plain, &emoji, &folders]).await;
}

pub(super) async fn a_key_that_is_too_long_is_refused(client: &Client, bucket: &str) {
    let long = client.put_object().bucket(bucket).key("k".repeat(1025)).send().await;
    assert_eq!(super::error_of(long), (400, "KeyTooLongError".to_owned()));
}

/// XML cannot represent control characters, so the listing is URL-encoded.
pub(super) async fn control_characters_are_kept(client: &Client, bucket: &str) {
    let key = "bell\u{7}/line\n/tab\t.txt";
    put(client, bucket, key, "x").await;
    assert_eq!(get(client, bucket, key).await, b"x");
    let list = client.list_objects_v2().bucket(bucket).encoding_type(EncodingType::Url).send().await.unwrap();
    let listed = list.contents()[0].key().unwrap();
    assert_eq!(percent_encoding::percent_decode_str(listed).decode_utf8().unwrap(), key);
}
