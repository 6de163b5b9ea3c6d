//! Buckets, and access with wrong keys.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::presigning::PresigningConfig;

use super::{create_bucket, error_of, put};

pub(super) async fn a_bucket_is_created_found_listed_and_deleted(client: &Client, bucket: &str) {
    let other = &format!("{bucket}-other");
    assert_eq!(error_of(client.head_bucket().bucket(other).send().await).0, 404);
    create_bucket(client, other).await;
    client.head_bucket().bucket(other).send().await.unwrap();
    let listed = client.list_buckets().send().await.unwrap();
    assert!(listed.buckets().iter().any(|bucket| bucket.name() == Some(other)));
    client.delete_bucket().bucket(other).send().await.unwrap();
    assert_eq!(error_of(client.head_bucket().bucket(other).send().await).0, 404);
    let again = error_of(client.delete_bucket().bucket(other).send().await);
    assert_eq!(again, (404, "NoSuchBucket".to_owned()));
}

pub(super) async fn a_bucket_with_objects_is_not_deleted(client: &Client, bucket: &str) {
    put(client, bucket, "a/b.txt", "x").await;
    let error = error_of(client.delete_bucket().bucket(bucket).send().await);
    assert_eq!(error, (409, "BucketNotEmpty".to_owned()));
    client.delete_object().bucket(bucket).key("a/b.txt").send().await.unwrap();
    client.delete_bucket().bucket(bucket).send().await.unwrap();
}

pub(super) async fn a_wrong_key_is_refused(client: &Client, bucket: &str) {
    let id = access_key_id(client, bucket).await;
    for (id, code) in [(id.as_str(), "SignatureDoesNotMatch"), ("NOBODY", "InvalidAccessKeyId")] {
        let wrong = Credentials::new(id, "wrong", None, None, "test");
        let stranger = Client::from_conf(client.config().to_builder().credentials_provider(wrong).build());
        let error = error_of(stranger.list_objects_v2().bucket(bucket).send().await);
        assert_eq!(error, (403, code.to_owned()));
    }
}

/// Returns the client's access key id, which the SDK shows only in signed requests.
async fn access_key_id(client: &Client, bucket: &str) -> String {
    let soon = PresigningConfig::expires_in(Duration::from_secs(1)).unwrap();
    let url = client.head_object().bucket(bucket).key("a").presigned(soon).await.unwrap().uri().to_owned();
    let (_, credential) = url.split_once("X-Amz-Credential=").unwrap();
    credential.split_once("%2F").unwrap().0.to_owned()
}
