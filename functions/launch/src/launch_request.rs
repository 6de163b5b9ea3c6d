//! A launch: a job, its scheduled time, and the parameters for the driver.

use std::collections::BTreeMap;

use fruitvec_core::contract::run::Job;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::error::{Error, Result};

/// The prefix of the names of all clusters and steps.
pub const NAME_PREFIX: &str = "fruitvec-";

/// The names that the launch itself sets, which no parameter may have.
const RESERVED: [&str; 7] = ["attempt", "job", "model", "photos", "results", "run", "scheduled_time"];

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// `true`, which becomes an option without a value.
    Flag,
    /// A number or a string.
    Value(String),
}

/// A request to run a job on a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The job.
    pub job: Job,
    /// The scheduled time, in UTC and whole seconds.
    ///
    /// Run and cluster are named after the job and this time. A redelivered event therefore finds
    /// the cluster of the first delivery.
    pub scheduled_time: OffsetDateTime,
    /// The driver's other options, by name: `retry_rejects` becomes `--retry-rejects`.
    pub parameters: BTreeMap<String, Parameter>,
}

impl Launch {
    /// Parses the launch that an event requests: `{"job", "scheduled_time", …}`.
    ///
    /// # Errors
    /// [`Error::Event`] names the field that is missing or invalid.
    pub fn parse(event: &Map<String, Value>) -> Result<Self> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let job = job(text("job").unwrap_or_default())?;
        let scheduled_time = text("scheduled_time").ok_or_else(|| {
            Error::Event("scheduled_time is missing: give a time such as 2026-11-24T03:00:00Z".into())
        })?;
        let parsed = OffsetDateTime::parse(scheduled_time, &Rfc3339).ok();
        let seconds = parsed.and_then(|time| time.to_offset(UtcOffset::UTC).replace_nanosecond(0).ok());
        let scheduled_time = seconds.ok_or_else(|| {
            Error::Event(format!(
                "scheduled_time {scheduled_time:?} is not a time such as 2026-11-24T03:00:00Z"
            ))
        })?;
        let others = event.iter().filter(|(name, _)| *name != "job" && *name != "scheduled_time");
        let parameters = others.filter_map(|(name, value)| parameter(name, value).transpose());
        Ok(Self { job, scheduled_time, parameters: parameters.collect::<Result<_>>()? })
    }

    /// Returns the event that requests this launch.
    #[must_use]
    pub fn event(&self) -> Map<String, Value> {
        let mut event = Map::new();
        event.insert("job".into(), self.job.as_str().into());
        event
            .insert("scheduled_time".into(), self.scheduled_time.format(&Rfc3339).unwrap_or_default().into());
        event.extend(self.parameters.iter().map(|(name, parameter)| match parameter {
            Parameter::Flag => (name.clone(), true.into()),
            Parameter::Value(value) => (name.clone(), value.as_str().into()),
        }));
        event
    }

    /// Returns the run's id, for example `20261124T030000Z-backfill`.
    #[must_use]
    pub fn run(&self) -> String {
        format!("{}-{}", self.compact_time(), self.job.as_str())
    }

    /// Returns the cluster's name, for example `fruitvec-backfill-20261124T030000Z`.
    ///
    /// The name of the second attempt ends in `-2`.
    #[must_use]
    pub fn cluster(&self, attempt: u32) -> String {
        let first = format!("{NAME_PREFIX}{}-{}", self.job.as_str(), self.compact_time());
        if attempt > 1 { format!("{first}-{attempt}") } else { first }
    }

    /// Returns whether another launch has the same job and parameters, at any scheduled time.
    #[must_use]
    pub fn does_same_work(&self, other: &Self) -> bool {
        (self.job, &self.parameters) == (other.job, &other.parameters)
    }

    fn compact_time(&self) -> String {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        self.scheduled_time.format(format).unwrap_or_default()
    }
}

fn job(text: &str) -> Result<Job> {
    let jobs = Job::ALL.map(Job::as_str).join(", ");
    text.parse().map_err(|_| Error::Event(format!("unknown job {text:?}; the jobs are {jobs} and sweep")))
}

/// Parses a parameter. Returns `None` for `false` and `null`, which count as absent.
fn parameter(name: &str, value: &Value) -> Result<Option<(String, Parameter)>> {
    let first_is_a_letter = name.starts_with(|first: char| first.is_ascii_lowercase());
    let rest_fits = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !first_is_a_letter || !rest_fits || RESERVED.contains(&name) {
        return Err(Error::Event(format!("the parameter {name:?} can't be given to a job")));
    }
    let parameter = match value {
        Value::Null | Value::Bool(false) => return Ok(None),
        Value::Bool(true) => Parameter::Flag,
        Value::Number(number) => Parameter::Value(number.to_string()),
        Value::String(text) => Parameter::Value(text.clone()),
        Value::Array(_) | Value::Object(_) => {
            return Err(Error::Event(format!("the parameter {name} must be true, a number or a string")));
        }
    };
    Ok(Some((name.to_owned(), parameter)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn parse(event: &Value) -> Result<Launch> {
        Launch::parse(event.as_object().unwrap())
    }

    #[test]
    fn run_and_cluster_are_named_after_job_and_time() {
        let launch =
            parse(&json!({"job": "backfill", "scheduled_time": "2026-11-24T04:00:00.5+01:00"})).unwrap();
        assert_eq!(launch.scheduled_time, datetime!(2026-11-24 03:00:00 UTC));
        assert_eq!(launch.run(), "20261124T030000Z-backfill");
        assert_eq!(launch.cluster(1), "fruitvec-backfill-20261124T030000Z");
        assert_eq!(launch.cluster(2), "fruitvec-backfill-20261124T030000Z-2");
    }

    #[test]
    fn a_launch_survives_a_round_trip_through_its_event() {
        let launch = parse(&json!({"job": "rebuild", "scheduled_time": "2026-11-24T03:00:00Z", "full": true,
            "yes": false, "components": 5, "retry_rejects": "truncated", "project": null}))
        .unwrap();
        let kept: Vec<_> = launch.parameters.keys().map(String::as_str).collect();
        assert_eq!(kept, ["components", "full", "retry_rejects"]);
        assert_eq!(Launch::parse(&launch.event()).unwrap(), launch);
    }

    #[test]
    fn an_invalid_event_is_refused_with_the_reason() {
        let time = "2026-11-24T03:00:00Z";
        for (event, named) in [
            (json!({"scheduled_time": time}), "unknown job \"\""),
            (json!({"job": "sleep", "scheduled_time": time}), "unknown job \"sleep\""),
            (json!({"job": "pca"}), "scheduled_time is missing"),
            (json!({"job": "pca", "scheduled_time": "<aws.scheduler.scheduled-time>"}), "<aws.scheduler"),
            (json!({"job": "pca", "scheduled_time": time, "run": "x"}), "\"run\" can't be given"),
            (json!({"job": "pca", "scheduled_time": time, "--yes": true}), "\"--yes\" can't be given"),
            (
                json!({"job": "pca", "scheduled_time": time, "only": ["a"]}),
                "only must be true, a number or a string",
            ),
        ] {
            let error = parse(&event).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
