//! Work: executes a task, and returns its outcome.
//!
//! A task does not depend on other tasks, and may be executed twice, concurrently, or again after a
//! kill. Photos are embedded as if they were redelivered. Removals are recorded as S3 is at that
//! moment. Parts are named by their content, and written with put-if-absent.

use std::sync::OnceLock;
use std::time::Instant;

use serde::de::DeserializeOwned;

use super::backfill::{self, OnPhotos};
use super::compact;
use super::outcome::{Outcome, Report};
use super::pca;
use super::results::Results;
use super::task::{Task, TaskKind};
use crate::contract::model_card::ModelCard;
use crate::contract::run::Stage;
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use crate::s3::Store;

/// Creates the ingest pipeline when the first photo has to be embedded. Most tasks need no model.
pub type IngestFactory = Box<dyn Fn() -> Result<Ingest> + Send + Sync>;

/// Executes tasks.
pub struct Worker {
    store: Store,
    results_bucket: String,
    card: ModelCard,
    threads: usize,
    create_ingest: IngestFactory,
    ingest: OnceLock<Ingest>,
    on_photos: Box<OnPhotos>,
}

impl Worker {
    /// Returns a worker that reads photos from the bucket that each task names, and writes to
    /// `results_bucket`.
    ///
    /// `threads` is the number of threads that the ingest embeds on. It determines
    /// [`Worker::concurrency`].
    #[must_use]
    pub fn new(
        store: Store,
        results_bucket: impl Into<String>,
        card: ModelCard,
        threads: usize,
        create_ingest: IngestFactory,
    ) -> Self {
        let (results_bucket, on_photos) = (results_bucket.into(), Box::new(|_, _| ()));
        Self { store, results_bucket, card, threads, create_ingest, ingest: OnceLock::new(), on_photos }
    }

    /// Returns how many tasks of a stage to execute concurrently.
    #[must_use]
    pub fn concurrency(&self, stage: Stage) -> usize {
        match stage {
            // One task keeps all threads busy. The second starts while the last photos of the first
            // are embedded.
            Stage::Backfill => 2,
            // Each task needs up to 150 MB of memory, and spends most of its time on one thread.
            Stage::Compact => self.threads.clamp(1, 4),
            // Each task needs up to 300 MB, for two parts of the largest size. Its arithmetic uses
            // all threads, and the second task reads during that time.
            Stage::Moments | Stage::Project => self.threads.clamp(1, 2),
        }
    }

    /// Calls `on_photos` with the number of photos and bytes of each batch as soon as it is done.
    #[must_use]
    pub fn on_photos(self, on_photos: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self { on_photos: Box::new(on_photos), ..self }
    }

    /// Executes a task. If the outcome is [`State::Failed`](super::outcome::State::Failed), the
    /// caller may retry the task.
    ///
    /// # Errors
    /// An error that every other task would meet, too: a wrong model or configuration, or a request
    /// that S3 rejects for good.
    pub async fn work(&self, task: &Task) -> Result<Outcome> {
        // The worker embeds with its own model, so the rows would belong to another table.
        if task.model != self.card.id {
            let (name, expected, actual) = (&task.task, &task.model, &self.card.id);
            return Err(Error::Task(format!(
                "the task {name} is for the model {expected}, but this worker has {actual}; \
                 start it with --model {expected}"
            )));
        }
        let start = Instant::now();
        let result = self.execute(task).await;
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(report) => Ok(Outcome::done(task, seconds, report)),
            Err(error) if affects_all_tasks(&error) => Err(error),
            Err(error) => Ok(Outcome::failed(task, seconds, &error)),
        }
    }

    async fn execute(&self, task: &Task) -> Result<Report> {
        let results = Results { store: &self.store, bucket: &self.results_bucket, card: &self.card };
        // Boxed, because a future with all kinds of tasks in it may overflow the stack of a thread.
        match &task.kind {
            TaskKind::Embed { .. } => {
                let list = list(results, task).await?;
                let ingest = self.ingest()?;
                Box::pin(backfill::embed(results, ingest, &list, &*self.on_photos)).await
            }
            TaskKind::Reconcile { .. } => {
                Box::pin(backfill::reconcile(results, &list(results, task).await?)).await
            }
            TaskKind::Compact { .. } => Box::pin(compact::rewrite(results, list(results, task).await?)).await,
            TaskKind::Delete { .. } => Box::pin(compact::delete(results, &list(results, task).await?)).await,
            TaskKind::Moments { full, .. } => {
                Box::pin(pca::sum_moments(results, task, &list(results, task).await?, *full)).await
            }
            TaskKind::Project { .. } => {
                Box::pin(pca::project(results, task, &list(results, task).await?)).await
            }
        }
    }

    fn ingest(&self) -> Result<&Ingest> {
        match self.ingest.get() {
            Some(ingest) => Ok(ingest),
            None => {
                let created = (self.create_ingest)()?;
                // If two tasks get here concurrently, the second pipeline is dropped unused.
                Ok(self.ingest.get_or_init(|| created))
            }
        }
    }
}

/// Reads the list of a task.
async fn list<T: DeserializeOwned>(results: Results<'_>, task: &Task) -> Result<T> {
    results.read_json(&task.list).await
}

/// Returns whether every other task would fail with the same error.
///
/// An object with unexpected content ([`Error::Schema`]) affects only the tasks that read it.
fn affects_all_tasks(error: &Error) -> bool {
    match error {
        Error::Fatal(error) => affects_all_tasks(error),
        Error::S3 { transient, .. } => !transient,
        Error::Config(_) | Error::Model { .. } | Error::Task(_) | Error::File { .. } | Error::Internal(_) => {
            true
        }
        Error::Event(_)
        | Error::NotFound { .. }
        | Error::NothingToDo(_)
        | Error::OutOfTime(_)
        | Error::Reject(_)
        | Error::Schema { .. }
        | Error::ConfirmationRequired(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(transient: bool) -> Error {
        let (bucket, key) = ("results".into(), "a".into());
        Error::S3 { verb: "get", bucket, key, transient, cause: "refused".into() }
    }

    #[test]
    fn an_error_of_one_object_or_one_moment_fails_only_its_task() {
        let object = || "a.parquet".to_owned();
        for error in [
            s3(true),
            Error::Schema { object: object(), reason: "damaged".into() },
            Error::NotFound { bucket: "results".into(), key: object() },
            Error::Fatal(s3(true).into()),
        ] {
            assert!(!affects_all_tasks(&error), "{error}");
        }
    }

    #[test]
    fn an_error_of_the_worker_stops_it() {
        for error in [s3(false), Error::Config("c".into()), Error::Fatal(s3(false).into())] {
            assert!(affects_all_tasks(&error), "{error}");
        }
    }
}
