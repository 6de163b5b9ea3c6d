//! An outcome: one line of JSON from work to commit, what became of one task.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::run::VERSION;
use crate::task::{Task, start};

/// The longest line, bytes.
pub const LINE_BYTES: usize = 4 << 10;
/// Failures of single photos that an outcome tells; all are counted.
const TOLD: usize = 5;
/// Characters of an error that are told.
const LENGTH: usize = 300;

/// What became of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`VERSION`].
    pub version: u32,
    /// The run that the task belongs to.
    pub run: String,
    /// The task's name.
    pub task: String,
    /// What was to do: [`Work::kind`](crate::task::Work::kind).
    pub kind: String,
    /// Whether it is done.
    pub state: State,
    /// How long it took.
    pub seconds: f64,
    /// What was done, counted.
    pub counts: Counts,
    /// The object that the task made for its commit, if it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Why it failed; of a task that is done, the first photos that were neither embedded nor rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Whether a task is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is.
    Done,
    /// It is not, and may be tried again.
    Failed,
}

/// Numbers by name. Embed: `photos`, `bytes`, `embedded`, `already`, `rejected`, `rejected_<code>`, `gone`, `ignored`, `failed`, `restored`.
/// Settle: `removed`, `still_there`, `restored`, `changed`. Compact: `parts_read`, `parts_written`, `rows`, `bytes_read`, `bytes_written`.
/// Sweep: `parts_deleted`, `parts_kept`, `objects_deleted`. Moments and project: `parts`, `rows`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Counts some more.
    pub fn add(&mut self, name: &str, count: u64) {
        if count > 0 {
            *self.0.entry(name.to_owned()).or_default() += count;
        }
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, count)| self.add(name, *count));
    }

    /// The count of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

impl Outcome {
    /// The outcome of a task that is done.
    #[must_use]
    pub fn done(task: &Task, seconds: f64, report: Report) -> Self {
        let Report { counts, object, errors } = report;
        Self::of(task, State::Done, seconds, counts, object, errors)
    }

    /// The outcome of a task that failed.
    #[must_use]
    pub fn failed(task: &Task, seconds: f64, error: &Error) -> Self {
        let errors = vec![shortened(&error.to_string())];
        Self::of(task, State::Failed, seconds, Counts::default(), None, errors)
    }

    fn of(
        task: &Task,
        state: State,
        seconds: f64,
        counts: Counts,
        object: Option<String>,
        errors: Vec<String>,
    ) -> Self {
        let (run, kind) = (task.run.clone(), task.work.kind().to_owned());
        Self { version: VERSION, run, task: task.task.clone(), kind, state, seconds, counts, object, errors }
    }

    /// The outcome in this line.
    ///
    /// # Errors
    /// [`Error::Task`] when there is none, or one of another version.
    pub fn parse(line: &str) -> Result<Self> {
        let outcome: Self = serde_json::from_str(line)
            .map_err(|cause| Error::Task(format!("not the outcome of a task: {cause}: {}", start(line))))?;
        match outcome.version {
            VERSION => Ok(outcome),
            version => Err(Error::Task(format!(
                "an outcome of version {version}; this program knows version {VERSION}"
            ))),
        }
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is longer than [`LINE_BYTES`].
    pub fn line(&self) -> Result<String> {
        let line = serde_json::to_string(self).map_err(|cause| Error::Internal(cause.to_string()))?;
        if line.len() > LINE_BYTES {
            return Err(Error::Internal(format!("the outcome of {} takes {} bytes", self.task, line.len())));
        }
        Ok(line)
    }
}

/// What a task that is done reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was done, counted.
    pub counts: Counts,
    /// The object that it made for its commit.
    pub object: Option<String>,
    /// The first photos that were neither embedded nor rejected.
    pub errors: Vec<String>,
}

impl Report {
    /// Counts a photo that was neither embedded nor rejected, and tells it if it is one of the first.
    pub fn fail(&mut self, key: &str, error: &Error) {
        self.counts.add("failed", 1);
        self.tell(key, error);
    }

    fn tell(&mut self, key: &str, error: &Error) {
        if self.errors.len() < TOLD {
            self.errors.push(shortened(&format!("{key}: {error}")));
        }
    }

    /// Takes in the report of another part of the task.
    pub fn merge(&mut self, other: Self) {
        self.counts.merge(&other.counts);
        self.errors.extend(other.errors);
        self.errors.truncate(TOLD);
    }
}

/// A text that is not too long for a line, whatever a key or a server says: it is plain ASCII, which JSON does not make longer.
fn shortened(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut short: String =
        text.chars().take(LENGTH).map(plain).map(|c| if c == '"' || c == '\\' { '\'' } else { c }).collect();
    if text.chars().count() > LENGTH {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Work;

    fn task() -> Task {
        let work = Work::Embed { photos: 1, bytes: 1 };
        let run = "20261124T030000Z-rebuild".to_owned();
        Task {
            version: VERSION,
            run,
            task: "embed-000001".into(),
            model: "m".repeat(60),
            list: "l".into(),
            work,
        }
    }

    #[test]
    fn the_longest_outcome_fits_a_line() {
        let mut report = Report { object: Some("o".repeat(100)), ..Report::default() };
        for _ in 0..2000 {
            report.fail(&"\u{1F95D}\"\\\n".repeat(300), &Error::Internal("\0".repeat(5000)));
        }
        for code in 0..30 {
            report.counts.add(&format!("rejected_some_long_code_{code}"), u64::MAX / 2);
        }
        let outcome = Outcome::done(&task(), 1e300, report);
        assert_eq!(outcome.counts.get("failed"), 2000);
        assert_eq!(Outcome::parse(&outcome.line().unwrap()).unwrap(), outcome);
        let failed = Outcome::failed(&task(), 0.5, &Error::Internal("\u{7}".repeat(5000)));
        assert_eq!(Outcome::parse(&failed.line().unwrap()).unwrap(), failed);
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
