//! What a function counts and times, as one line of `CloudWatch`'s embedded metric format.
//!
//! The line goes to standard output; `CloudWatch` makes metrics of it, without a call that costs time or can fail. Source:
//! "Specification: Embedded metric format" in the Amazon `CloudWatch` user guide.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The namespace of all our metrics.
pub const NAMESPACE: &str = "fruitvec";
/// The dimension of all our metrics: the function that counts.
pub const DIMENSION: &str = "function";
/// The most values that the format takes in one array.
const MOST_VALUES: usize = 100;

/// What was counted and timed in one invocation.
#[derive(Debug, Clone)]
pub struct Metrics {
    function: &'static str,
    metrics: BTreeMap<Cow<'static, str>, (Unit, Vec<f64>)>,
}

/// As `CloudWatch` names it.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Count,
    Milliseconds,
}

impl Metrics {
    /// Nothing yet. `function` becomes the dimension `function`: `embed`, `launch`, `upload`.
    #[must_use]
    pub fn new(function: &'static str) -> Self {
        Self { function, metrics: BTreeMap::new() }
    }

    /// So many more of something. Counts of one name add up.
    pub fn count(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        let (_, values) = self.metrics.entry(name.into()).or_insert((Unit::Count, vec![0.0]));
        if value.is_finite() {
            values[0] += value;
        }
    }

    /// How long something took. Times of one name become an array.
    pub fn milliseconds(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        // JSON has no other numbers, and one bad value would cost the whole line.
        if value.is_finite() {
            self.metrics.entry(name.into()).or_insert((Unit::Milliseconds, Vec::new())).1.push(value);
        }
    }

    /// The line, without a line break; none when there is nothing to tell.
    ///
    /// Of more than 100 times of one name the line has 100, evenly spaced from the shortest to the longest: percentiles and maximum
    /// stay what they are.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        self.line_at(OffsetDateTime::now_utc())
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
        line.extend(self.metrics.iter().map(|(name, (_, values))| (name.to_string(), written(values))));
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

/// One value, or an array of at most [`MOST_VALUES`].
fn written(values: &[f64]) -> Value {
    match values {
        [value] => json!(value),
        values if values.len() <= MOST_VALUES => json!(values),
        values => {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let last = sorted.len() - 1;
            (0..MOST_VALUES).map(|place| json!(sorted[place * last / (MOST_VALUES - 1)])).collect()
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
    fn the_line_is_as_the_specification_has_it() {
        let mut metrics = Metrics::new("embed");
        metrics.count("embedded", 2.0);
        metrics.milliseconds("decode_ms", 12.5);
        metrics.milliseconds("decode_ms", 7.0);
        metrics.milliseconds("init_ms", 80.0);
        let found = metrics.line_at(datetime!(2026-11-24 09:14:07.123 UTC)).unwrap();
        assert!(!found.contains('\n'), "{found}");
        let wanted = json!({
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
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), wanted);
    }

    #[test]
    fn without_anything_to_tell_there_is_no_line() {
        assert_eq!(Metrics::new("upload").line(), None);
    }

    #[test]
    fn counts_add_up() {
        let mut metrics = Metrics::new("embed");
        (0..250).for_each(|_| metrics.count(format!("rejected_{}", "empty"), 1.0));
        assert_eq!(line(&metrics)["rejected_empty"], 250.0);
    }

    #[test]
    fn of_many_times_a_hundred_are_told_from_the_shortest_to_the_longest() {
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
    fn a_value_that_json_can_not_hold_is_left_out() {
        let mut metrics = Metrics::new("embed");
        metrics.milliseconds("embed_ms", f64::NAN);
        assert_eq!(metrics.line(), None);
        metrics.milliseconds("embed_ms", 1.0);
        assert_eq!(line(&metrics)["embed_ms"], 1.0);
    }
}
