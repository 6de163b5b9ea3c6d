//! Objects: put, get, delete and copy.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, Delete, ObjectIdentifier};

use super::{error_of, get, list, put};

pub(super) async fn the_etag_of_an_object_is_its_md5(client: &Client, bucket: &str) {
    let etag = put(client, bucket, "a.txt", "abc").await;
    assert_eq!(etag, "\"900150983cd24fb0d6963f7d28e17f72\"");
    let got = client.get_object().bucket(bucket).key("a.txt").send().await.unwrap();
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!(got.content_length(), Some(3));
    let head = client.head_object().bucket(bucket).key("a.txt").send().await.unwrap();
    assert_eq!((head.e_tag(), head.content_length()), (Some(etag.as_str()), Some(3)));
    assert_eq!(head.last_modified(), got.last_modified());
    let age =
        std::time::SystemTime::now().duration_since((*head.last_modified().unwrap()).try_into().unwrap());
    assert!(age.unwrap_or_default().as_secs() < 60);
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"abc");
    put(client, bucket, "empty", "").await;
    assert_eq!(get(client, bucket, "empty").await, b"");
}

/// While the object is overwritten, no reader sees bytes of two versions.
pub(super) async fn an_object_is_replaced_atomically(client: &Client, bucket: &str) {
    const LENGTH: usize = 3 << 20;
    put(client, bucket, "x.bin", vec![b'a'; LENGTH]).await;
    let write = async {
        for byte in *b"babababa" {
            put(client, bucket, "x.bin", vec![byte; LENGTH]).await;
        }
    };
    let read = async {
        for _ in 0..8 {
            let bytes = get(client, bucket, "x.bin").await;
            assert_eq!(bytes.len(), LENGTH);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a reader saw two versions in one response");
        }
    };
    tokio::join!(write, read, assert_etags_match_bytes(client, bucket, LENGTH));
}

async fn assert_etags_match_bytes(client: &Client, bucket: &str, length: usize) {
    for _ in 0..8 {
        let got = client.get_object().bucket(bucket).key("x.bin").send().await.unwrap();
        let etag = got.e_tag().unwrap().to_owned();
        let bytes = got.body.collect().await.unwrap().to_vec();
        assert_eq!(bytes.len(), length);
        let md5 = <md5::Md5 as md5::Digest>::digest(&bytes);
        assert_eq!(etag, format!("\"{}\"", hex::encode(md5)), "the ETag belongs to another version");
    }
}

pub(super) async fn ranges_return_the_requested_bytes(client: &Client, bucket: &str) {
    put(client, bucket, "digits.txt", "0123456789").await;
    for (range, bytes, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
    ] {
        let got = client.get_object().bucket(bucket).key("digits.txt").range(range).send().await.unwrap();
        assert_eq!(got.content_range(), Some(content_range), "{range}");
        assert_eq!(got.content_length(), Some(bytes.len() as i64), "{range}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), bytes.as_bytes(), "{range}");
    }
    let beyond = client.get_object().bucket(bucket).key("digits.txt").range("bytes=10-").send().await;
    assert_eq!(error_of(beyond), (416, "InvalidRange".to_owned()));
}

pub(super) async fn missing_objects_and_buckets_have_their_error_codes(client: &Client, bucket: &str) {
    let key = client.get_object().bucket(bucket).key("none").send().await;
    assert_eq!(error_of(key), (404, "NoSuchKey".to_owned()));
    assert_eq!(error_of(client.head_object().bucket(bucket).key("none").send().await).0, 404);
    let no_bucket = || (404, "NoSuchBucket".to_owned());
    assert_eq!(error_of(client.get_object().bucket("no-such").key("none").send().await), no_bucket());
    assert_eq!(error_of(client.list_objects_v2().bucket("no-such").send().await), no_bucket());
    let put = client.put_object().bucket("no-such").key("a").body(ByteStream::from_static(b"x"));
    assert_eq!(error_of(put.send().await), no_bucket());
}

pub(super) async fn deleting_a_missing_object_succeeds(client: &Client, bucket: &str) {
    put(client, bucket, "a/b", "x").await;
    for _ in 0..2 {
        client.delete_object().bucket(bucket).key("a/b").send().await.unwrap();
        assert!(list(client, bucket).await.is_empty());
    }
}

pub(super) async fn several_objects_are_deleted_by_one_request(client: &Client, bucket: &str) {
    for key in ["a", "a/b", "ü+&<>.jpg", "keep"] {
        put(client, bucket, key, "x").await;
    }
    let keys = ["a", "a/b", "ü+&<>.jpg", "never was"];
    let objects = keys.map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().unwrap();
    let deleted = client.delete_objects().bucket(bucket).delete(delete).send().await.unwrap();
    let mut names: Vec<_> = deleted.deleted().iter().filter_map(|object| object.key()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "a/b", "never was", "ü+&<>.jpg"]);
    assert!(deleted.errors().is_empty());
    assert_eq!(list(client, bucket).await, ["keep"]);
}

pub(super) async fn a_copy_is_independent_of_its_source(client: &Client, bucket: &str) {
    let etag = put(client, bucket, "from.txt", "abc").await;
    let copy = |key| client.copy_object().bucket(bucket).key(key).copy_source(format!("{bucket}/from.txt"));
    let copied = copy("to/to.txt").send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), Some(etag.as_str()));
    put(client, bucket, "from.txt", "other").await;
    assert_eq!(get(client, bucket, "to/to.txt").await, b"abc");
    let missing =
        client.copy_object().bucket(bucket).key("x").copy_source(format!("{bucket}/none")).send().await;
    assert_eq!(error_of(missing), (404, "NoSuchKey".to_owned()));
}

pub(super) async fn a_conditional_copy_detects_changes_of_its_source(client: &Client, bucket: &str) {
    let first = put(client, bucket, "from", "first").await;
    let second = put(client, bucket, "from", "second").await;
    let copy = |etag: &str| {
        let copy = client.copy_object().bucket(bucket).key("to").copy_source(format!("{bucket}/from"));
        copy.copy_source_if_match(etag).send()
    };
    assert_eq!(error_of(copy(&first).await), (412, "PreconditionFailed".to_owned()));
    assert_eq!(list(client, bucket).await, ["from"]);
    copy(&second).await.unwrap();
}

pub(super) async fn a_wrong_md5_is_refused(client: &Client, bucket: &str) {
    let put = client.put_object().bucket(bucket).key("a").body(ByteStream::from_static(b"abc"));
    let error = error_of(put.content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await);
    assert_eq!(error, (400, "BadDigest".to_owned()));
    assert!(list(client, bucket).await.is_empty());
}

pub(super) async fn a_wrong_checksum_is_refused(client: &Client, bucket: &str) {
    let put = client.put_object().bucket(bucket).key("a").body(ByteStream::from_static(b"abc"));
    let error = error_of(put.checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").send().await);
    assert_eq!(error.0, 400);
    assert!(list(client, bucket).await.is_empty());
}

/// The SHA-256 of `abc`.
const SHA256: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

pub(super) async fn a_correct_checksum_is_accepted(client: &Client, bucket: &str) {
    let put = client.put_object().bucket(bucket).key("a").body(ByteStream::from_static(b"abc"));
    put.content_md5("kAFQmDzST7DWlj99KOF/cg==").checksum_sha256(SHA256).send().await.unwrap();
    assert_eq!(get(client, bucket, "a").await, b"abc");
}

pub(super) async fn a_correct_checksum_is_returned(client: &Client, bucket: &str) {
    let put = client.put_object().bucket(bucket).key("a").body(ByteStream::from_static(b"abc"));
    let put = put.checksum_sha256(SHA256).send().await.unwrap();
    assert_eq!(put.checksum_sha256(), Some(SHA256));
}

/// The AWS CLI and clients with default settings send the checksum as a trailer.
pub(super) async fn a_checksum_after_the_body_is_accepted(client: &Client, bucket: &str) {
    let config = client.config().to_builder();
    let config = config.request_checksum_calculation(RequestChecksumCalculation::WhenSupported);
    let client = &Client::from_conf(config.build());
    let etag = put(client, bucket, "default.txt", "abc").await;
    assert_eq!(etag, "\"900150983cd24fb0d6963f7d28e17f72\"");
    let body = ByteStream::from(vec![b'x'; 200_000]);
    let put = client.put_object().bucket(bucket).key("crc").body(body);
    put.checksum_algorithm(ChecksumAlgorithm::Crc32C).send().await.unwrap();
    assert_eq!(get(client, bucket, "crc").await, vec![b'x'; 200_000]);
}
