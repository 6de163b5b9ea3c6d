//! What the function tells of its work: a log line for each photo, a metrics line for each invocation.
//!
//! Neither holds anything of a photo's content, nor credentials: a key, an id, an outcome, a reason in a word, and times.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::time::Duration;

use fruitvec::error::{Disposition, Error};
use fruitvec::event::{Change, Delivery};
use fruitvec::ingest::{Outcome, Took};
use fruitvec::metrics::Metrics;
use fruitvec::photo::Photo;

/// The outcomes of one invocation as they are told: lines are logged at once, metrics are kept until [`Report::print`].
#[derive(Debug)]
pub(crate) struct Report {
    metrics: Metrics,
    outcomes: BTreeMap<&'static str, usize>,
    /// The parts whose writing is counted.
    parts: HashSet<String>,
}

impl Report {
    /// `init` is what starting took, told by the first invocation only.
    pub(crate) fn new(init: Option<Duration>) -> Self {
        let mut metrics = Metrics::new("embed");
        if let Some(init) = init {
            metrics.milliseconds("init_ms", milliseconds(init));
        }
        Self { metrics, outcomes: BTreeMap::new(), parts: HashSet::new() }
    }

    /// Logs what became of a delivery, and counts it.
    pub(crate) fn delivery(&mut self, delivery: &Delivery, message: Option<&str>, outcome: &Outcome) {
        *self.outcomes.entry(name(outcome)).or_default() += 1;
        self.count(outcome);
        log(delivery, message, outcome);
    }

    /// Logs and counts a message that can't be read.
    pub(crate) fn unread(&mut self, message: &str, error: &Error) {
        self.metrics.count("retried", 1.0);
        tracing::warn!(message_id = message, outcome = "retried", %error, "message");
    }

    /// How many deliveries had which outcome.
    pub(crate) fn outcomes(&self) -> &BTreeMap<&'static str, usize> {
        &self.outcomes
    }

    /// Prints the metrics.
    pub(crate) fn print(&self) {
        if let Some(line) = self.metrics.line() {
            // Who does not listen any more need not be told.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Embedded { took, part, .. } => {
                self.metrics.count(name(outcome), 1.0);
                let write = self.parts.insert(part.embeddings_key()).then_some(took.write);
                self.times(&Took { write: write.unwrap_or_default(), ..*took });
            }
            Outcome::Rejected { rejection, took, .. } => {
                self.metrics.count(name(outcome), 1.0);
                self.metrics.count(format!("rejected_{}", rejection.code), 1.0);
                self.times(took);
            }
            Outcome::Gone | Outcome::Removed => self.metrics.count(name(outcome), 1.0),
            Outcome::Failed(error) if error.disposition() == Disposition::Retry => {
                self.metrics.count(name(outcome), 1.0);
            }
            // Fatal errors are counted by Lambda itself: the invocation fails.
            Outcome::Failed(_) | Outcome::StillThere | Outcome::Ignored => (),
        }
    }

    /// The stages that there were.
    fn times(&mut self, took: &Took) {
        for (name, time) in stages(took) {
            if let Some(time) = time {
                self.metrics.milliseconds(name, time);
            }
        }
    }
}

/// An outcome's name in the log and, where it has one, its metric.
fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Embedded { already: false, .. } => "embedded",
        Outcome::Embedded { already: true, .. } => "already_there",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Gone => "gone",
        Outcome::Removed => "removed",
        Outcome::StillThere => "still_there",
        Outcome::Ignored => "ignored",
        Outcome::Failed(error) if error.disposition() == Disposition::Retry => "retried",
        Outcome::Failed(_) => "fatal",
    }
}

fn log(delivery: &Delivery, message_id: Option<&str>, outcome: &Outcome) {
    let (mut photo, mut code, mut part, mut stage, mut failed) = (None, None, None, Took::default(), None);
    match outcome {
        Outcome::Embedded { photo: embedded, part: written, took, .. } => {
            (photo, part, stage) = (Some(embedded), Some(written.embeddings_key()), *took);
        }
        Outcome::Rejected { photo: rejected, rejection, took } => {
            (photo, code, stage) = (Some(rejected), Some(rejection.code.as_str()), *took);
        }
        Outcome::Failed(error) => failed = Some(error),
        Outcome::Gone | Outcome::Removed | Outcome::StillThere | Outcome::Ignored => (),
    }
    let photo_id = photo.map(Photo::id).map(|id| id.to_string());
    let error = failed.map(ToString::to_string);
    let [(_, fetch_ms), (_, decode_ms), (_, embed_ms), (_, write_ms)] = stages(&stage);
    let change = match delivery.change {
        Change::Created => "created",
        Change::Removed => "removed",
    };
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                bucket = delivery.bucket,
                key = delivery.key,
                change,
                outcome = name(outcome),
                photo_id,
                code,
                part,
                fetch_ms,
                decode_ms,
                embed_ms,
                write_ms,
                error,
                message_id,
                "photo"
            )
        };
    }
    match failed.map(|error| error.disposition()) {
        None => line!(info),
        Some(Disposition::Fatal) => line!(error),
        Some(_) => line!(warn),
    }
}

/// The stages of a photo, by the name of their metric; none that there was not.
fn stages(took: &Took) -> [(&'static str, Option<f64>); 4] {
    let Took { fetch, decode, embed, write } = *took;
    [("fetch_ms", fetch), ("decode_ms", decode), ("embed_ms", embed), ("write_ms", write)]
        .map(|(name, time)| (name, (!time.is_zero()).then(|| milliseconds(time))))
}

/// To the microsecond: more is noise.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fruitvec::partition::{Part, PartName, Partition};
    use fruitvec::reject::{RejectCode, Rejection};
    use serde_json::{Value, json};
    use time::OffsetDateTime;
    use time::macros::date;

    use super::*;

    fn photo(key: &str) -> Photo {
        Photo {
            bucket: "photos".into(),
            key: key.into(),
            etag: "0".into(),
            size_bytes: 1,
            last_modified: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn took(milliseconds: [u64; 4]) -> Took {
        let [fetch, decode, embed, write] = milliseconds.map(Duration::from_millis);
        Took { fetch, decode, embed, write }
    }

    fn embedded(key: &str, already: bool, milliseconds: [u64; 4]) -> Outcome {
        let partition = Partition { model: "toy".into(), date: date!(2026 - 11 - 24) };
        let part = Part { partition, name: PartName::of([]) };
        Outcome::Embedded { photo: photo(key), part, already, took: took(milliseconds) }
    }

    fn told(init: Option<Duration>, outcomes: &[Outcome]) -> Value {
        let mut report = Report::new(init);
        let delivery = Delivery {
            bucket: "photos".into(),
            key: "a".into(),
            change: Change::Created,
            at: OffsetDateTime::UNIX_EPOCH,
        };
        outcomes.iter().for_each(|outcome| report.delivery(&delivery, None, outcome));
        report.metrics.line().map_or(Value::Null, |line| serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn outcomes_and_stages_become_metrics_and_a_shared_part_is_written_once() {
        let rejection = Rejection::new(RejectCode::Truncated, "half");
        let metrics = told(
            Some(Duration::from_micros(80_250)),
            &[
                embedded("a", false, [3, 1, 20, 9]),
                embedded("b", false, [4, 2, 21, 9]),
                Outcome::Rejected { photo: photo("c"), rejection, took: took([5, 1, 0, 7]) },
                Outcome::Gone,
                Outcome::StillThere,
                Outcome::Ignored,
                Outcome::Failed(Arc::new(Error::OutOfTime("late".into()))),
                Outcome::Failed(Arc::new(Error::Config("wrong".into()))),
            ],
        );
        let wanted = json!({
            "function": "embed", "init_ms": 80.25, "embedded": 2.0, "rejected": 1.0, "rejected_truncated": 1.0, "gone": 1.0,
            "retried": 1.0, "fetch_ms": [3.0, 4.0, 5.0], "decode_ms": [1.0, 2.0, 1.0], "embed_ms": [20.0, 21.0],
            "write_ms": [9.0, 7.0], "_aws": metrics["_aws"],
        });
        assert_eq!(metrics, wanted);
    }

    #[test]
    fn a_batch_that_was_delivered_twice_is_told_as_such() {
        assert_eq!(told(None, &[embedded("a", true, [3, 1, 20, 9])])["already_there"], 1.0);
    }

    #[test]
    fn an_invocation_without_work_has_no_metrics() {
        assert_eq!(told(None, &[]), Value::Null);
        assert_eq!(told(None, &[Outcome::Ignored]), Value::Null);
    }
}
