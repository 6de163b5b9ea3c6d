//! Listings: order, pages, prefixes and folders.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;

use super::{list, put};

async fn put_all(client: &Client, bucket: &str, keys: &[&str]) {
    for key in keys {
        put(client, bucket, key, "x").await;
    }
}

fn keys(page: &ListObjectsV2Output) -> Vec<&str> {
    page.contents().iter().filter_map(|object| object.key()).collect()
}

fn folders(page: &ListObjectsV2Output) -> Vec<&str> {
    page.common_prefixes().iter().filter_map(|folder| folder.prefix()).collect()
}

pub(super) async fn keys_come_in_byte_order(client: &Client, bucket: &str) {
    // U+FF5E sorts after the emoji in UTF-16, but before it in UTF-8.
    let sorted = ["A", "B/a", "a", "a!", "a-", "a.b", "a/", "a/b", "a0", "aa", "é", "～", "🍎"];
    let mut shuffled = sorted;
    shuffled.reverse();
    put_all(client, bucket, &shuffled).await;
    assert_eq!(list(client, bucket).await, sorted);
}

pub(super) async fn pages_have_no_gaps_or_overlaps(client: &Client, bucket: &str) {
    let sorted = ["a", "a/1", "a/2/x", "a0", "b", "b/c/d", "z"];
    put_all(client, bucket, &sorted).await;
    for size in 1..=8 {
        let mut token = None;
        let mut seen = Vec::new();
        loop {
            let list = client.list_objects_v2().bucket(bucket).max_keys(size).set_continuation_token(token);
            let page = list.send().await.unwrap();
            assert!(page.contents().len() <= size as usize);
            assert_eq!(page.key_count(), Some(page.contents().len() as i32));
            seen.extend(keys(&page).into_iter().map(str::to_owned));
            token = page.next_continuation_token().map(str::to_owned);
            assert_eq!(page.is_truncated(), Some(token.is_some()));
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, sorted, "pages of {size}");
    }
}

pub(super) async fn folders_are_rolled_up(client: &Client, bucket: &str) {
    put_all(client, bucket, &["p/a", "p/a/1", "p/a/2", "p/b/c/3", "p/d", "p0", "o"]).await;
    let list = || client.list_objects_v2().bucket(bucket).delimiter("/");
    let page = list().send().await.unwrap();
    assert_eq!((keys(&page), folders(&page)), (vec!["o", "p0"], vec!["p/"]));
    let page = list().prefix("p/").send().await.unwrap();
    assert_eq!((keys(&page), folders(&page)), (vec!["p/a", "p/d"], vec!["p/a/", "p/b/"]));
    assert_eq!(page.key_count(), Some(4));
    let page = client.list_objects_v2().bucket(bucket).delimiter("b/").send().await.unwrap();
    assert_eq!(folders(&page), ["p/b/"]);
}

pub(super) async fn rolled_up_folders_are_paged(client: &Client, bucket: &str) {
    put_all(client, bucket, &["a/1", "a/2", "b", "c/1", "c/2", "d/1"]).await;
    let mut token = None;
    let mut seen = Vec::new();
    loop {
        let list = client.list_objects_v2().bucket(bucket).delimiter("/").max_keys(1);
        let page = list.set_continuation_token(token).send().await.unwrap();
        seen.extend(keys(&page).into_iter().chain(folders(&page)).map(str::to_owned));
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a/", "b", "c/", "d/"]);
}

pub(super) async fn a_listing_starts_after_a_key(client: &Client, bucket: &str) {
    put_all(client, bucket, &["a", "b", "b/c", "b/d", "c"]).await;
    let list = |key| client.list_objects_v2().bucket(bucket).start_after(key);
    assert_eq!(keys(&list("b").send().await.unwrap()), ["b/c", "b/d", "c"]);
    assert_eq!(keys(&list("b/cc").send().await.unwrap()), ["b/d", "c"]);
    assert_eq!(keys(&list("b/c").prefix("b/").send().await.unwrap()), ["b/d"]);
    assert!(keys(&list("zzz").send().await.unwrap()).is_empty());
}

pub(super) async fn a_prefix_is_not_a_folder(client: &Client, bucket: &str) {
    put_all(client, bucket, &["photo.txt", "photos/a b/1", "photos/a+b/2", "photos2"]).await;
    let list = |prefix| client.list_objects_v2().bucket(bucket).prefix(prefix);
    assert_eq!(keys(&list("photo").send().await.unwrap()).len(), 4);
    assert_eq!(keys(&list("photos/a").send().await.unwrap()), ["photos/a b/1", "photos/a+b/2"]);
    assert_eq!(keys(&list("photos/a+").send().await.unwrap()), ["photos/a+b/2"]);
    assert!(keys(&list("photos/a/").send().await.unwrap()).is_empty());
}

pub(super) async fn an_encoded_listing_encodes_keys(client: &Client, bucket: &str) {
    put_all(client, bucket, &["a b/ü&.txt", "plain/x.txt"]).await;
    let list = client.list_objects_v2().bucket(bucket).encoding_type(EncodingType::Url);
    let page = list.send().await.unwrap();
    assert_eq!(page.encoding_type(), Some(&EncodingType::Url));
    let decoded = keys(&page)[0].replace('+', " ");
    assert!(!keys(&page)[0].contains('&'));
    assert_eq!(percent_encoding::percent_decode_str(&decoded).decode_utf8().unwrap(), "a b/ü&.txt");
    assert_eq!(keys(&page)[1], "plain/x.txt");
}

pub(super) async fn a_listing_describes_its_objects(client: &Client, bucket: &str) {
    let etag = put(client, bucket, "a.txt", "abc").await;
    let page = client.list_objects_v2().bucket(bucket).send().await.unwrap();
    let object = &page.contents()[0];
    assert_eq!((object.e_tag(), object.size()), (Some(etag.as_str()), Some(3)));
    let head = client.head_object().bucket(bucket).key("a.txt").send().await.unwrap();
    assert_eq!(object.last_modified().unwrap().secs(), head.last_modified().unwrap().secs());
}
