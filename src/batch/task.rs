//! A task: one line of JSON from plan to work.
//!
//! A task refers to a list in `runs/<run id>/` of the keys, parts or rows that it is about, so its
//! line stays below [`LINE_BYTES`]. The tasks of a stage are independent of each other. Each may be
//! executed twice, concurrently, or again after a kill.

use serde::{Deserialize, Serialize};

use crate::contract::run::VERSION;
use crate::error::{Error, Result};

/// The maximum length of a line, in bytes. Spark's scheduler carries every line.
pub const LINE_BYTES: usize = 64 << 10;

/// Characters of a malformed line that an error quotes.
const EXCERPT_CHARS: usize = 200;

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The format [`VERSION`].
    pub version: u32,
    /// The id of the task's run.
    pub run: String,
    /// The task's name, unique within the run: `embed-000001`.
    pub task: String,
    /// The id of the model, which must be the worker's.
    pub model: String,
    /// The key of the task's list in the results bucket.
    pub list: String,
    /// The kind of work, with its size.
    #[serde(flatten)]
    pub kind: TaskKind,
}

/// The kind of a task, with estimates of its size for scheduling and for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TaskKind {
    /// Embed photos. The list is a `backfill::PhotoList`.
    Embed {
        /// Photos in the list.
        photos: u64,
        /// Total size of the photos.
        bytes: u64,
    },
    /// Record removals, and restore versions that S3 holds again. The list is a
    /// `backfill::KeyList`.
    #[serde(rename = "settle")]
    Reconcile {
        /// Keys in the list.
        keys: u64,
    },
    /// Rewrite parts of one date. The list is a `compact::Rewrite`.
    Compact {
        /// Parts to read.
        parts: u64,
        /// Rows in the parts, current or dead.
        rows: u64,
        /// Total size of the parts.
        bytes: u64,
    },
    /// Delete replaced parts and dead objects. The list is a `compact::DeleteList`.
    #[serde(rename = "sweep")]
    Delete {
        /// Parts and other objects in the list.
        objects: u64,
    },
    /// Sum the moments of the current rows of parts. The list is a `pca::PartList`.
    Moments {
        /// Parts in the list.
        parts: u64,
        /// Current rows of the parts.
        rows: u64,
        /// Whether to ignore cached moments.
        full: bool,
    },
    /// Project the current rows of parts. The list is a `pca::PartList`.
    Project {
        /// Parts in the list.
        parts: u64,
        /// Current rows of the parts.
        rows: u64,
    },
}

impl TaskKind {
    /// Returns the kind's name in the line, and in the path of the list.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embed { .. } => "embed",
            Self::Reconcile { .. } => "settle",
            Self::Compact { .. } => "compact",
            Self::Delete { .. } => "sweep",
            Self::Moments { .. } => "moments",
            Self::Project { .. } => "project",
        }
    }
}

impl Task {
    /// Parses a line.
    ///
    /// # Errors
    /// [`Error::Task`] when the line is not a task, or a task of another version.
    pub fn parse(line: &str) -> Result<Self> {
        let task: Self = serde_json::from_str(line)
            .map_err(|cause| Error::Task(format!("not a task: {cause}: {}", excerpt(line))))?;
        match task.version {
            VERSION => Ok(task),
            version => {
                Err(Error::Task(format!("a task of version {version}; this program supports {VERSION}")))
            }
        }
    }

    /// Returns the task's line, without a line break.
    ///
    /// # Errors
    /// [`Error::Internal`] when the line exceeds [`LINE_BYTES`].
    pub fn line(&self) -> Result<String> {
        let line = serde_json::to_string(self).map_err(|cause| Error::Internal(cause.to_string()))?;
        if line.len() > LINE_BYTES {
            let (name, bytes) = (&self.task, line.len());
            return Err(Error::Internal(format!("the line of task {name} has {bytes} bytes")));
        }
        Ok(line)
    }
}

/// Returns the beginning of a line, for an error message.
pub(crate) fn excerpt(line: &str) -> String {
    line.chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(kind: TaskKind) -> Task {
        let (run, list) = ("20261124T030000Z-rebuild".into(), "runs/a\nb".into());
        Task { version: VERSION, run, task: "a-1".into(), model: "toy".into(), list, kind }
    }

    /// The lines that the previous version wrote. A plan of one version may be executed by another.
    #[test]
    fn a_task_is_one_line_of_the_documented_format() {
        let cases = [
            (TaskKind::Embed { photos: 1, bytes: 2 }, r#""kind":"embed","photos":1,"bytes":2}"#),
            (TaskKind::Reconcile { keys: 1 }, r#""kind":"settle","keys":1}"#),
            (
                TaskKind::Compact { parts: 1, rows: 2, bytes: 3 },
                r#""kind":"compact","parts":1,"rows":2,"bytes":3}"#,
            ),
            (TaskKind::Delete { objects: 1 }, r#""kind":"sweep","objects":1}"#),
            (
                TaskKind::Moments { parts: 1, rows: 2, full: true },
                r#""kind":"moments","parts":1,"rows":2,"full":true}"#,
            ),
            (TaskKind::Project { parts: 1, rows: 2 }, r#""kind":"project","parts":1,"rows":2}"#),
        ];
        for (kind, end) in cases {
            let task = task(kind);
            let start = r#"{"version":1,"run":"20261124T030000Z-rebuild","task":"a-1","model":"toy","#;
            let line = task.line().unwrap();
            assert_eq!(line, format!(r#"{start}"list":"runs/a\nb",{end}"#));
            assert_eq!(Task::parse(&line).unwrap(), task);
            assert!(line.contains(&format!(r#""kind":"{}""#, task.kind.name())), "{line}");
        }
    }

    #[test]
    fn a_malformed_line_or_another_version_is_an_error() {
        for line in [
            "",
            "nonsense",
            r#"{"version": 1}"#,
            r#"{"version":2,"run":"r","task":"t","model":"m","list":"l","kind":"sweep","objects":1}"#,
        ] {
            let error = Task::parse(line).unwrap_err().to_string();
            assert!(error.contains("task"), "{error}");
        }
        let long = Task::parse(&"x".repeat(1_000_000)).unwrap_err().to_string();
        assert!(long.len() < 400, "{long}");
    }

    #[test]
    fn a_task_too_long_for_a_line_is_an_error() {
        let long = Task { list: "l".repeat(LINE_BYTES), ..task(TaskKind::Delete { objects: 1 }) };
        assert!(matches!(long.line(), Err(Error::Internal(_))));
    }
}
