//! An outcome: one line of JSON from work to commit, with the result of one task.

use serde::{Deserialize, Serialize};

use super::task::{Task, excerpt};
use crate::contract::run::{Counts, VERSION};
use crate::error::{Error, Result};

/// The maximum length of a line, in bytes.
pub const LINE_BYTES: usize = 4 << 10;

/// Failures of single photos that an outcome describes. All are counted.
const MAX_REPORTED_ERRORS: usize = 5;
/// Characters of an error's description.
const ERROR_CHARS: usize = 300;

/// The result of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The format [`VERSION`].
    pub version: u32,
    /// The id of the task's run.
    pub run: String,
    /// The task's name.
    pub task: String,
    /// The name of the task's kind.
    pub kind: String,
    /// Whether the task is done.
    pub state: State,
    /// Duration of the task, in seconds.
    pub seconds: f64,
    /// Completed work, counted.
    pub counts: Counts,
    /// The key of the object that the task left for its commit, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Why the task failed. For a task that is done, the first failures of single photos or keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Whether a task is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The task is done.
    Done,
    /// The task failed, and may be retried.
    Failed,
}

/// The contribution of a task that is done to its [`Outcome`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Completed work, counted.
    pub counts: Counts,
    /// The key of the object that the task left for its commit, if any.
    pub object: Option<String>,
    /// The first photos or keys that failed, each with its error.
    pub errors: Vec<String>,
}

impl Outcome {
    /// Returns the outcome of a task that is done.
    #[must_use]
    pub fn done(task: &Task, seconds: f64, report: Report) -> Self {
        Self::new(task, State::Done, seconds, report)
    }

    /// Returns the outcome of a task that failed.
    #[must_use]
    pub fn failed(task: &Task, seconds: f64, error: &Error) -> Self {
        let errors = vec![describe(&error.to_string())];
        Self::new(task, State::Failed, seconds, Report { errors, ..Report::default() })
    }

    fn new(task: &Task, state: State, seconds: f64, report: Report) -> Self {
        let Report { counts, object, errors } = report;
        let (run, kind) = (task.run.clone(), task.kind.name().to_owned());
        Self { version: VERSION, run, task: task.task.clone(), kind, state, seconds, counts, object, errors }
    }

    /// Parses a line.
    ///
    /// # Errors
    /// [`Error::Task`] when the line is not an outcome, or an outcome of another version.
    pub fn parse(line: &str) -> Result<Self> {
        let outcome: Self = serde_json::from_str(line)
            .map_err(|cause| Error::Task(format!("not the outcome of a task: {cause}: {}", excerpt(line))))?;
        match outcome.version {
            VERSION => Ok(outcome),
            version => {
                Err(Error::Task(format!("an outcome of version {version}; this program supports {VERSION}")))
            }
        }
    }

    /// Returns the outcome's line, without a line break.
    ///
    /// # Errors
    /// [`Error::Internal`] when the line exceeds [`LINE_BYTES`].
    pub fn line(&self) -> Result<String> {
        let line = serde_json::to_string(self).map_err(|cause| Error::Internal(cause.to_string()))?;
        if line.len() > LINE_BYTES {
            let (name, bytes) = (&self.task, line.len());
            return Err(Error::Internal(format!("the outcome of task {name} has {bytes} bytes")));
        }
        Ok(line)
    }
}

impl Report {
    /// Counts a failed photo or key, and describes its error if it is one of the first.
    pub fn fail(&mut self, key: &str, error: &Error) {
        self.counts.add("failed", 1);
        if self.errors.len() < MAX_REPORTED_ERRORS {
            self.errors.push(describe(&format!("{key}: {error}")));
        }
    }

    /// Adds the report on another portion of the same task.
    pub fn merge(&mut self, other: Self) {
        self.counts.merge(&other.counts);
        self.errors.extend(other.errors);
        self.errors.truncate(MAX_REPORTED_ERRORS);
    }
}

/// Shortens an error for a line.
///
/// A key or a server's message may contain any character. JSON escapes some of them with up to six
/// bytes, so the result has only characters that JSON leaves as they are.
fn describe(error: &str) -> String {
    let plain = |c: char| match c {
        '"' | '\\' => '\'',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '?',
    };
    let mut short: String = error.chars().take(ERROR_CHARS).map(plain).collect();
    if error.chars().nth(ERROR_CHARS).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::task::TaskKind;

    fn task(model: &str) -> Task {
        Task {
            version: VERSION,
            run: "20261124T030000Z-rebuild".into(),
            task: "embed-000001".into(),
            model: model.into(),
            list: "l".into(),
            kind: TaskKind::Embed { photos: 1, bytes: 1 },
        }
    }

    #[test]
    fn the_longest_outcome_fits_into_a_line() {
        let mut report = Report { object: Some("o".repeat(100)), ..Report::default() };
        for _ in 0..2000 {
            report.fail(&"\u{1F95D}\"\\\n".repeat(300), &Error::Internal("\0".repeat(5000)));
        }
        for code in 0..30 {
            report.counts.add(&format!("rejected_some_long_code_{code}"), u64::MAX / 2);
        }
        let outcome = Outcome::done(&task(&"m".repeat(60)), 1e300, report);
        assert_eq!(outcome.counts.get("failed"), 2000);
        assert_eq!(Outcome::parse(&outcome.line().unwrap()).unwrap(), outcome);
        let failed = Outcome::failed(&task("m"), 0.5, &Error::Internal("\u{7}".repeat(5000)));
        assert_eq!(Outcome::parse(&failed.line().unwrap()).unwrap(), failed);
    }

    /// The lines that the previous version wrote. A worker of one version may report to a commit of
    /// another.
    #[test]
    fn an_outcome_is_one_line_of_the_documented_format() {
        let start = r#"{"version":1,"run":"20261124T030000Z-rebuild","task":"embed-000001","kind":"embed","#;
        let mut report = Report { object: Some("runs/r/o".into()), ..Report::default() };
        report.counts.add("photos", 2);
        report.fail("a \"b\"\n", &Error::Internal("é".into()));
        let done = Outcome::done(&task("m"), 1.0, report);
        let end = r#""state":"done","seconds":1.0,"counts":{"failed":1,"photos":2},"object":"runs/r/o","errors":["a 'b'?: internal: ?"]}"#;
        assert_eq!(done.line().unwrap(), format!("{start}{end}"));
        let done = Outcome::done(&task("m"), 0.25, Report::default());
        let end = r#""state":"done","seconds":0.25,"counts":{}}"#;
        assert_eq!(done.line().unwrap(), format!("{start}{end}"));
        let failed = Outcome::failed(&task("m"), 0.5, &Error::Config("c".into()));
        let end = r#""state":"failed","seconds":0.5,"counts":{},"errors":["configuration: c"]}"#;
        assert_eq!(failed.line().unwrap(), format!("{start}{end}"));
    }

    #[test]
    fn a_malformed_line_or_another_version_is_an_error() {
        let other = Outcome { version: 2, ..Outcome::done(&task("m"), 1.0, Report::default()) };
        for line in ["", "nonsense", r#"{"version":1}"#, &other.line().unwrap()] {
            let error = Outcome::parse(line).unwrap_err().to_string();
            assert!(error.contains("outcome"), "{error}");
        }
    }

    #[test]
    fn merged_reports_count_all_failures_and_describe_the_first() {
        let report = |first: usize| {
            let mut report = Report::default();
            (first..first + 4).for_each(|key| report.fail(&key.to_string(), &Error::Event("e".into())));
            report
        };
        let mut merged = report(0);
        merged.merge(report(4));
        assert_eq!(merged.counts.get("failed"), 8);
        assert_eq!(merged.errors, ["0", "1", "2", "3", "4"].map(|key| format!("{key}: event: e")));
    }

    #[test]
    fn counts_add_up_by_name() {
        let (mut all, mut other) = (Counts::default(), Counts::default());
        all.add("rows", 2);
        all.add("none", 0);
        other.add("rows", 3);
        other.add("parts", 1);
        all.merge(&other);
        assert_eq!(all.iter().collect::<Vec<_>>(), [("parts", 1), ("rows", 5)]);
    }
}
