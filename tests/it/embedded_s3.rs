//! Behaviour that only the embedded S3 has: files that other programs read and write,
//! notifications, and restarts.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use fruitvec::error::Error;
use fruitvec_embedded_s3::Server;
use serde_json::Value;

async fn start(data: &Path) -> (Server, Client) {
    let server = Server::start(data, 0).await.unwrap();
    let client = server.client();
    (server, client)
}

async fn put(client: &Client, key: &str, body: &'static [u8]) -> String {
    let put = client.put_object().bucket("photos").key(key).body(ByteStream::from_static(body)).send().await;
    put.unwrap().e_tag.unwrap()
}

async fn etag(client: &Client, key: &str) -> String {
    client.head_object().bucket("photos").key(key).send().await.unwrap().e_tag.unwrap()
}

async fn keys(client: &Client) -> Vec<String> {
    let page = client.list_objects_v2().bucket("photos").send().await.unwrap();
    page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()
}

#[tokio::test]
async fn an_object_is_a_file_that_other_programs_read_and_write() {
    let data = tempfile::tempdir().unwrap();
    let (_server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let before = put(&client, "embeddings/model=x/date=2026-11-23/abc.parquet", b"one").await;
    let file = data.path().join("photos/embeddings/model=x/date=2026-11-23/abc.parquet");
    assert_eq!(fs::read(&file).unwrap(), b"one");

    fs::write(&file, "two").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_ne!(etag(&client, "embeddings/model=x/date=2026-11-23/abc.parquet").await, before);

    fs::create_dir_all(data.path().join("photos/Kiwi")).unwrap();
    fs::write(data.path().join("photos/Kiwi/1.jpg"), "abc").unwrap();
    assert_eq!(etag(&client, "Kiwi/1.jpg").await, "\"900150983cd24fb0d6963f7d28e17f72\"");
    assert_eq!(keys(&client).await, ["Kiwi/1.jpg", "embeddings/model=x/date=2026-11-23/abc.parquet"]);
}

#[tokio::test]
async fn a_deleted_object_leaves_no_folders() {
    let data = tempfile::tempdir().unwrap();
    let (_server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    put(&client, "a/b/c/d.jpg", b"x").await;
    client.delete_object().bucket("photos").key("a/b/c/d.jpg").send().await.unwrap();
    assert_eq!(fs::read_dir(data.path().join("photos")).unwrap().count(), 0);
}

#[tokio::test]
async fn objects_and_etags_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    let credentials = server.credentials().clone();
    client.create_bucket().bucket("photos").send().await.unwrap();
    let plain = put(&client, "a.jpg", b"abc").await;
    let joined = multipart(&client, "big.bin").await;
    assert!(joined.ends_with("-1\""));
    drop(server);
    // A killed process leaves temporary files.
    fs::write(data.path().join(".fruitvec/tmp/half"), "x").unwrap();

    let (server, client) = start(data.path()).await;
    assert_eq!(server.credentials(), &credentials);
    assert_eq!(keys(&client).await, ["a.jpg", "big.bin"]);
    assert_eq!(etag(&client, "a.jpg").await, plain);
    assert_eq!(etag(&client, "big.bin").await, joined);
    assert_eq!(fs::read_dir(data.path().join(".fruitvec/tmp")).unwrap().count(), 0);

    // A put that replaces a multipart upload does not inherit its ETag.
    assert_eq!(put(&client, "big.bin", b"abc").await, plain);
    assert_eq!(etag(&client, "big.bin").await, plain);
}

#[tokio::test]
async fn the_etag_of_a_large_file_is_computed_once() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let file = data.path().join("photos/large.jpg");
    let old = SystemTime::now() - Duration::from_secs(60);
    let write = |byte: u8| {
        fs::write(&file, vec![byte; 1 << 20]).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    };
    let cached = || fs::read_dir(data.path().join(".fruitvec/etags")).into_iter().flatten().flatten();
    write(0);
    // Whatever its modification time says, the file was just written, and could change again within
    // one tick of the clock. Its ETag is not cached yet.
    let zeros = etag(&client, "large.jpg").await;
    assert_eq!(cached().count(), 0);
    drop(server);

    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (server, client) = start(data.path()).await;
    assert_eq!(etag(&client, "large.jpg").await, zeros);
    drop(server);
    // A changed entry shows that the ETag comes from the cache.
    let entry = cached().next().unwrap().path();
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, text.replace(zeros.trim_matches('"'), "cached")).unwrap();
    let (server, client) = start(data.path()).await;
    assert_eq!(etag(&client, "large.jpg").await, "\"cached\"");
    drop(server);

    // Another file of the same size and modification time.
    write(1);
    let (_server, client) = start(data.path()).await;
    let ones = etag(&client, "large.jpg").await;
    assert!(ones != zeros && ones != "\"cached\"", "{ones}");
    client.delete_object().bucket("photos").key("large.jpg").send().await.unwrap();
    assert_eq!(cached().count(), 0);
}

/// Uploads an object in one part. Returns its `ETag`.
async fn multipart(client: &Client, key: &str) -> String {
    let upload = client.create_multipart_upload().bucket("photos").key(key).send().await.unwrap();
    let id = upload.upload_id.unwrap();
    let part = client.upload_part().bucket("photos").key(key).upload_id(&id).part_number(1);
    let etag = part.body(ByteStream::from_static(b"abc")).send().await.unwrap().e_tag.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket("photos").key(key).upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap().e_tag.unwrap()
}

#[tokio::test]
async fn a_put_that_fails_its_condition_leaves_no_temporary_file() {
    let data = tempfile::tempdir().unwrap();
    let (_server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    put(&client, "a", b"x").await;
    let again = client.put_object().bucket("photos").key("a").if_none_match("*").send().await;
    assert!(again.is_err());
    assert_eq!(fs::read_dir(data.path().join(".fruitvec/tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_is_served_by_one_server_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let (first, _) = start(data.path()).await;
    let Err(Error::Config(reason)) = Server::start(data.path(), 0).await else {
        panic!("two servers on one folder")
    };
    assert!(reason.contains("another fruitvec serves this folder"), "{reason}");
    drop(first);
    start(data.path()).await;
}

#[tokio::test]
async fn a_dropped_server_closes_its_connections() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let port = server.endpoint().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    drop(server);
    let closed = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed).await.unwrap();
    let again = client.list_buckets().send();
    assert!(tokio::time::timeout(Duration::from_secs(30), again).await.unwrap().is_err());
}

#[tokio::test]
async fn each_change_is_notified_once_and_in_order() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let mut notifications = server.subscribe("photos");
    put(&client, "a b/ü+1.jpg", b"abc").await;
    assert!(client.put_object().bucket("photos").key("a b/ü+1.jpg").if_none_match("*").send().await.is_err());
    let from = "photos/a%20b/%C3%BC%2B1.jpg";
    client.copy_object().bucket("photos").key("copy.jpg").copy_source(from).send().await.unwrap();
    multipart(&client, "big.bin").await;
    client.delete_object().bucket("photos").key("never.jpg").send().await.unwrap();
    client.delete_object().bucket("photos").key("copy.jpg").send().await.unwrap();

    let mut records = Vec::new();
    while let Ok(document) = notifications.try_recv() {
        let mut document: Value = serde_json::from_str(&document).unwrap();
        records.push(document["Records"][0].take());
    }
    let names: Vec<_> =
        records.iter().map(|it| (it["eventName"].as_str(), it["s3"]["object"]["key"].as_str())).collect();
    assert_eq!(
        names,
        [
            (Some("ObjectCreated:Put"), Some("a+b/%C3%BC%2B1.jpg")),
            (Some("ObjectCreated:Copy"), Some("copy.jpg")),
            (Some("ObjectCreated:CompleteMultipartUpload"), Some("big.bin")),
            (Some("ObjectRemoved:Delete"), Some("copy.jpg")),
        ]
    );
    assert_eq!(records[0]["s3"]["object"]["eTag"], "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(records[0]["s3"]["object"]["size"], 3);
    assert!(records.is_sorted_by_key(|it| it["s3"]["object"]["sequencer"].as_str().unwrap().to_owned()));
}

/// The entries of a large folder are cached between pages, but changes must still be visible.
#[tokio::test]
async fn changes_of_a_large_folder_are_visible_between_pages() {
    const FILES: usize = 2_500;
    let data = tempfile::tempdir().unwrap();
    let (_server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let folder = data.path().join("photos/flat");
    fs::create_dir(&folder).unwrap();
    for number in 0..FILES {
        fs::write(folder.join(format!("{number:06}.jpg")), "").unwrap();
    }
    // Only folders that were not modified recently are cached.
    fs::File::open(&folder).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let list = || client.list_objects_v2().bucket("photos").prefix("flat/");
    let first = list().send().await.unwrap();
    put(&client, "flat/000500a.jpg", b"x").await;
    put(&client, "flat/002000a.jpg", b"x").await;
    client.delete_object().bucket("photos").key("flat/002001.jpg").send().await.unwrap();

    let mut listed: Vec<_> = first.contents().iter().map(|object| object.key().unwrap().to_owned()).collect();
    let mut token = first.next_continuation_token;
    while token.is_some() {
        let page = list().set_continuation_token(token).send().await.unwrap();
        listed.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        token = page.next_continuation_token;
    }
    let mut expected: Vec<_> = (0..FILES).map(|number| format!("flat/{number:06}.jpg")).collect();
    expected[2001] = "flat/002000a.jpg".to_owned();
    assert_eq!(listed, expected);
}
