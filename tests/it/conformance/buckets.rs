//! Buckets, and who may use them.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::presigning::PresigningConfig;

use super::{make_bucket, put, refusal};

pub(super) async fn a_bucket_is_made_found_listed_and_deleted(client: &Client, bucket: &str) {
    let other = &format!("{bucket}-other");
    assert_eq!(refusal(client.head_bucket().bucket(other).send().await).0, 404);
    make_bucket(client, other).await;
    client.head_bucket().bucket(other).send().await.unwrap();
    let listed = client.list_buckets().send().await.unwrap();
    assert!(listed.buckets().iter().any(|bucket| bucket.name() == Some(other)));
    client.delete_bucket().bucket(other).send().await.unwrap();
    assert_eq!(refusal(client.head_bucket().bucket(other).send().await).0, 404);
    let again = refusal(client.delete_bucket().bucket(other).send().await);
    assert_eq!(again, (404, "NoSuchBucket".to_owned()));
}

pub(super) async fn a_bucket_with_objects_is_not_deleted(client: &Client, bucket: &str) {
    put(client, bucket, "a/b.txt", "x").await;
    let refused = refusal(client.delete_bucket().bucket(bucket).send().await);
    assert_eq!(refused, (409, "BucketNotEmpty".to_owned()));
    client.delete_object().bucket(bucket).key("a/b.txt").send().await.unwrap();
    client.delete_bucket().bucket(bucket).send().await.unwrap();
}

pub(super) async fn a_wrong_key_is_refused(client: &Client, bucket: &str) {
    let own = own_id(client, bucket).await;
    for (id, code) in [(own.as_str(), "SignatureDoesNotMatch"), ("NOBODY", "InvalidAccessKeyId")] {
        let wrong = Credentials::new(id, "wrong", None, None, "test");
        let stranger = Client::from_conf(client.config().to_builder().credentials_provider(wrong).build());
        let refused = refusal(stranger.list_objects_v2().bucket(bucket).send().await);
        assert_eq!(refused, (403, code.to_owned()));
    }
}

/// The client's access key id: the SDK tells it only in what it signs.
async fn own_id(client: &Client, bucket: &str) -> String {
    let soon = PresigningConfig::expires_in(Duration::from_secs(1)).unwrap();
    let url = client.head_object().bucket(bucket).key("a").presigned(soon).await.unwrap().uri().to_owned();
    let (_, credential) = url.split_once("X-Amz-Credential=").unwrap();
    credential.split_once("%2F").unwrap().0.to_owned()
}
