//! Uploads the demo's photos, and embeds them as their notifications arrive.

use std::collections::HashMap;
use std::time::Instant;

use fruitvec::contract::photo::PhotoId;
use fruitvec::error::{Error, Result};
use fruitvec::ingest::notification_loop::dispatch;
use fruitvec::ingest::{DeliveryOutcome, Ingest};
use fruitvec::s3::Store;
use fruitvec::table::{PhotoStatus, Snapshot};
use fruitvec_embedded_s3::Server;
use futures::{StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use super::super::embedded::{PHOTOS, RESULTS};
use super::photo_source::PhotoSources;
use super::summary::Summary;

/// Uploads in flight.
const CONCURRENCY: usize = 8;

/// The result of one photo's upload.
enum Upload {
    /// It was uploaded, so a notification will report it.
    Done,
    /// The table already has it.
    Known(PhotoStatus),
    /// Its file can't be read.
    Unreadable(Error),
}

/// Uploads photos to an embedded S3.
pub(super) struct Uploader<'a> {
    pub(super) server: &'a Server,
    pub(super) store: &'a Store,
    pub(super) ingest: &'a Ingest,
}

impl Uploader<'_> {
    /// Uploads the photos that the table does not have, and embeds them as their notifications
    /// arrive.
    pub(super) async fn upload(&self, photos: &PhotoSources) -> Result<Summary> {
        let mut known = HashMap::new();
        let add = |photo, status| _ = known.insert(photo, status);
        Snapshot::take_each(self.store, RESULTS, &self.ingest.card().id, add).await?;

        let start = Instant::now();
        let bar = progress_bar(photos.by_key.len());
        let mut summary = Summary::default();
        let notifications = self.server.subscribe(PHOTOS);
        let (uploaded, all_uploaded) = oneshot::channel();
        let upload = async {
            let uploads = self.upload_each(photos, &known, &bar).await;
            // The receiver is gone only when the other future has failed, and its error is
            // returned.
            let _ = uploaded.send(());
            uploads
        };
        let until = async { _ = all_uploaded.await };
        let on_outcome = |delivery: &_, outcome: &DeliveryOutcome| {
            bar.inc(1);
            summary.add(delivery, outcome);
        };
        let embed = dispatch(notifications, self.ingest, until, on_outcome);
        let result = tokio::try_join!(upload, embed);
        bar.finish_and_clear();
        for (key, upload) in result?.0 {
            match upload {
                Upload::Done => (),
                Upload::Known(PhotoStatus::Embedded) => summary.present += 1,
                Upload::Known(PhotoStatus::Rejected) => summary.rejected_before += 1,
                Upload::Unreadable(error) => _ = summary.failed.insert(key, error.to_string()),
            }
        }
        summary.seconds = start.elapsed().as_secs_f64();
        Ok(summary)
    }

    async fn upload_each(
        &self,
        photos: &PhotoSources,
        known: &HashMap<PhotoId, PhotoStatus>,
        bar: &ProgressBar,
    ) -> Result<Vec<(String, Upload)>> {
        futures::stream::iter(&photos.by_key)
            .map(async |(key, source)| {
                let upload = match tokio::task::block_in_place(|| source.read()) {
                    Err(error) => Upload::Unreadable(error),
                    Ok((bytes, etag)) => match known.get(&PhotoId::of(PHOTOS, key, &etag)) {
                        Some(status) => Upload::Known(*status),
                        None => {
                            self.store.put(PHOTOS, key, "application/octet-stream", bytes).await?;
                            // The bar moves when the photo is embedded.
                            return Ok((key.clone(), Upload::Done));
                        }
                    },
                };
                bar.inc(1);
                Ok((key.clone(), upload))
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }
}

fn progress_bar(photos: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} photos  {per_sec}  {eta} left");
    let bar = ProgressBar::new(photos as u64);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
