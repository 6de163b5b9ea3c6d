//! Work: a task becomes an outcome.
//!
//! Nothing here depends on what another task does, and everything may be done twice, at once, or again after a kill: photos are embedded
//! as if they were delivered once more, removals are recorded as S3 has it at that moment, parts are named by their content and written
//! if absent.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use time::OffsetDateTime;

use crate::backfill::{GoneKey, Keys, Photos, Settle, Wanted};
use crate::error::{Disposition, Error, Result};
use crate::event::{Change, Delivery};
use crate::fits;
use crate::ingest::{self, Ingest};
use crate::model::ModelCard;
use crate::outcome::{Outcome, Report};
use crate::photo::PhotoId;
use crate::refit::Refit;
use crate::removal::Removal;
use crate::rewrite::rewrite;
use crate::run::{self, Stage};
use crate::store::Store;
use crate::sweep::sweep;
use crate::task::{Task, Work};

/// Photos that become one part of each of their days.
const BATCH: usize = 500;
/// Batches at once: while one is written, the threads embed the next.
const BATCHES_AT_ONCE: usize = 2;
/// Keys that S3 is asked about at once. Each takes up to three requests, one after the other, and next to nothing else.
const KEYS_AT_ONCE: usize = 64;
/// How often a photo is tried before it is counted as failed.
const TRIES: u32 = 4;
/// How long is waited before the second time; before each further one, twice as long.
const PATIENCE: Duration = Duration::from_millis(200);

/// What makes an ingest, when the first photo is to be embedded: most tasks need no model.
pub type Load = Box<dyn Fn() -> Result<Ingest> + Send + Sync>;

/// Whoever does tasks.
pub struct Worker {
    pub(crate) store: Store,
    pub(crate) results_bucket: String,
    pub(crate) card: ModelCard,
    threads: usize,
    load: Load,
    ingest: OnceLock<Ingest>,
    heard: Box<dyn Fn(u64, u64) + Send + Sync>,
}

impl Worker {
    /// A worker that reads photos from where tasks say, and writes to `results_bucket`. It may be given tasks for `threads` threads at
    /// once, which is what its ingest embeds on, too.
    #[must_use]
    pub fn new(
        store: Store,
        results_bucket: impl Into<String>,
        card: ModelCard,
        threads: usize,
        load: Load,
    ) -> Self {
        let (results_bucket, heard) = (results_bucket.into(), Box::new(|_, _| ()));
        Self { store, results_bucket, card, threads, load, ingest: OnceLock::new(), heard }
    }

    /// How many tasks of a stage it should be given at once.
    #[must_use]
    pub fn at_once(&self, stage: Stage) -> usize {
        match stage {
            // One takes all threads; while its last photos are embedded, the next begins.
            Stage::Backfill => 2,
            // Each takes memory of its own, up to 150 MB; and most of it is done by one thread.
            Stage::Compact => self.threads.clamp(1, 4),
            // Here 300 MB, two parts of the largest; and what is most of it has all threads. The other reads meanwhile.
            Stage::Moments | Stage::Project => self.threads.clamp(1, 2),
        }
    }

    /// Calls `heard` with photos and their bytes as they are done.
    #[must_use]
    pub fn hearing(self, heard: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self { heard: Box::new(heard), ..self }
    }

    /// What becomes of a task. One that fails may be done again by whoever handed it out.
    ///
    /// # Errors
    /// What is [`Disposition::Fatal`], but for [`Error::Schema`]: then no other task will work either.
    pub async fn work(&self, task: &Task) -> Result<Outcome> {
        if task.model != self.card.id {
            let (theirs, ours) = (&task.model, &self.card.id);
            return Err(Error::Task(format!(
                "the task {} is for the model {theirs}, this worker has {ours}",
                task.task
            )));
        }
        let start = Instant::now();
        let done = self.done(task).await;
        let seconds = start.elapsed().as_secs_f64();
        match done {
            Ok(report) => Ok(Outcome::done(task, seconds, report)),
            Err(error) if ends_all(&error) => Err(error),
            Err(error) => Ok(Outcome::failed(task, seconds, &error)),
        }
    }

    async fn done(&self, task: &Task) -> Result<Report> {
        let (store, results_bucket) = (&self.store, &self.results_bucket);
        // Boxed: together they are too much for the stack of a thread.
        match &task.work {
            Work::Embed { .. } => Box::pin(self.embed(&self.list(task).await?)).await,
            Work::Settle { .. } => Box::pin(self.settle(&self.list(task).await?)).await,
            Work::Compact { .. } => {
                Box::pin(rewrite(store, results_bucket, &self.card, self.list(task).await?)).await
            }
            Work::Sweep { .. } => Box::pin(sweep(store, results_bucket, &self.list(task).await?)).await,
            Work::Moments { full, .. } => {
                Box::pin(fits::moments(self, task, &self.list(task).await?, *full)).await
            }
            Work::Project { .. } => Box::pin(fits::project(self, task, &self.list(task).await?)).await,
        }
    }

    /// The list that a task names.
    async fn list<T: serde::de::DeserializeOwned>(&self, task: &Task) -> Result<T> {
        run::paper(&self.store, &self.results_bucket, &task.list).await
    }

    /// What fits, with so many components.
    pub(crate) fn refit(&self, components: usize) -> Refit<'_> {
        Refit { store: &self.store, results_bucket: &self.results_bucket, card: &self.card, components }
    }

    fn ingest(&self) -> Result<&Ingest> {
        match self.ingest.get() {
            Some(ingest) => Ok(ingest),
            None => {
                let loaded = (self.load)()?;
                Ok(self.ingest.get_or_init(|| loaded))
            }
        }
    }

    async fn embed(&self, list: &Photos) -> Result<Report> {
        let ingest = self.ingest()?;
        let batches = list.photos.chunks(BATCH).map(|batch| self.embed_batch(ingest, &list.bucket, batch));
        let mut done = futures::stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE);
        let mut report = Report::default();
        while let Some(batch) = done.try_next().await? {
            (self.heard)(batch.counts.get("photos"), batch.counts.get("bytes"));
            report.merge(batch);
        }
        Ok(report)
    }

    /// Embeds a batch, and tries again what may pass.
    async fn embed_batch(&self, ingest: &Ingest, bucket: &str, wanted: &[Wanted]) -> Result<Report> {
        let mut report = Report::default();
        let mut left: Vec<&Wanted> = wanted.iter().collect();
        for tried in 1..=TRIES {
            let at = OffsetDateTime::now_utc();
            let delivery = |wanted: &&Wanted| {
                let key = wanted.key.clone();
                Delivery { bucket: bucket.to_owned(), key, change: Change::Created, at }
            };
            let deliveries: Vec<_> = left.iter().map(delivery).collect();
            let outcomes = ingest.ingest(&deliveries).await;
            let mut again = Vec::new();
            for (wanted, outcome) in left.into_iter().zip(outcomes) {
                match outcome {
                    ingest::Outcome::Failed(error) if error.disposition() == Disposition::Fatal => {
                        return Err(Error::Fatal(error));
                    }
                    ingest::Outcome::Failed(_) if tried < TRIES => again.push(wanted),
                    ingest::Outcome::Failed(error) => report.fail(&wanted.key, &error),
                    outcome => self.note(bucket, wanted, &outcome, &mut report).await?,
                }
            }
            if again.is_empty() {
                break;
            }
            left = again;
            tokio::time::sleep(PATIENCE * 2_u32.pow(tried - 1)).await;
        }
        report.counts.add("photos", wanted.len() as u64);
        Ok(report)
    }

    /// Counts what became of a photo, and settles it where that was asked.
    async fn note(
        &self,
        bucket: &str,
        wanted: &Wanted,
        outcome: &ingest::Outcome,
        report: &mut Report,
    ) -> Result<()> {
        let counts = &mut report.counts;
        let photo = match outcome {
            ingest::Outcome::Embedded { photo, already, .. } => {
                counts.add(if *already { "already" } else { "embedded" }, 1);
                photo
            }
            ingest::Outcome::Rejected { photo, rejection, .. } => {
                counts.add("rejected", 1);
                counts.add(&format!("rejected_{}", rejection.code), 1);
                photo
            }
            outcome => {
                let gone = matches!(outcome, ingest::Outcome::Gone);
                counts.add(if gone { "gone" } else { "ignored" }, 1);
                return Ok(());
            }
        };
        counts.add("bytes", photo.size_bytes);
        match wanted.settle {
            // One that changed since it was listed is newer than all that is known, and needs no settling.
            Some(settle) if photo.etag == wanted.etag => self.restore(bucket, wanted, settle, report).await,
            _ => Ok(()),
        }
    }

    async fn settle(&self, list: &Keys) -> Result<Report> {
        let gone =
            list.gone.iter().map(|gone| futures::future::Either::Left(self.remove(&list.bucket, gone)));
        let present = list.present.iter().map(|present| {
            futures::future::Either::Right(async {
                let mut report = Report::default();
                let settle = present.settle.unwrap_or(Settle { superseded: None });
                self.restore(&list.bucket, present, settle, &mut report).await.map(|()| report)
            })
        });
        let mut done = futures::stream::iter(gone.chain(present)).buffer_unordered(KEYS_AT_ONCE);
        let mut report = Report::default();
        while let Some(key) = done.try_next().await? {
            report.merge(key);
        }
        Ok(report)
    }

    /// Records that a key is gone, unless S3 has it after all.
    async fn remove(&self, bucket: &str, gone: &GoneKey) -> Result<Report> {
        let mut report = Report::default();
        let recorded = match self.store.head(bucket, &gone.key).await {
            Ok(_) => Ok("still_there"),
            Err(Error::Gone { .. }) => {
                let (bucket, key) = (bucket.to_owned(), gone.key.clone());
                let removal = Removal { bucket, key, up_to: gone.up_to, spares: None };
                removal.record(&self.store, &self.results_bucket).await.map(|()| "removed")
            }
            Err(error) => Err(error),
        };
        count(&gone.key, recorded, &mut report)?;
        Ok(report)
    }

    /// Lets the version that S3 holds be the one that holds in the table.
    async fn restore(
        &self,
        bucket: &str,
        wanted: &Wanted,
        settle: Settle,
        report: &mut Report,
    ) -> Result<()> {
        let id = PhotoId::of(bucket, &wanted.key, &wanted.etag);
        let version = (bucket, wanted.key.as_str(), id);
        let settled = Removal::settle(&self.store, &self.results_bucket, version, settle.superseded).await;
        count(&wanted.key, settled.map(|settled| if settled { "restored" } else { "changed" }), report)
    }
}

/// Counts what became of a key; one that S3 gives no good answer for does not cost the others.
fn count(key: &str, became: Result<&'static str>, report: &mut Report) -> Result<()> {
    match became {
        Ok(word) => report.counts.add(word, 1),
        Err(error @ Error::S3 { .. }) => report.fail(key, &error),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Whether an error is of the worker, and not of the task: another task would end in the same. An object that does not hold what it
/// should is of the tasks that read it.
fn ends_all(error: &Error) -> bool {
    match error {
        Error::Fatal(error) => ends_all(error),
        Error::S3 { passing, .. } => !passing,
        Error::Config(_) | Error::Model { .. } | Error::Task(_) | Error::File { .. } | Error::Internal(_) => {
            true
        }
        Error::Event(_)
        | Error::Gone { .. }
        | Error::Nothing(_)
        | Error::OutOfTime(_)
        | Error::Reject(_)
        | Error::Schema { .. }
        | Error::Unconfirmed(_) => false,
    }
}
