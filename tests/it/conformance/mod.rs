//! What S3 promises and this project builds on, asked of every S3 that it is tested with: one list of checks, run
//! against the embedded server, LocalStack and moto. So the embedded server can't drift from the others without a
//! test that fails, and what the others get wrong stands in one table, [`KNOWN_DIFFERENCES`].

mod buckets;
mod conditions;
mod keys;
mod listing;
mod objects;
mod presigned;
mod stand_in;
mod uploads;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use fruitvec::local::{Credentials, Server, client};
use futures::future::BoxFuture;

use stand_in::StandIn;

/// One promise: a sentence, and the code that holds an S3 to it in a bucket of its own. It panics where it is broken.
struct Check {
    name: &'static str,
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
    buckets: a_bucket_is_made_found_listed_and_deleted, a_bucket_with_objects_is_not_deleted, a_wrong_key_is_refused;
    objects: an_object_comes_back_with_its_md5_as_etag, an_object_is_replaced_whole, ranges_are_cut_as_asked,
        what_is_missing_is_named, deleting_twice_is_fine, many_are_deleted_at_once, a_copy_is_an_object_of_its_own, a_copy_sees_changes_of_its_source,
        a_wrong_md5_is_refused, a_wrong_checksum_is_refused, a_right_checksum_is_taken, a_right_checksum_is_repeated,
        a_checksum_behind_the_body_is_taken;
    conditions: a_put_if_absent_happens_once, a_put_if_unchanged_sees_changes, a_put_if_unchanged_needs_an_object,
        a_delete_if_unchanged_sees_changes, reads_weigh_etags, reads_weigh_times, of_racing_writers_one_wins;
    keys: awkward_keys_come_back, dot_segments_are_kept, empty_segments_are_kept, the_longest_key_is_kept, a_key_that_is_too_long_is_refused,
        control_characters_are_kept;
    listing: keys_come_in_byte_order, pages_join_without_gap_or_overlap, folders_are_rolled_up,
        rolled_up_folders_are_paged, a_listing_starts_after_a_key, a_prefix_is_not_a_folder,
        an_encoded_listing_encodes_keys, a_listing_describes_its_objects;
    presigned: a_presigned_put_and_get_work, a_tampered_url_is_refused, an_expired_url_is_refused,
        another_content_type_is_refused;
    uploads: parts_become_one_object, a_part_that_was_not_sent_is_refused, an_aborted_upload_is_gone,
        an_upload_completes_only_if_absent, a_part_is_copied_from_an_object;
};

/// Where a stand-in is wrong, and how. A row that is no longer true fails the test: it must go.
const KNOWN_DIFFERENCES: &[(&str, &str, &str)] = &[
    ("localstack", "a_wrong_key_is_refused", "it takes any key and signature in a header"),
    ("localstack", "a_delete_if_unchanged_sees_changes", "it knows no conditional delete"),
    ("moto", "a_wrong_key_is_refused", "it takes any key and signature in a header"),
    ("moto", "a_copy_sees_changes_of_its_source", "it ignores the conditions of a copy"),
    ("moto", "a_wrong_md5_is_refused", "it does not look at Content-MD5"),
    ("moto", "a_wrong_checksum_is_refused", "it does not look at checksums"),
    ("moto", "a_right_checksum_is_repeated", "it answers no checksum that it was sent"),
    ("moto", "a_key_that_is_too_long_is_refused", "it takes keys of any length"),
    ("moto", "control_characters_are_kept", "it routes no path with a line break"),
    ("moto", "a_tampered_url_is_refused", "it does not verify presigned URLs"),
    ("moto", "an_expired_url_is_refused", "it does not verify presigned URLs"),
    ("moto", "another_content_type_is_refused", "it does not verify presigned URLs"),
    ("moto", "an_aborted_upload_is_gone", "it answers 500 for an upload that is gone"),
];

/// Where a stand-in is wrong now and then: no test may lean on it there, and none can say beforehand what it does.
const RARE_DIFFERENCES: &[(&str, &str, &str)] = &[(
    "moto",
    "of_racing_writers_one_wins",
    "it asks whether the object is there, then writes: on a busy machine two of sixteen writers have won",
)];

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_keeps_what_s3_promises() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), 0).await.unwrap();
    keeps_what_s3_promises("embedded", &server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs LocalStack: tests/run installs it"]
async fn needs_python_localstack_keeps_what_s3_promises() {
    let server = StandIn::localstack();
    keeps_what_s3_promises("localstack", &stand_in_client(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto: tests/run installs it"]
async fn needs_python_moto_keeps_what_s3_promises() {
    let server = StandIn::moto();
    keeps_what_s3_promises("moto", &stand_in_client(&server)).await;
}

/// The stand-ins know this pair of keys without being told.
fn stand_in_client(server: &StandIn) -> Client {
    let test = || "test".to_owned();
    client(&server.endpoint(), &Credentials { access_key_id: test(), secret_access_key: test() })
}

/// Runs every check, and tells of all that fail.
async fn keeps_what_s3_promises(server: &str, client: &Client) {
    let mut surprises = Vec::new();
    for (index, check) in CHECKS.iter().enumerate() {
        let bucket = format!("conformance-{index}");
        make_bucket(client, &bucket).await;
        let result = tokio::spawn((check.run)(client.clone(), bucket)).await;
        if let (Err(_), Some((.., reason))) = (&result, difference(RARE_DIFFERENCES, server, check)) {
            println!("{server}: {} does not hold this time: {reason}", check.name);
            continue;
        }
        let known = difference(KNOWN_DIFFERENCES, server, check);
        match (result, known) {
            (Err(error), None) => surprises.push(format!("{}: {}", check.name, message(error))),
            (Ok(()), Some((_, _, reason))) => {
                surprises.push(format!("{} holds, though it is written that {reason}", check.name));
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

async fn make_bucket(client: &Client, bucket: &str) {
    use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
    let place = BucketLocationConstraint::from(fruitvec::local::REGION);
    let place = CreateBucketConfiguration::builder().location_constraint(place).build();
    client.create_bucket().bucket(bucket).create_bucket_configuration(place).send().await.unwrap();
}

/// What a check that failed has to say.
fn message(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}

/// The HTTP status and the code of an answer that must be an error.
#[track_caller]
fn refusal<T: std::fmt::Debug, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = result.expect_err("it was not refused");
    let status = error.raw_response().unwrap_or_else(|| panic!("no answer: {error:?}")).status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

/// Puts an object; its `ETag` as the server wrote it.
async fn put(client: &Client, bucket: &str, key: &str, body: impl Into<Vec<u8>>) -> String {
    let put = client.put_object().bucket(bucket).key(key).body(body.into().into()).send().await;
    put.unwrap_or_else(|error| panic!("put {key:?}: {error:?}")).e_tag.unwrap()
}

/// An object's bytes.
async fn get(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let got = client.get_object().bucket(bucket).key(key).send().await;
    let got = got.unwrap_or_else(|error| panic!("get {key:?}: {error:?}"));
    got.body.collect().await.unwrap().to_vec()
}

/// All keys of a bucket, page by page.
async fn list(client: &Client, bucket: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    keys
}
