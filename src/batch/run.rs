//! A batch run, and the files that its phases exchange.
//!
//! A driver, which is one process or a cluster, executes the stages of the run's job in order. Each
//! phase of a stage leaves files for the next one in `runs/<run id>/`. A run that was stopped
//! starts again with its first stage. Completed work is in the table, so the new plan does not
//! contain it.

use futures::{Stream, StreamExt, TryStreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::results::Results;
use super::task::{Task, TaskKind};
use crate::contract::layout::run_key;
use crate::contract::model_card::ModelCard;
use crate::contract::run::{Job, RunId, VERSION};
use crate::error::{Error, Result};
use crate::s3::{JSON, Store};

/// Run files read or written concurrently.
const FILE_CONCURRENCY: usize = 16;

/// One run, with the buckets and the model that it works on.
#[derive(Debug, Clone)]
pub struct Run {
    /// The run's id, which names the folder of its files.
    pub id: RunId,
    /// The run's job, which determines its stages.
    pub job: Job,
    /// The client for both buckets.
    pub store: Store,
    /// The photos bucket. Only the plan of a backfill needs it; otherwise it may be empty.
    pub photos_bucket: String,
    /// The results bucket.
    pub results_bucket: String,
    /// The model that the run embeds with, and whose rows it works on.
    pub card: ModelCard,
}

impl Run {
    /// Returns the results that the run works on.
    pub(crate) fn results(&self) -> Results<'_> {
        Results { store: &self.store, bucket: &self.results_bucket, card: &self.card }
    }

    /// Returns the key of one of the run's files.
    #[must_use]
    pub fn key(&self, file: &str) -> String {
        run_key(self.id.as_str(), file)
    }

    /// Writes a value as one of the run's files, and returns its key.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when the value cannot be represented in JSON.
    pub async fn put<T: Serialize + Sync>(&self, file: &str, value: &T) -> Result<String> {
        let key = self.key(file);
        let body = serde_json::to_vec(value).map_err(Error::schema(&key))?;
        self.store.put(&self.results_bucket, &key, JSON, body).await?;
        Ok(key)
    }

    /// Reads one of the run's files.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the file does not exist, [`Error::S3`], [`Error::Schema`].
    pub async fn get<T: DeserializeOwned>(&self, file: &str) -> Result<T> {
        self.results().read_json(&self.key(file)).await
    }

    /// Reads run files concurrently, and yields them in the order of `keys`.
    pub(crate) fn read_files<'a, T: DeserializeOwned>(
        &'a self,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> impl Stream<Item = Result<T>> {
        let files = keys.into_iter().map(async |key| self.results().read_json(key).await);
        futures::stream::iter(files).buffered(FILE_CONCURRENCY)
    }

    /// Writes the list of a task, and returns the task.
    pub(crate) async fn task<T: Serialize + Sync>(
        &self,
        name: String,
        list: &T,
        kind: TaskKind,
    ) -> Result<Task> {
        let list = self.put(&format!("{}/{name}.json", kind.name()), list).await?;
        let (run, model) = (self.id.to_string(), self.card.id.clone());
        Ok(Task { version: VERSION, run, task: name, model, list, kind })
    }

    /// Writes the lists of tasks concurrently, and calls `on_task` with the tasks in order.
    pub(crate) async fn tasks<T: Serialize + Sync>(
        &self,
        lists: impl IntoIterator<Item = (String, T, TaskKind)>,
        on_task: &mut impl FnMut(Task) -> Result<()>,
    ) -> Result<()> {
        let tasks = lists.into_iter().map(async |(name, list, kind)| self.task(name, &list, kind).await);
        // `buffered` keeps the order. A task is passed on only after its list is written, since a
        // worker may start on it immediately.
        let mut tasks = futures::stream::iter(tasks).buffered(FILE_CONCURRENCY);
        while let Some(task) = tasks.try_next().await? {
            on_task(task)?;
        }
        Ok(())
    }
}
