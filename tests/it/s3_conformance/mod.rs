//! Checks of the S3 behaviour that this project relies on.
//!
//! The same checks run against the embedded server, LocalStack and moto, so that the embedded
//! server cannot diverge from the others unnoticed. [`KNOWN_DIFFERENCES`] lists where the others
//! are wrong.

mod buckets;
mod conditions;
mod keys;
mod listing;
mod multipart;
mod objects;
mod presigned;
mod stand_in;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use fruitvec_embedded_s3::{Credentials, Server, client};
use futures::future::BoxFuture;

use stand_in::StandIn;

/// A check of one behaviour, in a bucket that no other check uses.
struct Check {
    name: &'static str,
    /// Panics if the server behaves differently.
    run: fn(Client, String) -> BoxFuture<'static, ()>,
}

macro_rules! checks {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($(Check {
            name: stringify!($name),
            run: |client, bucket| Box::pin(async move { $module::$name(&client, &bucket).await }),
        }),+),+]
    };
}

const CHECKS: &[Check] = checks! {
    buckets:
        a_bucket_is_created_found_listed_and_deleted,
        a_bucket_with_objects_is_not_deleted,
        a_wrong_key_is_refused;
    objects:
        the_etag_of_an_object_is_its_md5,
        an_object_is_replaced_atomically,
        ranges_return_the_requested_bytes,
        missing_objects_and_buckets_have_their_error_codes,
        deleting_a_missing_object_succeeds,
        several_objects_are_deleted_by_one_request,
        a_copy_is_independent_of_its_source,
        a_conditional_copy_detects_changes_of_its_source,
        a_wrong_md5_is_refused,
        a_wrong_checksum_is_refused,
        a_correct_checksum_is_accepted,
        a_correct_checksum_is_returned,
        a_checksum_after_the_body_is_accepted;
    conditions:
        a_put_if_absent_succeeds_once,
        a_put_if_match_detects_changes,
        a_put_if_match_needs_an_object,
        a_delete_if_match_detects_changes,
        reads_respect_etag_conditions,
        reads_respect_time_conditions,
        exactly_one_of_several_racing_writers_wins;
    keys:
        unusual_keys_are_kept,
        dot_segments_are_kept,
        empty_segments_are_kept,
        the_longest_key_is_kept,
        a_key_that_is_too_long_is_refused,
        control_characters_are_kept;
    listing:
        keys_come_in_byte_order,
        pages_have_no_gaps_or_overlaps,
        folders_are_rolled_up,
        rolled_up_folders_are_paged,
        a_listing_starts_after_a_key,
        a_prefix_is_not_a_folder,
        an_encoded_listing_encodes_keys,
        a_listing_describes_its_objects;
    presigned:
        a_presigned_put_and_get_work,
        a_tampered_url_is_refused,
        an_expired_url_is_refused,
        another_content_type_is_refused;
    multipart:
        parts_become_one_object,
        a_part_that_was_not_sent_is_refused,
        an_aborted_upload_is_gone,
        an_upload_completes_only_if_absent,
        a_part_is_copied_from_an_object;
};

/// The checks that a server is known to fail, as (server, check, reason). The test fails if such a
/// check passes, so that outdated rows are removed.
const KNOWN_DIFFERENCES: &[(&str, &str, &str)] = &[
    ("localstack", "a_wrong_key_is_refused", "it accepts any key and signature in a header"),
    ("localstack", "a_delete_if_match_detects_changes", "it does not support conditional deletes"),
    ("moto", "a_wrong_key_is_refused", "it accepts any key and signature in a header"),
    ("moto", "a_conditional_copy_detects_changes_of_its_source", "it ignores the conditions of a copy"),
    ("moto", "a_wrong_md5_is_refused", "it ignores Content-MD5"),
    ("moto", "a_wrong_checksum_is_refused", "it ignores checksums"),
    ("moto", "a_correct_checksum_is_returned", "it does not return the checksum that it receives"),
    ("moto", "a_key_that_is_too_long_is_refused", "it accepts keys of any length"),
    ("moto", "control_characters_are_kept", "it cannot route a path with a line break"),
    ("moto", "a_tampered_url_is_refused", "it does not verify presigned URLs"),
    ("moto", "an_expired_url_is_refused", "it does not verify presigned URLs"),
    ("moto", "another_content_type_is_refused", "it does not verify presigned URLs"),
    ("moto", "an_aborted_upload_is_gone", "it responds with 500 for an aborted upload"),
];

/// The checks that a server fails only sometimes. The result of such a check is ignored.
const RARE_DIFFERENCES: &[(&str, &str, &str)] = &[(
    "moto",
    "exactly_one_of_several_racing_writers_wins",
    "it looks for the object before it writes, so on a busy machine two of sixteen writers have won",
)];

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_behaves_like_s3() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), 0).await.unwrap();
    check_all("embedded", &server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs LocalStack: tests/run installs it"]
async fn needs_python_localstack_behaves_like_s3() {
    let server = StandIn::localstack();
    check_all("localstack", &stand_in_client(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto: tests/run installs it"]
async fn needs_python_moto_behaves_like_s3() {
    let server = StandIn::moto();
    check_all("moto", &stand_in_client(&server)).await;
}

/// Both stand-ins accept this key pair by default.
fn stand_in_client(server: &StandIn) -> Client {
    let test = || "test".to_owned();
    client(&server.endpoint(), &Credentials { access_key_id: test(), secret_access_key: test() })
}

/// Runs all checks, and panics with a list of unexpected results.
async fn check_all(server: &str, client: &Client) {
    let mut surprises = Vec::new();
    for (index, check) in CHECKS.iter().enumerate() {
        let bucket = format!("conformance-{index}");
        create_bucket(client, &bucket).await;
        let result = tokio::spawn((check.run)(client.clone(), bucket)).await;
        if let (Err(_), Some((.., reason))) = (&result, difference(RARE_DIFFERENCES, server, check)) {
            println!("{server}: {} failed this time: {reason}", check.name);
            continue;
        }
        let known = difference(KNOWN_DIFFERENCES, server, check);
        match (result, known) {
            (Err(error), None) => surprises.push(format!("{}: {}", check.name, message(error))),
            (Ok(()), Some((_, _, reason))) => {
                surprises.push(format!("{} passed, so remove the known difference: {reason}", check.name));
            }
            _ => {}
        }
    }
    assert!(surprises.is_empty(), "{server}:\n{}", surprises.join("\n"));
}

fn difference(
    differences: &'static [(&'static str, &'static str, &'static str)],
    server: &str,
    check: &Check,
) -> Option<&'static (&'static str, &'static str, &'static str)> {
    differences.iter().find(|(at, name, _)| *at == server && *name == check.name)
}

async fn create_bucket(client: &Client, bucket: &str) {
    use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
    let region = BucketLocationConstraint::from(fruitvec_embedded_s3::REGION);
    let configuration = CreateBucketConfiguration::builder().location_constraint(region).build();
    client.create_bucket().bucket(bucket).create_bucket_configuration(configuration).send().await.unwrap();
}

/// Returns the panic message of a failed check.
fn message(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}

/// Returns the HTTP status and the error code of a request that must fail.
#[track_caller]
fn error_of<T: std::fmt::Debug, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = result.expect_err("the request succeeded");
    let status = error.raw_response().unwrap_or_else(|| panic!("no response: {error:?}")).status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

/// Puts an object. Returns its `ETag` with the quotes.
async fn put(client: &Client, bucket: &str, key: &str, body: impl Into<Vec<u8>>) -> String {
    let put = client.put_object().bucket(bucket).key(key).body(body.into().into()).send().await;
    put.unwrap_or_else(|error| panic!("put {key:?}: {error:?}")).e_tag.unwrap()
}

/// Returns the bytes of an object.
async fn get(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let got = client.get_object().bucket(bucket).key(key).send().await;
    let got = got.unwrap_or_else(|error| panic!("get {key:?}: {error:?}"));
    got.body.collect().await.unwrap().to_vec()
}

/// Returns all keys of a bucket, page by page.
async fn list(client: &Client, bucket: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    keys
}
