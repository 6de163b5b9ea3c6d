//! Reports a log line per photo and a metrics line per invocation.
//!
//! Neither contains any part of a photo's content, or credentials. They contain keys, ids,
//! outcomes, reject codes and times.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use fruitvec::contract::event::{Change, Delivery};
use fruitvec::contract::photo::Photo;
use fruitvec::error::{Disposition, Error};
use fruitvec::ingest::{DeliveryOutcome, StageTimings};
use fruitvec::metrics::Metrics;

/// Collects the metrics of one invocation, and logs each photo as soon as its outcome is known.
#[derive(Debug)]
pub(crate) struct InvocationReport {
    metrics: Metrics,
    outcomes: BTreeMap<&'static str, usize>,
    /// The parts whose write time is already counted. The photos of a part share it.
    parts: HashSet<String>,
}

impl InvocationReport {
    /// Creates a report. `init` is the duration of the start, which only the first invocation
    /// reports.
    pub(crate) fn new(init: Option<Duration>) -> Self {
        let mut metrics = Metrics::new("embed");
        if let Some(init) = init {
            metrics.milliseconds("init_ms", milliseconds(init));
        }
        Self { metrics, outcomes: BTreeMap::new(), parts: HashSet::new() }
    }

    /// Logs and counts the outcome of a delivery.
    pub(crate) fn delivery(&mut self, delivery: &Delivery, message: Option<&str>, outcome: &DeliveryOutcome) {
        *self.outcomes.entry(name(outcome)).or_default() += 1;
        self.count(outcome);
        log(delivery, message, outcome);
    }

    /// Logs and counts a message that is not an event.
    pub(crate) fn invalid_message(&mut self, message: &str, error: &Error) {
        self.metrics.count("retried", 1.0);
        tracing::warn!(message_id = message, outcome = "retried", %error, "message");
    }

    /// Returns the number of deliveries per outcome.
    pub(crate) fn outcomes(&self) -> &BTreeMap<&'static str, usize> {
        &self.outcomes
    }

    /// Prints the metrics.
    pub(crate) fn print(&self) {
        self.metrics.print();
    }

    fn count(&mut self, outcome: &DeliveryOutcome) {
        match outcome {
            DeliveryOutcome::Embedded { timings, part, .. } => {
                self.metrics.count(name(outcome), 1.0);
                // Counted once per part. Otherwise ten photos of a part would count as ten writes.
                let write = self.parts.insert(part.embeddings_key()).then_some(timings.write);
                self.times(&StageTimings { write: write.unwrap_or_default(), ..*timings });
            }
            DeliveryOutcome::Rejected { rejection, timings, .. } => {
                self.metrics.count(name(outcome), 1.0);
                self.metrics.count(format!("rejected_{}", rejection.code), 1.0);
                self.times(timings);
            }
            DeliveryOutcome::Gone | DeliveryOutcome::Removed => self.metrics.count(name(outcome), 1.0),
            DeliveryOutcome::Failed(error) if error.disposition() == Disposition::Retry => {
                self.metrics.count(name(outcome), 1.0);
            }
            // A fatal error fails the invocation, and Lambda counts that.
            DeliveryOutcome::Failed(_) | DeliveryOutcome::StillThere | DeliveryOutcome::Ignored => (),
        }
    }

    /// Adds the times of the stages that took place.
    fn times(&mut self, timings: &StageTimings) {
        for (name, time) in stages(timings) {
            if let Some(time) = time {
                self.metrics.milliseconds(name, time);
            }
        }
    }
}

/// Returns the name of an outcome in the log, which is also that of its metric.
fn name(outcome: &DeliveryOutcome) -> &'static str {
    match outcome {
        DeliveryOutcome::Embedded { already: false, .. } => "embedded",
        DeliveryOutcome::Embedded { already: true, .. } => "already_there",
        DeliveryOutcome::Rejected { .. } => "rejected",
        DeliveryOutcome::Gone => "gone",
        DeliveryOutcome::Removed => "removed",
        DeliveryOutcome::StillThere => "still_there",
        DeliveryOutcome::Ignored => "ignored",
        DeliveryOutcome::Failed(error) if error.disposition() == Disposition::Retry => "retried",
        DeliveryOutcome::Failed(_) => "fatal",
    }
}

fn log(delivery: &Delivery, message_id: Option<&str>, outcome: &DeliveryOutcome) {
    let (mut photo, mut code, mut part, mut stage, mut failed) =
        (None, None, None, StageTimings::default(), None);
    match outcome {
        DeliveryOutcome::Embedded { photo: embedded, part: written, timings, .. } => {
            (photo, part, stage) = (Some(embedded), Some(written.embeddings_key()), *timings);
        }
        DeliveryOutcome::Rejected { photo: rejected, rejection, timings } => {
            (photo, code, stage) = (Some(rejected), Some(rejection.code.as_str()), *timings);
        }
        DeliveryOutcome::Failed(error) => failed = Some(error),
        DeliveryOutcome::Gone
        | DeliveryOutcome::Removed
        | DeliveryOutcome::StillThere
        | DeliveryOutcome::Ignored => (),
    }
    let photo_id = photo.map(Photo::id).map(|id| id.to_string());
    let error = failed.map(ToString::to_string);
    let [(_, fetch_ms), (_, decode_ms), (_, embed_ms), (_, write_ms)] = stages(&stage);
    let change = match delivery.change {
        Change::Created => "created",
        Change::Removed => "removed",
    };
    // `tracing` needs the level at compile time, so each level is a separate call.
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

/// Returns the time of each stage by the name of its metric, or `None` for a stage that was
/// skipped.
fn stages(timings: &StageTimings) -> [(&'static str, Option<f64>); 4] {
    let StageTimings { fetch, decode, embed, write } = *timings;
    [("fetch_ms", fetch), ("decode_ms", decode), ("embed_ms", embed), ("write_ms", write)]
        .map(|(name, time)| (name, (!time.is_zero()).then(|| milliseconds(time))))
}

/// Converts to milliseconds, rounded to a microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fruitvec::contract::layout::{Part, PartName, Partition};
    use fruitvec::rejection::{RejectCode, Rejection};
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

    fn timings(milliseconds: [u64; 4]) -> StageTimings {
        let [fetch, decode, embed, write] = milliseconds.map(Duration::from_millis);
        StageTimings { fetch, decode, embed, write }
    }

    fn embedded(key: &str, already: bool, milliseconds: [u64; 4]) -> DeliveryOutcome {
        let partition = Partition { model: "toy".into(), date: date!(2026 - 11 - 24) };
        let part = Part { partition, name: PartName::of([]) };
        DeliveryOutcome::Embedded { photo: photo(key), part, already, timings: timings(milliseconds) }
    }

    fn reported(init: Option<Duration>, outcomes: &[DeliveryOutcome]) -> Value {
        let mut report = InvocationReport::new(init);
        let delivery = Delivery {
            bucket: "photos".into(),
            key: "a".into(),
            change: Change::Created,
            at: OffsetDateTime::UNIX_EPOCH,
            attempts: 1,
        };
        outcomes.iter().for_each(|outcome| report.delivery(&delivery, None, outcome));
        report.metrics.line().map_or(Value::Null, |line| serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn outcomes_and_stages_become_metrics_and_a_shared_part_is_written_once() {
        let rejection = Rejection::new(RejectCode::Truncated, "half");
        let metrics = reported(
            Some(Duration::from_micros(80_250)),
            &[
                embedded("a", false, [3, 1, 20, 9]),
                embedded("b", false, [4, 2, 21, 9]),
                DeliveryOutcome::Rejected { photo: photo("c"), rejection, timings: timings([5, 1, 0, 7]) },
                DeliveryOutcome::Gone,
                DeliveryOutcome::StillThere,
                DeliveryOutcome::Ignored,
                DeliveryOutcome::Failed(Arc::new(Error::OutOfTime("late".into()))),
                DeliveryOutcome::Failed(Arc::new(Error::Config("wrong".into()))),
            ],
        );
        let expected = json!({
            "function": "embed", "init_ms": 80.25, "embedded": 2.0, "rejected": 1.0, "rejected_truncated": 1.0, "gone": 1.0,
            "retried": 1.0, "fetch_ms": [3.0, 4.0, 5.0], "decode_ms": [1.0, 2.0, 1.0], "embed_ms": [20.0, 21.0],
            "write_ms": [9.0, 7.0], "_aws": metrics["_aws"],
        });
        assert_eq!(metrics, expected);
    }

    #[test]
    fn a_redelivered_photo_is_counted_as_already_there() {
        assert_eq!(reported(None, &[embedded("a", true, [3, 1, 20, 9])])["already_there"], 1.0);
    }

    #[test]
    fn an_invocation_without_work_has_no_metrics() {
        assert_eq!(reported(None, &[]), Value::Null);
        assert_eq!(reported(None, &[DeliveryOutcome::Ignored]), Value::Null);
    }
}
