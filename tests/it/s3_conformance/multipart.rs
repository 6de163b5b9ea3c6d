//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use md5::{Digest, Md5};

use super::{error_of, get, list, put};

const PART_BYTES: usize = 5 << 20;

async fn create_upload(client: &Client, bucket: &str) -> String {
    client.create_multipart_upload().bucket(bucket).key("big.bin").send().await.unwrap().upload_id.unwrap()
}

async fn part(client: &Client, bucket: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client.upload_part().bucket(bucket).key("big.bin").upload_id(id).part_number(number);
    let etag = part.body(ByteStream::from(body)).send().await.unwrap().e_tag.unwrap();
    CompletedPart::builder().part_number(number).e_tag(etag).build()
}

fn all(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build()
}

pub(super) async fn parts_become_one_object(client: &Client, bucket: &str) {
    let id = &create_upload(client, bucket).await;
    let last = part(client, bucket, id, 2, b"end".to_vec()).await;
    let first = part(client, bucket, id, 1, vec![b'x'; PART_BYTES]).await;
    assert!(list(client, bucket).await.is_empty());
    let complete = client.complete_multipart_upload().bucket(bucket).key("big.bin").upload_id(id);
    let completed = complete.multipart_upload(all(&[first, last])).send().await.unwrap();
    let md5s = [Md5::digest(vec![b'x'; PART_BYTES]), Md5::digest(b"end")].concat();
    let etag = format!("\"{}-2\"", hex::encode(Md5::digest(md5s)));
    assert_eq!(completed.e_tag(), Some(etag.as_str()));
    let head = client.head_object().bucket(bucket).key("big.bin").send().await.unwrap();
    assert_eq!(head.e_tag(), Some(etag.as_str()));
    assert_eq!(get(client, bucket, "big.bin").await, [&vec![b'x'; PART_BYTES][..], b"end"].concat());
}

pub(super) async fn a_part_that_was_not_sent_is_refused(client: &Client, bucket: &str) {
    let id = &create_upload(client, bucket).await;
    let sent = part(client, bucket, id, 1, b"x".to_vec()).await;
    let never = CompletedPart::builder().part_number(2).e_tag(sent.e_tag().unwrap()).build();
    let complete = client.complete_multipart_upload().bucket(bucket).key("big.bin").upload_id(id);
    let error = error_of(complete.multipart_upload(all(&[never])).send().await);
    assert_eq!(error, (400, "InvalidPart".to_owned()));
    assert!(list(client, bucket).await.is_empty());
}

pub(super) async fn an_aborted_upload_is_gone(client: &Client, bucket: &str) {
    let id = &create_upload(client, bucket).await;
    let sent = part(client, bucket, id, 1, b"x".to_vec()).await;
    client.abort_multipart_upload().bucket(bucket).key("big.bin").upload_id(id).send().await.unwrap();
    let complete = client.complete_multipart_upload().bucket(bucket).key("big.bin").upload_id(id);
    let error = error_of(complete.multipart_upload(all(&[sent])).send().await);
    assert_eq!(error, (404, "NoSuchUpload".to_owned()));
}

pub(super) async fn an_upload_completes_only_if_absent(client: &Client, bucket: &str) {
    let id = &create_upload(client, bucket).await;
    let sent = part(client, bucket, id, 1, b"x".to_vec()).await;
    put(client, bucket, "big.bin", "there").await;
    let complete =
        client.complete_multipart_upload().bucket(bucket).key("big.bin").upload_id(id).if_none_match("*");
    let error = error_of(complete.multipart_upload(all(&[sent])).send().await);
    assert_eq!(error, (412, "PreconditionFailed".to_owned()));
    assert_eq!(get(client, bucket, "big.bin").await, b"there");
}

/// The AWS CLI copies objects of more than 8 MB in this way.
pub(super) async fn a_part_is_copied_from_an_object(client: &Client, bucket: &str) {
    put(client, bucket, "from.txt", "0123456789").await;
    let id = &create_upload(client, bucket).await;
    let copy = client.upload_part_copy().bucket(bucket).key("big.bin").upload_id(id).part_number(1);
    let copy = copy.copy_source(format!("{bucket}/from.txt")).copy_source_range("bytes=2-5");
    let etag = copy.send().await.unwrap().copy_part_result.unwrap().e_tag.unwrap();
    assert_eq!(etag, format!("\"{}\"", hex::encode(Md5::digest(b"2345"))));
    let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
    let complete = client.complete_multipart_upload().bucket(bucket).key("big.bin").upload_id(id);
    complete.multipart_upload(all(&[part])).send().await.unwrap();
    assert_eq!(get(client, bucket, "big.bin").await, b"2345");
}
