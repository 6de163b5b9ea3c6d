//! What the function is told: by the schedules, by people, and by EMR through `EventBridge`.
//!
//! Wire shapes stay in this file. Source of EMR's: "Monitoring Amazon EMR events with CloudWatch", Amazon EMR management guide.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::job::Launch;

/// One thing that the function is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Launch this job.
    Launch(Launch),
    /// Look for clusters that are too old, and for jobs that wait.
    Sweep,
    /// A cluster came to a state.
    Cluster(ClusterChange),
    /// A step of a cluster came to a state.
    Step(StepChange),
}

/// A cluster came to a state. It may be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterChange {
    /// The cluster's id.
    pub cluster_id: String,
    /// The cluster's name.
    pub name: String,
    /// The state: `TERMINATED`, `TERMINATED_WITH_ERRORS` …
    pub state: String,
    /// Why it came to that.
    #[serde(default, rename = "stateChangeReason", deserialize_with = "reason")]
    pub reason: Reason,
}

/// Why a cluster came to a state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Reason {
    /// `BOOTSTRAP_FAILURE`, `STEP_FAILURE` …; empty where EMR gives none.
    #[serde(default)]
    pub code: String,
    /// The reason in a sentence.
    #[serde(default)]
    pub message: String,
}

/// A step of a cluster came to a state. The cluster may be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepChange {
    /// The cluster's id.
    pub cluster_id: String,
    /// The step's id.
    pub step_id: String,
    /// The step's name.
    pub name: String,
    /// The state: `FAILED`, `CANCELLED` …
    pub state: String,
    /// What happened, in a sentence.
    #[serde(default)]
    pub message: String,
}

impl Event {
    /// What a document tells.
    ///
    /// # Errors
    /// [`Error::Event`] when it is nothing that we know.
    pub fn parse(document: &Value) -> Result<Self> {
        let Some(fields) = document.as_object() else {
            return Err(Error::Event("it is no JSON object".into()));
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        match (text("detail-type"), text("job")) {
            (Some("EMR Cluster State Change"), _) => detail(document).map(Self::Cluster),
            (Some("EMR Step Status Change"), _) => detail(document).map(Self::Step),
            (Some(other), _) => Err(Error::Event(format!("nothing is done about {other:?}"))),
            (None, Some("sweep")) => Ok(Self::Sweep),
            (None, _) => Launch::parse(fields).map(Self::Launch),
        }
    }
}

fn detail<T: for<'a> Deserialize<'a>>(document: &Value) -> Result<T> {
    let source = &document["source"];
    if source != "aws.emr" {
        return Err(Error::Event(format!("it is of {source}, not of aws.emr")));
    }
    T::deserialize(&document["detail"]).map_err(|cause| Error::Event(format!("its detail: {cause}")))
}

/// The reason is JSON inside a string. It only explains: what can't be read becomes the message.
fn reason<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Reason, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(serde_json::from_str(&text).unwrap_or(Reason { code: String::new(), message: text }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use fruitvec::run::Job;

    macro_rules! file {
        ($name:literal) => {
            Event::parse(
                &serde_json::from_str(include_str!(concat!("../../../events/launch-", $name, ".json")))
                    .unwrap(),
            )
            .unwrap()
        };
    }

    #[test]
    fn the_schedules_launch_jobs_and_sweep() {
        for (event, job, run) in [
            (file!("backfill"), Job::Backfill, "20261124T030000Z-backfill"),
            (file!("pca"), Job::Pca, "20261122T040000Z-pca"),
            (file!("rebuild"), Job::Rebuild, "20261124T103000Z-rebuild"),
        ] {
            let Event::Launch(launch) = event else { panic!("{event:?}") };
            assert_eq!((launch.job, launch.run().as_str()), (job, run));
        }
        assert_eq!(file!("sweep"), Event::Sweep);
    }

    #[test]
    fn the_reason_of_a_cluster_s_end_is_json_in_a_string() {
        let Event::Cluster(change) = file!("bootstrap-failed") else { panic!() };
        assert_eq!(
            (change.state.as_str(), change.cluster_id.as_str()),
            ("TERMINATED_WITH_ERRORS", "j-3AXXYM4VEXSR0")
        );
        assert_eq!(change.reason.code, "BOOTSTRAP_FAILURE");
        assert!(change.reason.message.starts_with("On the master instance"));
        let Event::Cluster(change) = file!("terminated") else { panic!() };
        assert_eq!(
            (change.state.as_str(), change.reason.code.as_str()),
            ("TERMINATED", "ALL_STEPS_COMPLETED")
        );
    }

    #[test]
    fn a_reason_that_can_not_be_read_is_kept_as_it_is() {
        let event = |reason: Value| {
            json!({"source": "aws.emr", "detail-type": "EMR Cluster State Change", "detail": {
                "clusterId": "j-1", "name": "x", "state": "TERMINATED", "stateChangeReason": reason}})
        };
        for (reason, code, message) in [
            (json!("by hand"), "", "by hand"),
            (Value::Null, "", ""),
            (json!("{\"code\":\"USER_REQUEST\"}"), "USER_REQUEST", ""),
        ] {
            let Ok(Event::Cluster(change)) = Event::parse(&event(reason)) else { panic!() };
            assert_eq!((change.reason.code.as_str(), change.reason.message.as_str()), (code, message));
        }
    }

    #[test]
    fn steps_name_their_cluster() {
        for (event, state) in [(file!("step-failed"), "FAILED"), (file!("step-cancelled"), "CANCELLED")] {
            let Event::Step(change) = event else { panic!("{event:?}") };
            assert_eq!((change.state.as_str(), change.cluster_id.as_str()), (state, "j-3AXXYM4VEXSR0"));
            assert!(change.step_id.starts_with("s-") && change.message.contains(&change.step_id));
        }
    }

    #[test]
    fn any_other_document_is_refused_by_what_is_wrong_with_it() {
        for (document, named) in [
            (json!([]), "no JSON object"),
            (json!({}), "unknown job"),
            (json!({"detail-type": "EMR Instance Fleet State Change"}), "EMR Instance Fleet State Change"),
            (
                json!({"detail-type": "EMR Step Status Change", "source": "me", "detail": {}}),
                "not of aws.emr",
            ),
            (
                json!({"detail-type": "EMR Step Status Change", "source": "aws.emr", "detail": {}}),
                "clusterId",
            ),
        ] {
            let error = Event::parse(&document).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
