//! What only the embedded S3 promises: files that other programs read and write, notifications, and that it can be
//! stopped and started.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use fruitvec::error::Error;
use fruitvec::local::Server;
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
async fn an_object_is_a_file_that_others_read_and_write() {
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
async fn a_removed_object_leaves_no_folders() {
    let data = tempfile::tempdir().unwrap();
    let (_server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    put(&client, "a/b/c/d.jpg", b"x").await;
    client.delete_object().bucket("photos").key("a/b/c/d.jpg").send().await.unwrap();
    assert_eq!(fs::read_dir(data.path().join("photos")).unwrap().count(), 0);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    let credentials = server.credentials().clone();
    client.create_bucket().bucket("photos").send().await.unwrap();
    let plain = put(&client, "a.jpg", b"abc").await;
    let joined = multipart(&client, "big.bin").await;
    assert!(joined.ends_with("-1\""));
    drop(server);
    // What a process that was killed leaves behind.
    fs::write(data.path().join(".fruitvec/tmp/half"), "x").unwrap();

    let (server, client) = start(data.path()).await;
    assert_eq!(server.credentials(), &credentials);
    assert_eq!(keys(&client).await, ["a.jpg", "big.bin"]);
    assert_eq!(etag(&client, "a.jpg").await, plain);
    assert_eq!(etag(&client, "big.bin").await, joined);
    assert_eq!(fs::read_dir(data.path().join(".fruitvec/tmp")).unwrap().count(), 0);

    // An ordinary put is not mistaken for the upload that it replaces.
    assert_eq!(put(&client, "big.bin", b"abc").await, plain);
    assert_eq!(etag(&client, "big.bin").await, plain);
}

#[tokio::test]
async fn a_large_file_is_digested_once() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let file = data.path().join("photos/large.jpg");
    let old = SystemTime::now() - Duration::from_secs(60);
    let write = |byte: u8| {
        fs::write(&file, vec![byte; 1 << 20]).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    };
    let kept = || fs::read_dir(data.path().join(".fruitvec/etags")).into_iter().flatten().flatten();
    write(0);
    // It has just changed, whatever its time says: it may change again within a tick of the clock.
    let zeros = etag(&client, "large.jpg").await;
    assert_eq!(kept().count(), 0);
    drop(server);

    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (server, client) = start(data.path()).await;
    assert_eq!(etag(&client, "large.jpg").await, zeros);
    drop(server);
    let note = kept().next().unwrap().path();
    let said = fs::read_to_string(&note).unwrap();
    fs::write(&note, said.replace(zeros.trim_matches('"'), "kept")).unwrap();
    let (server, client) = start(data.path()).await;
    assert_eq!(etag(&client, "large.jpg").await, "\"kept\"");
    drop(server);

    // As large, and as old by its time, but another.
    write(1);
    let (_server, client) = start(data.path()).await;
    let ones = etag(&client, "large.jpg").await;
    assert!(ones != zeros && ones != "\"kept\"", "{ones}");
    client.delete_object().bucket("photos").key("large.jpg").send().await.unwrap();
    assert_eq!(kept().count(), 0);
}

async fn multipart(client: &Client, key: &str) -> String {
    let begun = client.create_multipart_upload().bucket("photos").key(key).send().await.unwrap();
    let id = begun.upload_id.unwrap();
    let part = client.upload_part().bucket("photos").key(key).upload_id(&id).part_number(1);
    let etag = part.body(ByteStream::from_static(b"abc")).send().await.unwrap().e_tag.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket("photos").key(key).upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap().e_tag.unwrap()
}

#[tokio::test]
async fn a_refused_put_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let (_server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    put(&client, "a", b"x").await;
    let again = client.put_object().bucket("photos").key("a").if_none_match("*").send().await;
    assert!(again.is_err());
    assert_eq!(fs::read_dir(data.path().join(".fruitvec/tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn one_server_has_a_folder() {
    let data = tempfile::tempdir().unwrap();
    let (first, _) = start(data.path()).await;
    let Err(Error::Config(reason)) = Server::start(data.path(), 0).await else {
        panic!("two servers, one folder")
    };
    assert!(reason.contains("another fruitvec serves this folder"), "{reason}");
    drop(first);
    start(data.path()).await;
}

#[tokio::test]
async fn a_dropped_server_ends_its_connections() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let port = server.endpoint().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    drop(server);
    let gone = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    let again = client.list_buckets().send();
    assert!(tokio::time::timeout(Duration::from_secs(30), again).await.unwrap().is_err());
}

#[tokio::test]
async fn every_change_is_told_once_and_in_order() {
    let data = tempfile::tempdir().unwrap();
    let (server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let mut told = server.subscribe("photos");
    put(&client, "a b/ü+1.jpg", b"abc").await;
    assert!(client.put_object().bucket("photos").key("a b/ü+1.jpg").if_none_match("*").send().await.is_err());
    let from = "photos/a%20b/%C3%BC%2B1.jpg";
    client.copy_object().bucket("photos").key("copy.jpg").copy_source(from).send().await.unwrap();
    multipart(&client, "big.bin").await;
    client.delete_object().bucket("photos").key("never.jpg").send().await.unwrap();
    client.delete_object().bucket("photos").key("copy.jpg").send().await.unwrap();

    let mut records = Vec::new();
    while let Ok(document) = told.try_recv() {
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

/// Large folders are remembered between pages: what changes between them must be seen all the same.
#[tokio::test]
async fn a_large_folder_is_listed_as_it_changes() {
    const FILES: usize = 2_500;
    let data = tempfile::tempdir().unwrap();
    let (_server, client) = start(data.path()).await;
    client.create_bucket().bucket("photos").send().await.unwrap();
    let folder = data.path().join("photos/flat");
    fs::create_dir(&folder).unwrap();
    for number in 0..FILES {
        fs::write(folder.join(format!("{number:06}.jpg")), "").unwrap();
    }
    // Old enough to be remembered.
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
    let mut wanted: Vec<_> = (0..FILES).map(|number| format!("flat/{number:06}.jpg")).collect();
    wanted[2001] = "flat/002000a.jpg".to_owned();
    assert_eq!(listed, wanted);
}
