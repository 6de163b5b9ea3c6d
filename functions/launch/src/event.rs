//! The events of the function: from schedules, from people, and from EMR through `EventBridge`.
//!
//! The wire formats do not leave this file. Source for EMR's events: "Monitoring Amazon EMR events
//! with CloudWatch" in the Amazon EMR management guide.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::launch_request::Launch;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Requests a launch.
    Launch(Launch),
    /// Requests a check for overdue clusters and queued launches.
    Sweep,
    /// Reports that a cluster changed state.
    Cluster(ClusterChange),
    /// Reports that a step of a cluster changed state.
    Step(StepChange),
}

/// The state change of a cluster, which may belong to another deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterChange {
    /// The cluster's id.
    pub cluster_id: String,
    /// The cluster's name.
    pub name: String,
    /// The state, such as `TERMINATED` or `TERMINATED_WITH_ERRORS`.
    pub state: String,
    /// The reason for the state change.
    #[serde(default, rename = "stateChangeReason", deserialize_with = "reason")]
    pub reason: StateChangeReason,
}

/// The reason for a cluster's state change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct StateChangeReason {
    /// The code, such as `BOOTSTRAP_FAILURE` or `STEP_FAILURE`, or empty if EMR gives none.
    #[serde(default)]
    pub code: String,
    /// The reason as a sentence.
    #[serde(default)]
    pub message: String,
}

/// The state change of a step, whose cluster may belong to another deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepChange {
    /// The cluster's id.
    pub cluster_id: String,
    /// The step's id.
    pub step_id: String,
    /// The step's name.
    pub name: String,
    /// The state, such as `FAILED` or `CANCELLED`.
    pub state: String,
    /// A description as a sentence.
    #[serde(default)]
    pub message: String,
}

impl Event {
    /// Parses an event.
    ///
    /// # Errors
    /// [`Error::Event`] when the document is not a supported event.
    pub fn parse(document: &Value) -> Result<Self> {
        let Some(fields) = document.as_object() else {
            return Err(Error::Event("not a JSON object".into()));
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        match (text("detail-type"), text("job")) {
            (Some("EMR Cluster State Change"), _) => detail(document).map(Self::Cluster),
            (Some("EMR Step Status Change"), _) => detail(document).map(Self::Step),
            (Some(other), _) => Err(Error::Event(format!("unsupported detail-type {other:?}"))),
            (None, Some("sweep")) => Ok(Self::Sweep),
            (None, _) => Launch::parse(fields).map(Self::Launch),
        }
    }
}

fn detail<T: for<'a> Deserialize<'a>>(document: &Value) -> Result<T> {
    let source = &document["source"];
    if source != "aws.emr" {
        return Err(Error::Event(format!("its source is {source}, not aws.emr")));
    }
    T::deserialize(&document["detail"]).map_err(|cause| Error::Event(format!("invalid detail: {cause}")))
}

/// Parses the reason, which is JSON inside a string.
fn reason<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<StateChangeReason, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    // An unexpected format must not fail the event, so the whole text then becomes the message.
    Ok(serde_json::from_str(&text).unwrap_or(StateChangeReason { code: String::new(), message: text }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use fruitvec_core::contract::run::Job;

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
    fn schedules_request_launches_and_sweeps() {
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
    fn the_reason_of_a_state_change_is_json_in_a_string() {
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
    fn an_invalid_reason_is_kept_as_the_message() {
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
    fn a_step_names_its_cluster() {
        for (event, state) in [(file!("step-failed"), "FAILED"), (file!("step-cancelled"), "CANCELLED")] {
            let Event::Step(change) = event else { panic!("{event:?}") };
            assert_eq!((change.state.as_str(), change.cluster_id.as_str()), (state, "j-3AXXYM4VEXSR0"));
            assert!(change.step_id.starts_with("s-") && change.message.contains(&change.step_id));
        }
    }

    #[test]
    fn any_other_document_is_refused_with_the_reason() {
        for (document, named) in [
            (json!([]), "not a JSON object"),
            (json!({}), "unknown job"),
            (json!({"detail-type": "EMR Instance Fleet State Change"}), "EMR Instance Fleet State Change"),
            (json!({"detail-type": "EMR Step Status Change", "source": "me", "detail": {}}), "not aws.emr"),
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
