//! The public records of a batch run: its job, stages, id and counts, and `run.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::error::{Error, Result};

/// The format version of everything that the phases of a run exchange: tasks, outcomes, lists and
/// records.
///
/// New versions may add fields, but never remove or change one.
pub const VERSION: u32 = 1;

/// The purpose of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Bring the table up to date with the photos in S3, then compact it.
    Backfill,
    /// Compact the table, and delete parts that were replaced.
    Compact,
    /// Fit a PCA to all current rows, and project them.
    Pca,
    /// Backfill, compact and fit the PCA.
    Rebuild,
}

/// A step of a job. It is planned when the previous stage is complete, because it needs its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Embed photos with missing or stale rows, and record removals.
    Backfill,
    /// Rewrite dates with small parts or dead rows, and delete parts whose replacement has passed
    /// the grace period.
    Compact,
    /// Compute the moments of the current rows. The commit fits the PCA.
    Moments,
    /// Project the current rows. The commit publishes the fit.
    Project,
}

impl Job {
    /// All jobs.
    pub const ALL: [Self; 4] = [Self::Backfill, Self::Compact, Self::Pca, Self::Rebuild];

    /// Returns the job's name in records, paths and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Compact => "compact",
            Self::Pca => "pca",
            Self::Rebuild => "rebuild",
        }
    }

    /// Returns the job's stages in order.
    #[must_use]
    pub fn stages(self) -> &'static [Stage] {
        match self {
            Self::Backfill => &[Stage::Backfill, Stage::Compact],
            Self::Compact => &[Stage::Compact],
            Self::Pca => &[Stage::Moments, Stage::Project],
            Self::Rebuild => &[Stage::Backfill, Stage::Compact, Stage::Moments, Stage::Project],
        }
    }

    /// Returns the requested stage, or by default the first.
    ///
    /// # Errors
    /// [`Error::Config`] when the job does not have the stage.
    pub fn stage(self, requested: Option<Stage>) -> Result<Stage> {
        let stage = requested.unwrap_or(self.stages()[0]);
        if self.stages().contains(&stage) {
            return Ok(stage);
        }
        let stages = self.stages().iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::Config(format!("the job {self} has no stage {stage}; it has {stages}")))
    }

    /// Returns the stage after `stage`, or `None` after the last.
    #[must_use]
    pub fn after(self, stage: Stage) -> Option<Stage> {
        self.stages().iter().copied().skip_while(|it| *it != stage).nth(1)
    }
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 4] = [Self::Backfill, Self::Compact, Self::Moments, Self::Project];

    /// Returns the stage's name in records, paths and options.
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
        parse_name("job", Self::ALL, Self::as_str, text)
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_name("stage", Self::ALL, Self::as_str, text)
    }
}

/// Parses the name of a job or stage.
fn parse_name<T: Copy>(
    kind: &str,
    all: [T; 4],
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, String> {
    let found = all.into_iter().find(|it| name(*it) == text);
    found.ok_or_else(|| format!("unknown {kind}; expected one of {}", all.map(name).join(", ")))
}

/// A run's id, such as `20261124T030000Z-rebuild`. It sorts by time, and names the folder of the
/// run's files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Returns the id of a run that starts now.
    ///
    /// # Errors
    /// [`Error::Internal`] when the clock is out of range.
    pub fn now(job: Job) -> Result<Self> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let time = OffsetDateTime::now_utc().format(format);
        Ok(Self(format!("{}-{job}", time.map_err(|cause| Error::Internal(cause.to_string()))?)))
    }

    /// Returns the id as it appears in paths.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let (started, suffix) = text.split_once('-').unwrap_or((text, ""));
        // The id becomes part of object keys and file paths, so no other characters are allowed.
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let valid = time::PrimitiveDateTime::parse(started, format).is_ok()
            && (1..=64).contains(&suffix.len())
            && suffix.chars().all(allowed);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("not a run id; expected a form like 20261124T030000Z-rebuild".into())
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Named counts, which depend on the kind of task.
///
/// * embed: `photos`, `bytes`, `embedded`, `already`, `rejected`, `rejected_<code>`, `gone`,
///   `ignored`, `failed`, `restored`
/// * settle: `removed`, `still_there`, `restored`, `changed`
/// * compact: `parts_read`, `parts_written`, `rows`, `bytes_read`, `bytes_written`
/// * sweep: `parts_deleted`, `parts_kept`, `objects_deleted`
/// * moments and project: `parts`, `rows`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Adds to a count. A zero is not recorded.
    pub fn add(&mut self, name: &str, count: u64) {
        if count > 0 {
            *self.0.entry(name.to_owned()).or_default() += count;
        }
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, count)| self.add(name, *count));
    }

    /// Returns a count, 0 if it was never recorded.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Iterates over the counts in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

/// The record of a finished run, `runs/<run id>/run.json`.
///
/// A run that left work undone has an `incomplete.json` instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The format [`VERSION`].
    pub version: u32,
    /// The [`RunId`].
    pub run: String,
    /// The run's job.
    pub job: Job,
    /// The model's id.
    pub model: String,
    /// The start of the run, before its first listing.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// The end of the run.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
    /// Objects that the run listed in the photos bucket, without folder markers (empty objects
    /// whose key ends in `/`). 0 if the job does not list the bucket.
    pub photos_listed: u64,
    /// Counts of planned and completed work, by stage.
    #[serde(default)]
    pub stages: BTreeMap<String, Counts>,
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
    fn a_job_runs_through_its_stages_in_order() {
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
