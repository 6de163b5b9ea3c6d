//! Executes backfill tasks: embeds photos, records removals, and restores versions.

use std::time::Duration;

use futures::future::Either;
use futures::{StreamExt, TryStreamExt};
use time::OffsetDateTime;

use super::records::{KeyList, MissingKey, PhotoList, PhotoToEmbed, Reconcile};
use crate::batch::outcome::Report;
use crate::batch::results::Results;
use crate::contract::event::{Change, Delivery};
use crate::contract::photo::PhotoId;
use crate::error::{Error, Result};
use crate::ingest::{DeliveryOutcome, Ingest, ingest_with_retries};
use crate::table::removal::Removal;

/// Photos per batch. The photos of a batch that share a day become one part.
const BATCH: usize = 500;
/// Batches in flight: while the part of one is written, the threads embed the next.
const BATCH_CONCURRENCY: usize = 2;
/// Keys reconciled concurrently. Each takes up to three requests in sequence and almost no CPU.
const KEY_CONCURRENCY: usize = 64;
/// Wait before the second attempt at a photo. It doubles with each further attempt.
const RETRY_BACKOFF: Duration = Duration::from_millis(200);

/// Called with the number of photos and bytes that were just embedded.
pub(crate) type OnPhotos = dyn Fn(u64, u64) + Send + Sync;

/// Embeds the photos of a list.
pub(crate) async fn embed(
    results: Results<'_>,
    ingest: &Ingest,
    list: &PhotoList,
    on_photos: &OnPhotos,
) -> Result<Report> {
    let batches = list.photos.chunks(BATCH).map(|batch| embed_batch(results, ingest, &list.bucket, batch));
    let mut batches = futures::stream::iter(batches).buffer_unordered(BATCH_CONCURRENCY);
    let mut report = Report::default();
    while let Some(batch) = batches.try_next().await? {
        on_photos(batch.counts.get("photos"), batch.counts.get("bytes"));
        report.merge(batch);
    }
    Ok(report)
}

async fn embed_batch(
    results: Results<'_>,
    ingest: &Ingest,
    bucket: &str,
    photos: &[PhotoToEmbed],
) -> Result<Report> {
    let at = OffsetDateTime::now_utc();
    let delivery = |photo: &PhotoToEmbed| {
        let key = photo.key.clone();
        Delivery { bucket: bucket.to_owned(), key, change: Change::Created, at, attempts: 1 }
    };
    let deliveries = photos.iter().map(delivery).collect();
    let mut outcomes = Vec::with_capacity(photos.len());
    let on_outcome = |index: usize, _: &Delivery, outcome| outcomes.push((index, outcome));
    ingest_with_retries(ingest, deliveries, RETRY_BACKOFF, on_outcome).await?;
    let mut report = Report::default();
    for (index, outcome) in outcomes {
        let photo = &photos[index];
        // A photo that changed since it was listed is newer than all of its key's rows, so it needs
        // no reconciling.
        let is_listed_version = count_photo(&photo.key, &outcome, &mut report) == Some(photo.etag.as_str());
        if let Some(reconcile) = photo.reconcile.filter(|_| is_listed_version) {
            restore(results, bucket, photo, reconcile, &mut report).await?;
        }
    }
    report.counts.add("photos", photos.len() as u64);
    Ok(report)
}

/// Counts the outcome of a photo. Returns the `ETag` of the photo that was embedded or rejected.
fn count_photo<'a>(key: &str, outcome: &'a DeliveryOutcome, report: &mut Report) -> Option<&'a str> {
    let counts = &mut report.counts;
    let photo = match outcome {
        DeliveryOutcome::Embedded { photo, already, .. } => {
            counts.add(if *already { "already" } else { "embedded" }, 1);
            photo
        }
        DeliveryOutcome::Rejected { photo, rejection, .. } => {
            counts.add("rejected", 1);
            counts.add(&format!("rejected_{}", rejection.code), 1);
            photo
        }
        DeliveryOutcome::Failed(error) => {
            report.fail(key, error);
            return None;
        }
        DeliveryOutcome::Gone => {
            counts.add("gone", 1);
            return None;
        }
        _ => {
            counts.add("ignored", 1);
            return None;
        }
    };
    counts.add("bytes", photo.size_bytes);
    Some(&photo.etag)
}

/// Records the missing keys of a list as removed, and restores the versions that S3 holds.
pub(crate) async fn reconcile(results: Results<'_>, list: &KeyList) -> Result<Report> {
    let bucket = &list.bucket;
    // Both kinds of keys are in one stream, so they share one limit on concurrency.
    let missing = list.missing.iter().map(|missing| Either::Left(remove(results, bucket, missing)));
    let present = list.present.iter().map(|photo| {
        Either::Right(async {
            let mut report = Report::default();
            let reconcile = photo.reconcile.unwrap_or(Reconcile { superseded: None });
            restore(results, bucket, photo, reconcile, &mut report).await.map(|()| report)
        })
    });
    let mut keys = futures::stream::iter(missing.chain(present)).buffer_unordered(KEY_CONCURRENCY);
    let mut report = Report::default();
    while let Some(key) = keys.try_next().await? {
        report.merge(key);
    }
    Ok(report)
}

/// Records that a key was removed, unless S3 holds it after all.
async fn remove(results: Results<'_>, bucket: &str, missing: &MissingKey) -> Result<Report> {
    let mut report = Report::default();
    let removed = match results.store.head(bucket, &missing.key).await {
        Ok(_) => Ok("still_there"),
        Err(Error::NotFound { .. }) => {
            let (bucket, key) = (bucket.to_owned(), missing.key.clone());
            let removal = Removal { bucket, key, up_to: missing.up_to, except_photo_id: None };
            removal.record(results.store, results.bucket).await.map(|()| "removed")
        }
        Err(error) => Err(error),
    };
    count_key(&missing.key, removed, &mut report)?;
    Ok(report)
}

/// Makes the version that S3 holds the current one in the table.
async fn restore(
    results: Results<'_>,
    bucket: &str,
    photo: &PhotoToEmbed,
    reconcile: Reconcile,
    report: &mut Report,
) -> Result<()> {
    let id = PhotoId::of(bucket, &photo.key, &photo.etag);
    let version = (bucket, photo.key.as_str(), id);
    let restored = Removal::reconcile(results.store, results.bucket, version, reconcile.superseded).await;
    count_key(&photo.key, restored.map(|restored| if restored { "restored" } else { "changed" }), report)
}

/// Counts the result for one key. An S3 error costs only this key, not the rest of the task.
fn count_key(key: &str, result: Result<&'static str>, report: &mut Report) -> Result<()> {
    match result {
        Ok(name) => report.counts.add(name, 1),
        Err(error @ Error::S3 { .. }) => report.fail(key, &error),
        Err(error) => return Err(error),
    }
    Ok(())
}
