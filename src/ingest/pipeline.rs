//! Turns deliveries into outcomes, the same way in a Lambda function, on Spark and on a laptop.
//!
//! An outcome other than [`DeliveryOutcome::Failed`] is durable in S3, so its delivery can be
//! acknowledged. Deliveries arrive at least once and in any order. Processing them twice, or
//! concurrently, does no harm. One bad photo never fails its batch, and a slow one does not either:
//! see [`deadline`](super::deadline).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use time::{Date, OffsetDateTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::claim::{Claim, EndOnDrop};
use super::deadline::{Deadline, LatencyEstimate};
use super::dedup::DedupedBatch;
use super::embed_job::{EmbedJob, Embedded, catch_panic};
use super::memory_budget::MemoryBudget;
use super::outcome::{DeliveryOutcome, StageTimings};
use crate::blocking::{block_on, run_blocking};
use crate::contract::event::{Change, Delivery};
use crate::contract::layout::{Part, Partition};
use crate::contract::limits::Limits;
use crate::contract::model_card::ModelCard;
use crate::contract::photo::Photo;
use crate::embed::Embedder;
use crate::error::{Disposition, Error, Result};
use crate::rejection::{RejectCode, Rejection};
use crate::s3::permits::acquire;
use crate::s3::{PutResult, Store};
use crate::table::reject::Reject;
use crate::table::removal::Removal;
use crate::table::{self, Row};

/// Deliveries of a batch that are processed concurrently. More than are embedded in parallel,
/// because most of them wait for S3.
const IN_FLIGHT: usize = 16;

/// Attempts at a photo that takes too long, before it is rejected. The first may have met a busy
/// machine.
const ATTEMPTS_IF_SLOW: u32 = 2;

/// The pipeline and its resources. Created once, before the first event, and shared by all batches.
pub struct Ingest {
    store: Store,
    results_bucket: String,
    embedder: Arc<dyn Embedder>,
    limits: Limits,
    /// The column `made_by`.
    made_by: String,
    /// One permit for each photo that may be embedded in parallel.
    threads: Arc<Semaphore>,
    /// One permit for each photo that may occupy a blocking thread, running or waiting for one of
    /// `threads`.
    turns: Arc<Semaphore>,
    memory: MemoryBudget,
    latency: LatencyEstimate,
    /// The number of threads that still work on a photo whose time is over.
    abandoned: Arc<AtomicUsize>,
}

/// A delivery before the rows of its batch are written.
enum Prepared {
    /// A row that is not written yet.
    Row(Box<Row>, StageTimings),
    /// A final outcome.
    Done(DeliveryOutcome),
}

impl Ingest {
    /// Creates a pipeline that embeds up to `threads` photos in parallel and writes to
    /// `results_bucket`.
    #[must_use]
    pub fn new(
        store: Store,
        results_bucket: impl Into<String>,
        embedder: Arc<dyn Embedder>,
        limits: Limits,
        threads: usize,
    ) -> Self {
        // Colour management changed embeddings, so a reader can tell the rows from before.
        let made_by = format!("fruitvec {} {} icc", env!("CARGO_PKG_VERSION"), embedder.engine());
        let side = embedder.card().input.side;
        Self {
            store,
            results_bucket: results_bucket.into(),
            embedder,
            limits,
            made_by,
            threads: Arc::new(Semaphore::new(threads.max(1))),
            turns: Arc::new(Semaphore::new(2 * threads.max(1))),
            memory: MemoryBudget::new(&limits, side),
            latency: LatencyEstimate::new(),
            abandoned: Arc::default(),
        }
    }

    /// Returns the card of the model that embeds.
    #[must_use]
    pub fn card(&self) -> &ModelCard {
        self.embedder.card()
    }

    /// Returns the number of threads that still work on a photo whose time is over.
    ///
    /// They take CPU time and memory from later photos until their decoder returns, if it does.
    #[must_use]
    pub fn abandoned_threads(&self) -> usize {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Ingests a batch. Returns one outcome for each delivery, in the same order.
    ///
    /// The rows of one date become one part. All rows stay in memory until then, so a batch should
    /// have hundreds of deliveries, not thousands.
    pub async fn ingest(&self, deliveries: &[Delivery]) -> Vec<DeliveryOutcome> {
        self.ingest_within(deliveries, &Deadline::none(&self.latency)).await
    }

    /// Like [`Ingest::ingest`], but returns before `end`. Deliveries that do not fit into the time
    /// fail with [`Error::OutOfTime`].
    pub async fn ingest_until(&self, deliveries: &[Delivery], end: Instant) -> Vec<DeliveryOutcome> {
        self.ingest_within(deliveries, &Deadline::at(&self.latency, end)).await
    }

    async fn ingest_within(&self, deliveries: &[Delivery], deadline: &Deadline<'_>) -> Vec<DeliveryOutcome> {
        let batch = DedupedBatch::new(deliveries);
        let prepared = futures::stream::iter(batch.deliveries.iter().enumerate())
            .map(async |(index, delivery)| (index, self.prepare(delivery, deadline).await))
            .buffer_unordered(IN_FLIGHT)
            .collect::<Vec<_>>()
            .await;
        let mut outcomes: Vec<Option<DeliveryOutcome>> = vec![None; batch.deliveries.len()];
        let mut dates: BTreeMap<_, Vec<(usize, Row, StageTimings)>> = BTreeMap::new();
        for (index, prepared) in prepared {
            match prepared {
                Prepared::Row(row, timings) => {
                    dates.entry(row.photo.date()).or_default().push((index, *row, timings));
                }
                Prepared::Done(outcome) => outcomes[index] = Some(outcome),
            }
        }
        let parts = dates.into_iter().map(|(date, rows)| self.write_part(date, rows, deadline));
        for (index, outcome) in futures::future::join_all(parts).await.into_iter().flatten() {
            outcomes[index] = Some(outcome);
        }
        batch.spread(&outcomes)
    }

    /// Does everything for a delivery except writing its row.
    async fn prepare(&self, delivery: &Delivery, deadline: &Deadline<'_>) -> Prepared {
        let work = async {
            deadline.check_time_left()?;
            match delivery.change {
                Change::Created => self.prepare_photo(delivery, deadline).await,
                Change::Removed => self.record_removal(delivery).await.map(Prepared::Done),
            }
        };
        deadline.limit_photo(work).await.unwrap_or_else(|error| {
            Prepared::Done(match error.disposition() {
                Disposition::Gone => DeliveryOutcome::Gone,
                _ => DeliveryOutcome::Failed(Arc::new(error)),
            })
        })
    }

    /// Fetches and embeds a photo, or writes its reject.
    async fn prepare_photo(&self, delivery: &Delivery, deadline: &Deadline<'_>) -> Result<Prepared> {
        let mut timings = StageTimings::default();
        let object = match timed(&mut timings.fetch, self.store.open(&delivery.bucket, &delivery.key)).await {
            Err(Error::Reject(rejection)) => {
                // S3 refuses the GET of an archived object, so a HEAD has to describe it.
                let photo =
                    self.store.head(&delivery.bucket, &delivery.key).await.map_err(treat_as_transient)?;
                return self.reject(photo, rejection, timings).await;
            }
            object => object.map_err(treat_as_transient)?,
        };
        let photo = object.photo.clone();
        // The S3 console represents a folder by an empty object whose key ends in a slash.
        if photo.size_bytes == 0 && photo.key.ends_with('/') {
            return Ok(Prepared::Done(DeliveryOutcome::Ignored));
        }
        if let Err(rejection) = self.limits.check_bytes(photo.size_bytes) {
            return self.reject(photo, rejection, timings).await;
        }
        let body = self.memory.acquire_body(photo.size_bytes).await?;
        let bytes = timed(&mut timings.fetch, object.read()).await?;
        let embedded = self.embed(bytes, photo.is_upload(), body, deadline, &mut timings).await;
        // A photo that was not started says nothing about the next one, and neither does one that
        // was too slow.
        if !matches!(&embedded, Err(Error::OutOfTime(_))) && !is_too_slow(&embedded) {
            self.latency.record_photo(timings.fetch + timings.decode + timings.embed);
        }
        match embedded {
            Ok((embedding, (width, height))) => {
                let embedded_at = OffsetDateTime::now_utc();
                let made_by = self.made_by.clone();
                let row = Row { photo, width, height, embedding, embedded_at, made_by };
                Ok(Prepared::Row(Box::new(row), timings))
            }
            Err(Error::Reject(rejection))
                if rejection.code == RejectCode::TooSlow && delivery.attempts < ATTEMPTS_IF_SLOW =>
            {
                Err(Error::OutOfTime(rejection.message))
            }
            Err(Error::Reject(rejection)) => self.reject(photo, rejection, timings).await,
            Err(error) => Err(error),
        }
    }

    /// Decodes and embeds a photo on a blocking thread, where it may panic.
    async fn embed(
        &self,
        bytes: Bytes,
        is_upload: bool,
        body: OwnedSemaphorePermit,
        deadline: &Deadline<'_>,
        timings: &mut StageTimings,
    ) -> Result<Embedded> {
        // For each photo that is embedded, another one already waits on a blocking thread. It
        // starts as soon as the first one finishes, without waiting for the async scheduler.
        let _turn = acquire(&self.turns, 1).await?;
        deadline.check_time_left()?;
        let time = deadline.photo_time(self.limits.time);
        let claim = Arc::new(Claim::new(time, body, Arc::clone(&self.abandoned)));
        // A blocking thread can't be cancelled. When the deadline drops this future, or the photo
        // takes too long, the claim ends, and all that the photo holds is free again.
        let _end = EndOnDrop(Arc::clone(&claim));
        let (caller, threads) = (Arc::clone(&claim), Arc::clone(&self.threads));
        let job = EmbedJob {
            embedder: Arc::clone(&self.embedder),
            limits: self.limits,
            memory: self.memory.clone(),
            is_upload,
            timings: *timings,
        };
        let work = catch_panic(move || {
            let work = claim.start(block_on(acquire(&threads, 1))?)?;
            Ok(job.run(bytes, &work))
        });
        tokio::select! {
            finished = work => {
                let embedded;
                (embedded, *timings) = finished?;
                embedded
            }
            () = caller.time_is_over() => Err(Limits::too_slow(time).into()),
        }
    }

    async fn reject(
        &self,
        photo: Photo,
        rejection: Rejection,
        mut timings: StageTimings,
    ) -> Result<Prepared> {
        let reject = Reject::new(photo.clone(), rejection.clone(), &self.made_by);
        let record = reject.record(&self.store, &self.results_bucket, &self.card().id);
        timed(&mut timings.write, record).await?;
        Ok(Prepared::Done(DeliveryOutcome::Rejected { photo, rejection, timings }))
    }

    /// Records a removal if the key is really gone.
    async fn record_removal(&self, delivery: &Delivery) -> Result<DeliveryOutcome> {
        // The event does not say whether a version remains at the key.
        match self.store.head(&delivery.bucket, &delivery.key).await {
            Ok(present) => {
                Removal::retract(&self.store, &self.results_bucket, &present).await?;
                return Ok(DeliveryOutcome::StillThere);
            }
            Err(Error::NotFound { .. }) => (),
            Err(error) => return Err(treat_as_transient(error)),
        }
        let (bucket, key) = (delivery.bucket.clone(), delivery.key.clone());
        let removal = Removal { bucket, key, up_to: delivery.at, except_photo_id: None };
        removal.record(&self.store, &self.results_bucket).await?;
        Ok(DeliveryOutcome::Removed)
    }

    /// Writes the rows of one date as one part. Returns the outcome of each.
    async fn write_part(
        &self,
        date: Date,
        rows: Vec<(usize, Row, StageTimings)>,
        deadline: &Deadline<'_>,
    ) -> Vec<(usize, DeliveryOutcome)> {
        let photos: Vec<_> =
            rows.iter().map(|(index, row, timings)| (*index, row.photo.clone(), *timings)).collect();
        let mut write = Duration::ZERO;
        let put = self.put_part(date, rows.into_iter().map(|(_, row, _)| row).collect());
        let written = timed(&mut write, deadline.limit_write(put)).await.map_err(Arc::new);
        self.latency.record_write(write);
        photos
            .into_iter()
            .map(|(index, photo, timings)| match &written {
                Ok((part, put)) => {
                    let (already, timings) = (*put == PutResult::Exists, StageTimings { write, ..timings });
                    (index, DeliveryOutcome::Embedded { photo, part: part.clone(), already, timings })
                }
                Err(error) => (index, DeliveryOutcome::Failed(Arc::clone(error))),
            })
            .collect()
    }

    async fn put_part(&self, date: Date, mut rows: Vec<Row>) -> Result<(Part, PutResult)> {
        let partition = Partition { model: self.card().id.clone(), date };
        let part = Part { partition, name: table::part_name(&rows) };
        let card = self.card().clone();
        let bytes = run_blocking(move || table::encode(&mut rows, &card)).await?;
        let key = part.embeddings_key();
        let put = self.store.put_if_absent(&self.results_bucket, &key, table::MEDIA_TYPE, bytes).await?;
        Ok((part, put))
    }
}

fn is_too_slow<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Reject(rejection)) if rejection.code == RejectCode::TooSlow)
}

/// Awaits work, and adds its duration to `spent` whether it succeeds or not.
async fn timed<T>(spent: &mut Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let start = Instant::now();
    let result = work.await;
    *spent += start.elapsed();
    result
}

/// Makes an S3 error about one photo transient, so that it cannot end the batch.
///
/// The cause may concern only this photo, such as a revoked encryption key or a bucket of another
/// account. The queue retries the photo until it gives up.
fn treat_as_transient(error: Error) -> Error {
    match error {
        Error::S3 { verb, bucket, key, cause, .. } => Error::S3 { verb, bucket, key, cause, transient: true },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3() -> Error {
        let (bucket, key) = ("photos".into(), "a.jpg".into());
        Error::S3 { verb: "get", bucket, key, transient: false, cause: "AccessDenied".into() }
    }

    #[tokio::test]
    async fn time_is_counted_even_if_the_work_fails() {
        let mut spent = Duration::ZERO;
        let work = async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Err::<(), _>(s3())
        };
        assert!(timed(&mut spent, work).await.is_err());
        assert!(spent >= Duration::from_millis(2), "{spent:?}");
    }

    #[test]
    fn an_s3_error_about_one_photo_is_retried() {
        assert_eq!(s3().disposition(), Disposition::Fatal);
        assert_eq!(treat_as_transient(s3()).disposition(), Disposition::Retry);
        let missing = Error::NotFound { bucket: "photos".into(), key: "a.jpg".into() };
        assert_eq!(treat_as_transient(missing).disposition(), Disposition::Gone);
    }
}
