//! Counts and timings of a function, written as one line in `CloudWatch`'s embedded metric format.
//!
//! `CloudWatch` extracts the metrics from the log line, so no API call takes time or can fail.
//! Source: "Specification: Embedded metric format" in the Amazon `CloudWatch` user guide.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "fruitvec";
/// The name of the only dimension, whose value is the function's name.
pub const DIMENSION: &str = "function";
/// The format's limit on values per metric.
const MAX_VALUES: usize = 100;

/// The metrics of one invocation.
#[derive(Debug, Clone)]
pub struct Metrics {
    function: &'static str,
    metrics: BTreeMap<Cow<'static, str>, (Unit, Vec<f64>)>,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Count,
    Milliseconds,
}

impl Metrics {
    /// Creates an empty set of metrics for a function: `embed`, `launch` or `upload`.
    #[must_use]
    pub fn new(function: &'static str) -> Self {
        Self { function, metrics: BTreeMap::new() }
    }

    /// Adds to a count.
    pub fn count(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        let (_, values) = self.metrics.entry(name.into()).or_insert((Unit::Count, vec![0.0]));
        if value.is_finite() {
            values[0] += value;
        }
    }

    /// Records a duration. The durations under one name form an array.
    pub fn milliseconds(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        // JSON has only finite numbers, and one bad value would make the whole line unreadable.
        if value.is_finite() {
            self.metrics.entry(name.into()).or_insert((Unit::Milliseconds, Vec::new())).1.push(value);
        }
    }

    /// Returns the log line without a line break, or `None` if nothing was recorded.
    ///
    /// More than 100 durations under one name are reduced to 100, evenly spaced from the shortest
    /// to the longest. This keeps the extremes, and the percentiles approximately.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        self.line_at(OffsetDateTime::now_utc())
    }

    /// Prints the line to standard output, where Lambda's log collection reads it.
    pub fn print(&self) {
        if let Some(line) = self.line() {
            // A closed standard output must not fail an invocation whose work is done.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    fn line_at(&self, now: OffsetDateTime) -> Option<String> {
        if self.metrics.is_empty() {
            return None;
        }
        let definitions: Vec<_> = self
            .metrics
            .iter()
            .map(|(name, (unit, _))| json!({ "Name": name, "Unit": unit.name() }))
            .collect();
        let mut line = Map::new();
        line.insert(
            "_aws".into(),
            json!({
                "Timestamp": (now.unix_timestamp_nanos() / 1_000_000) as i64,
                "CloudWatchMetrics": [
                    { "Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": definitions }
                ],
            }),
        );
        line.insert(DIMENSION.into(), self.function.into());
        line.extend(self.metrics.iter().map(|(name, (_, values))| (name.to_string(), to_json(values))));
        Some(Value::Object(line).to_string())
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// Returns a single value as a number, and several as an array of at most [`MAX_VALUES`].
fn to_json(values: &[f64]) -> Value {
    match values {
        [value] => json!(value),
        values if values.len() <= MAX_VALUES => json!(values),
        values => {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let last = sorted.len() - 1;
            (0..MAX_VALUES).map(|index| json!(sorted[index * last / (MAX_VALUES - 1)])).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn line(metrics: &Metrics) -> Value {
        serde_json::from_str(&metrics.line().unwrap()).unwrap()
    }

    #[test]
    fn the_line_follows_the_specification() {
        let mut metrics = Metrics::new("embed");
        metrics.count("embedded", 2.0);
        metrics.milliseconds("decode_ms", 12.5);
        metrics.milliseconds("decode_ms", 7.0);
        metrics.milliseconds("init_ms", 80.0);
        let found = metrics.line_at(datetime!(2026-11-24 09:14:07.123 UTC)).unwrap();
        assert!(!found.contains('\n'), "{found}");
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_511_647_123_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "fruitvec",
                    "Dimensions": [["function"]],
                    "Metrics": [
                        { "Name": "decode_ms", "Unit": "Milliseconds" },
                        { "Name": "embedded", "Unit": "Count" },
                        { "Name": "init_ms", "Unit": "Milliseconds" },
                    ],
                }],
            },
            "function": "embed", "decode_ms": [12.5, 7.0], "embedded": 2.0, "init_ms": 80.0,
        });
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), expected);
    }

    #[test]
    fn an_empty_set_of_metrics_has_no_line() {
        assert_eq!(Metrics::new("upload").line(), None);
    }

    #[test]
    fn counts_add_up() {
        let mut metrics = Metrics::new("embed");
        (0..250).for_each(|_| metrics.count(format!("rejected_{}", "empty"), 1.0));
        assert_eq!(line(&metrics)["rejected_empty"], 250.0);
    }

    #[test]
    fn many_durations_are_reduced_to_a_hundred_from_the_shortest_to_the_longest() {
        let mut metrics = Metrics::new("embed");
        (0..1_000).rev().for_each(|number| metrics.milliseconds("embed_ms", f64::from(number)));
        let found = line(&metrics);
        let values = found["embed_ms"].as_array().unwrap();
        assert_eq!(values.len(), 100);
        assert_eq!((values[0].as_f64(), values[99].as_f64()), (Some(0.0), Some(999.0)));
        let middle = values[50].as_f64().unwrap();
        assert!((490.0..=510.0).contains(&middle), "{middle}");
    }

    #[test]
    fn a_value_that_json_cannot_represent_is_left_out() {
        let mut metrics = Metrics::new("embed");
        metrics.milliseconds("embed_ms", f64::NAN);
        assert_eq!(metrics.line(), None);
        metrics.milliseconds("embed_ms", 1.0);
        assert_eq!(line(&metrics)["embed_ms"], 1.0);
    }
}
