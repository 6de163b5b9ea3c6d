//! A batch run: which job it does, in which stages, on what, and where its papers lie.
//!
//! Whoever drives a run, a process or a cluster, does the stages of its job one after the other: *plan* says what is to do as
//! [`Task`]s, *work* does them, anywhere and in any order, and *commit* makes one result of the
//! [`Outcome`](crate::outcome::Outcome)s and names the next stage. What one phase knows that the next needs lies in `runs/<run id>/`,
//! so the phases may be processes of their own. A run that was stopped anywhere is begun again from its first stage: what is done is
//! in the table, and is not planned again.

use std::fmt;
use std::str::FromStr;

use futures::{Stream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::partition::run_key;
use crate::store::Store;
use crate::task::{Task, Work};

/// The version of everything that phases tell each other: tasks, outcomes, lists, records. Fields are only ever added.
pub const VERSION: u32 = 1;
/// Papers of tasks that are read or written at once.
const PAPERS_AT_ONCE: usize = 16;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Make the table what S3 holds, then compact it.
    Backfill,
    /// Compact the table, and delete what was replaced.
    Compact,
    /// Fit the PCA to all current rows, and project them.
    Pca,
    /// All of these.
    Rebuild,
}

/// A part of a job that is planned at once, because it needs the result of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Embed what is missing or stale, record what is gone.
    Backfill,
    /// Rewrite days with scattered or dead rows; delete what was rewritten long ago.
    Compact,
    /// Sum up the current rows. Its commit fits the PCA.
    Moments,
    /// Project the current rows. Its commit publishes the fit.
    Project,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Backfill, Self::Compact, Self::Pca, Self::Rebuild];

    /// The job as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Compact => "compact",
            Self::Pca => "pca",
            Self::Rebuild => "rebuild",
        }
    }

    /// Its stages, in their order.
    #[must_use]
    pub fn stages(self) -> &'static [Stage] {
        match self {
            Self::Backfill => &[Stage::Backfill, Stage::Compact],
            Self::Compact => &[Stage::Compact],
            Self::Pca => &[Stage::Moments, Stage::Project],
            Self::Rebuild => &[Stage::Backfill, Stage::Compact, Stage::Moments, Stage::Project],
        }
    }

    /// The stage that a run of it is in: the one that was named, else the first.
    ///
    /// # Errors
    /// [`Error::Config`] when it has no such stage.
    pub fn stage(self, named: Option<Stage>) -> Result<Stage> {
        let stage = named.unwrap_or(self.stages()[0]);
        if self.stages().contains(&stage) {
            return Ok(stage);
        }
        let stages = self.stages().iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::Config(format!("the job {self} has no stage {stage}; it has {stages}")))
    }

    /// The stage after this one.
    #[must_use]
    pub fn after(self, stage: Stage) -> Option<Stage> {
        self.stages().iter().copied().skip_while(|it| *it != stage).nth(1)
    }
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Backfill, Self::Compact, Self::Moments, Self::Project];

    /// The stage as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Compact => "compact",
            Self::Moments => "moments",
            Self::Project => "project",
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Job {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named("job", Self::ALL, Self::as_str, text)
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named("stage", Self::ALL, Self::as_str, text)
    }
}

/// The one that has this name.
fn named<T: Copy>(
    what: &str,
    all: [T; 4],
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, String> {
    let found = all.into_iter().find(|it| name(*it) == text);
    found.ok_or_else(|| format!("no such {what}; there are {}", all.map(name).join(", ")))
}

/// A run's id: `20261124T030000Z-rebuild`, in the order of time as text. It names the folder of its papers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The id of a run that begins now.
    ///
    /// # Errors
    /// [`Error::Internal`] when the clock is out of range.
    pub fn now(job: Job) -> Result<Self> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let time = OffsetDateTime::now_utc().format(format);
        Ok(Self(format!("{}-{job}", time.map_err(|cause| Error::Internal(cause.to_string()))?)))
    }

    /// The id as it stands in paths.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let (begun, rest) = text.split_once('-').unwrap_or((text, ""));
        let in_rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let valid = time::PrimitiveDateTime::parse(begun, format).is_ok()
            && (1..=64).contains(&rest.len())
            && rest.chars().all(in_rest);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("a run's id looks like 20261124T030000Z-rebuild".into())
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run, and what it works on.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it is for.
    pub job: Job,
    /// Where everything lies.
    pub store: Store,
    /// The bucket of the photos.
    pub photos_bucket: String,
    /// The results bucket.
    pub results_bucket: String,
    /// The model.
    pub card: ModelCard,
}

impl Run {
    /// The key of one of its papers.
    #[must_use]
    pub fn key(&self, file: &str) -> String {
        run_key(self.id.as_str(), file)
    }

    /// Writes one of its papers; returns its key.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn put<T: Serialize + Sync>(&self, file: &str, paper: &T) -> Result<String> {
        let key = self.key(file);
        let body = serde_json::to_vec(paper).map_err(Error::schema(&key))?;
        self.store.put(&self.results_bucket, &key, "application/json", body).await?;
        Ok(key)
    }

    /// A task of this run, its list written.
    pub(crate) async fn task<T: Serialize + Sync>(&self, name: String, list: &T, work: Work) -> Result<Task> {
        let list = self.put(&format!("{}/{name}.json", work.kind()), list).await?;
        let (run, model) = (self.id.to_string(), self.card.id.clone());
        Ok(Task { version: VERSION, run, task: name, model, list, work })
    }

    /// Tasks of this run, each of a name and of a list, some of which are written at once; `each` gets them in their order.
    pub(crate) async fn tasks<T: Serialize + Sync>(
        &self,
        lists: impl IntoIterator<Item = (String, T, Work)>,
        each: &mut impl FnMut(Task) -> Result<()>,
    ) -> Result<()> {
        let tasks = lists.into_iter().map(async |(name, list, work)| self.task(name, &list, work).await);
        let mut tasks = futures::stream::iter(tasks).buffered(PAPERS_AT_ONCE);
        while let Some(task) = tasks.try_next().await? {
            each(task)?;
        }
        Ok(())
    }

    /// Reads papers by their keys, some at once, in their order.
    pub(crate) fn papers<'a, T: DeserializeOwned>(
        &'a self,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> impl Stream<Item = Result<T>> {
        let papers = keys.into_iter().map(async |key| paper(&self.store, &self.results_bucket, key).await);
        futures::stream::iter(papers).buffered(PAPERS_AT_ONCE)
    }

    /// Reads one of its papers.
    ///
    /// # Errors
    /// [`Error::Gone`] when there is none, [`Error::S3`], [`Error::Schema`].
    pub async fn get<T: DeserializeOwned>(&self, file: &str) -> Result<T> {
        paper(&self.store, &self.results_bucket, &self.key(file)).await
    }
}

/// Reads a paper of a run by its key.
pub(crate) async fn paper<T: DeserializeOwned>(store: &Store, results_bucket: &str, key: &str) -> Result<T> {
    let bytes = store.get(results_bucket, key).await?;
    serde_json::from_slice(&bytes).map_err(Error::schema(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_a_time_and_a_job_and_sorts_by_time() {
        let now = RunId::now(Job::Rebuild).unwrap();
        assert_eq!(now.as_str().parse(), Ok(now.clone()));
        assert!(now.as_str().ends_with("Z-rebuild"));
        assert!(
            "20261124T030000Z-rebuild".parse::<RunId>().unwrap()
                < "20261124T030001Z-backfill".parse().unwrap()
        );
        for wrong in [
            "",
            "rebuild",
            "20261124T030000Z",
            "20261124T030000Z-",
            "20261324T030000Z-pca",
            "20261124T030000Z-a/b",
        ] {
            assert!(wrong.parse::<RunId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_job_is_its_stages_one_after_the_other() {
        for job in Job::ALL {
            assert_eq!(job.as_str().parse(), Ok(job));
            let mut stage = Some(job.stage(None).unwrap());
            for expected in job.stages() {
                assert_eq!(stage, Some(*expected));
                stage = job.after(*expected);
            }
            assert_eq!(stage, None);
        }
        assert!(Job::Pca.stage(Some(Stage::Backfill)).unwrap_err().to_string().contains("moments, project"));
    }
}
