//! A task: one line of JSON from plan to work.
//!
//! A task says what is to do and no more, so that a line stays below [`LINE_BYTES`]: the keys, parts or rows that it is about are a list
//! of their own in `runs/<run id>/`. Tasks of a stage are independent of each other; each may be done twice, at once, or again after a
//! kill.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::run::VERSION;

/// The longest line, bytes: Spark's scheduler carries it.
pub const LINE_BYTES: usize = 64 << 10;

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// [`VERSION`].
    pub version: u32,
    /// The run that it belongs to.
    pub run: String,
    /// Its name within the run and the stage: `embed-000001`.
    pub task: String,
    /// The model, which must be the worker's.
    pub model: String,
    /// The object in the results bucket that lists what it is about.
    pub list: String,
    /// What is to do with it.
    #[serde(flatten)]
    pub work: Work,
}

/// What is to do. The numbers are estimates, for scheduling and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Embed photos; the list is a [`crate::backfill::Photos`].
    Embed {
        /// How many.
        photos: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Record what is gone from S3, and let rows hold again that S3 has again; the list is a [`crate::backfill::Keys`].
    Settle {
        /// How many keys.
        keys: u64,
    },
    /// Write parts of a day anew; the list is a [`crate::compact::Rewrite`].
    Compact {
        /// How many parts.
        parts: u64,
        /// Their rows.
        rows: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Delete what was replaced or does not hold; the list is a [`crate::compact::Sweep`].
    Sweep {
        /// How many parts and other objects.
        objects: u64,
    },
    /// Sum up the current rows of parts; the list is a [`crate::fits::Parts`].
    Moments {
        /// How many parts.
        parts: u64,
        /// Their current rows.
        rows: u64,
        /// Whether moments that are kept are ignored.
        full: bool,
    },
    /// Project the current rows of parts; the list is a [`crate::fits::Parts`].
    Project {
        /// How many parts.
        parts: u64,
        /// Their current rows.
        rows: u64,
    },
}

impl Work {
    /// The kind, in the word that stands in the line.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Embed { .. } => "embed",
            Self::Settle { .. } => "settle",
            Self::Compact { .. } => "compact",
            Self::Sweep { .. } => "sweep",
            Self::Moments { .. } => "moments",
            Self::Project { .. } => "project",
        }
    }
}

impl Task {
    /// The task in this line.
    ///
    /// # Errors
    /// [`Error::Task`] when there is none, or one of another version.
    pub fn parse(line: &str) -> Result<Self> {
        let task: Self = serde_json::from_str(line)
            .map_err(|cause| Error::Task(format!("not a task: {cause}: {}", start(line))))?;
        match task.version {
            VERSION => Ok(task),
            version => {
                Err(Error::Task(format!("a task of version {version}; this program knows version {VERSION}")))
            }
        }
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is longer than [`LINE_BYTES`].
    pub fn line(&self) -> Result<String> {
        let line = serde_json::to_string(self).map_err(|cause| Error::Internal(cause.to_string()))?;
        if line.len() > LINE_BYTES {
            return Err(Error::Internal(format!("the task {} takes {} bytes", self.task, line.len())));
        }
        Ok(line)
    }
}

/// As much of a line as an error shows.
pub(crate) fn start(line: &str) -> String {
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_one_line_and_comes_back_from_it() {
        let works = [
            (Work::Embed { photos: 1, bytes: 2 }, "embed"),
            (Work::Settle { keys: 1 }, "settle"),
            (Work::Compact { parts: 1, rows: 2, bytes: 3 }, "compact"),
            (Work::Sweep { objects: 1 }, "sweep"),
            (Work::Moments { parts: 1, rows: 2, full: true }, "moments"),
            (Work::Project { parts: 1, rows: 2 }, "project"),
        ];
        for (work, kind) in works {
            let (run, model) = ("20261124T030000Z-rebuild".into(), "toy".into());
            let task =
                Task { version: VERSION, run, task: "a-1".into(), model, list: "runs/a\nb".into(), work };
            let line = task.line().unwrap();
            assert!(!line.contains('\n') && line.contains(&format!(r#""kind":"{kind}""#)), "{line}");
            assert_eq!((Task::parse(&line).unwrap(), task.work.kind()), (task, kind));
        }
    }

    #[test]
    fn a_line_that_is_no_task_is_shown() {
        for line in [
            "",
            "nonsense",
            r#"{"version": 1}"#,
            r#"{"version":2,"run":"r","task":"t","model":"m","list":"l","kind":"sweep","objects":1}"#,
        ] {
            let error = Task::parse(line).unwrap_err().to_string();
            assert!(error.contains("task"), "{error}");
        }
    }
}
