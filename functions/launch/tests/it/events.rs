//! Tests the handling of state changes and of the sweep, which runs every quarter of an hour.

use std::time::Duration;

use aws_sdk_emr::types::ClusterState;
use serde_json::{Value, json};

use crate::fixture::{Start, World, backfill, pca, sweep};

/// More than the maximum age of a cluster.
const OVERDUE: Duration = Duration::from_secs(13 * 3600);

fn ended(id: &str, name: &str, state: &str, reason: &str) -> Value {
    json!({"source": "aws.emr", "detail-type": "EMR Cluster State Change", "detail": {
        "clusterId": id, "name": name, "state": state,
        "stateChangeReason": json!({"code": reason, "message": "…"}).to_string()}})
}

const BACKFILL: &str = "fruitvec-backfill-20261124T030000Z";

/// Lets the bootstrap of a cluster fail, and delivers EMR's event.
async fn fail_to_bootstrap(world: &World, id: &str, name: &str) -> String {
    world.emr.set_state(id, ClusterState::TerminatedWithErrors, "BOOTSTRAP_FAILURE");
    world.outcome("emr", ended(id, name, "TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE")).await
}

#[tokio::test]
async fn a_cluster_that_fails_to_bootstrap_is_launched_once_more_and_not_a_third_time() {
    let world = World::start().await;
    let mut event = backfill();
    event["retry_rejects"] = "truncated".into();
    world.outcome("a", event.clone()).await;
    assert_eq!(fail_to_bootstrap(&world, "j-1", BACKFILL).await, "launched");
    assert_eq!(world.the_one_cluster().await.name, format!("{BACKFILL}-2"));
    assert_eq!(serde_json::to_value(world.lease().await.input).unwrap(), event);
    // The event is redelivered, and late.
    assert_eq!(fail_to_bootstrap(&world, "j-1", BACKFILL).await, "known");
    assert_eq!(fail_to_bootstrap(&world, "j-2", &format!("{BACKFILL}-2")).await, "failed");
    assert_eq!(fail_to_bootstrap(&world, "j-1", BACKFILL).await, "known");
    assert_eq!((world.emr.running(), world.emr.starts()), (vec![], 2));
    // The launch itself is redelivered too.
    assert_eq!(world.outcome("b", event).await, "already_launched");
}

#[tokio::test]
async fn a_launch_before_emr_s_event_does_not_lose_the_second_attempt() {
    let world = World::start().await;
    world.outcome("a", backfill()).await;
    world.emr.set_state("j-1", ClusterState::TerminatedWithErrors, "BOOTSTRAP_FAILURE");
    assert_eq!(world.outcome("b", pca()).await, "launched");
    assert_eq!(fail_to_bootstrap(&world, "j-1", BACKFILL).await, "waiting");
    world.emr.set_state("j-2", ClusterState::Terminated, "ALL_STEPS_COMPLETED");
    assert_eq!(world.outcome("emr", ended("j-2", "fruitvec-pca-x", "TERMINATED", "")).await, "launched");
    assert_eq!(world.the_one_cluster().await.name, format!("{BACKFILL}-2"));
}

#[tokio::test]
async fn a_cluster_that_failed_for_another_reason_is_not_launched_again() {
    for reason in ["STEP_FAILURE", "INSTANCE_FLEET_TIMEOUT", "INTERNAL_ERROR", "VALIDATION_ERROR", ""] {
        let world = World::start().await;
        world.outcome("a", backfill()).await;
        world.emr.set_state("j-1", ClusterState::TerminatedWithErrors, reason);
        let event = ended("j-1", BACKFILL, "TERMINATED_WITH_ERRORS", reason);
        assert_eq!(world.outcome("emr", event).await, "failed", "{reason}");
        assert_eq!(world.emr.starts(), 1);
    }
}

#[tokio::test]
async fn a_queued_launch_starts_when_the_cluster_before_it_has_ended() {
    // Either EMR's event arrives, or it is lost and the next sweep notices.
    for event in [ended("j-1", BACKFILL, "TERMINATED", "ALL_STEPS_COMPLETED"), sweep()] {
        let world = World::start().await;
        world.outcome("a", backfill()).await;
        assert_eq!(world.outcome("b", pca()).await, "waiting");
        assert_eq!(world.outcome("c", sweep()).await, "waiting");
        world.emr.set_state("j-1", ClusterState::Terminated, "ALL_STEPS_COMPLETED");
        assert_eq!(world.outcome("d", event).await, "launched");
        assert_eq!(world.the_one_cluster().await.name, "fruitvec-pca-20261124T040000Z");
        assert_eq!(world.lease().await.waiting, []);
        assert_eq!(world.outcome("e", sweep()).await, "swept");
    }
}

#[tokio::test]
async fn a_queued_launch_stays_queued_when_its_start_fails() {
    let world = World::start().await;
    world.outcome("a", backfill()).await;
    world.outcome("b", pca()).await;
    world.emr.set_state("j-1", ClusterState::Terminated, "ALL_STEPS_COMPLETED");
    world.emr.next_start(Start::IsRejected);
    assert_eq!(world.outcome("c", sweep()).await, "NotLaunched");
    assert_eq!(world.outcome("d", sweep()).await, "launched");
    world.the_one_cluster().await;
}

#[tokio::test]
async fn a_queued_launch_without_work_is_dequeued() {
    let world = World::start().await;
    world.outcome("a", backfill()).await;
    world.outcome("b", pca()).await;
    world.store.delete(crate::fixture::RESULTS, &[crate::fixture::part("2026-01-02", "a")]).await.unwrap();
    world.emr.set_state("j-1", ClusterState::Terminated, "ALL_STEPS_COMPLETED");
    assert_eq!(world.outcome("c", sweep()).await, "swept");
    assert_eq!((world.lease().await.waiting, world.emr.starts()), (vec![], 1));
}

#[tokio::test]
async fn only_overdue_clusters_of_this_deployment_are_terminated() {
    let world = World::start().await;
    let results = &world.config.results_bucket;
    let overdue = world.emr.add(BACKFILL, results, OVERDUE);
    world.emr.add("fruitvec-pca-young", results, OVERDUE / 2);
    world.emr.add("fruitvec-pca-x", "results-of-staging", OVERDUE);
    world.emr.add("nightly-reports", results, OVERDUE);
    let response = serde_json::to_value(world.invoke("a", sweep()).await.unwrap()).unwrap();
    assert_eq!(response, json!({"noted": "swept", "clusters": [overdue]}));
    let states: Vec<_> = world.emr.running().into_iter().map(|cluster| cluster.state).collect();
    let running = ClusterState::Running;
    assert_eq!(states, [ClusterState::Terminating, running.clone(), running.clone(), running]);
    // Terminating takes time. The cluster is not counted again.
    let response = serde_json::to_value(world.invoke("b", sweep()).await.unwrap()).unwrap();
    assert_eq!(response["clusters"], json!([]));
}

#[tokio::test]
async fn a_failed_step_is_noted_only_for_clusters_of_this_deployment() {
    let world = World::start().await;
    let ours = world.emr.add(BACKFILL, &world.config.results_bucket, OVERDUE);
    let theirs = world.emr.add(BACKFILL, "results-of-staging", OVERDUE);
    for (id, state, noted) in [
        (&ours, "FAILED", "failed_step"),
        (&ours, "CANCELLED", "failed_step"),
        (&ours, "COMPLETED", "nothing"),
        (&theirs, "FAILED", "nothing"),
        (&"j-UNKNOWN".to_owned(), "FAILED", "nothing"),
    ] {
        let event = json!({"source": "aws.emr", "detail-type": "EMR Step Status Change", "detail": {
            "clusterId": id, "stepId": "s-1", "name": "fruitvec-backfill", "state": state}});
        assert_eq!(world.outcome("a", event).await, noted, "{id} {state}");
    }
    assert_eq!(world.emr.starts(), 0);
}

#[tokio::test]
async fn other_clusters_and_other_states_are_ignored() {
    let world = World::start().await;
    let theirs = world.emr.add(BACKFILL, "results-of-staging", OVERDUE);
    for event in [
        ended(&theirs, BACKFILL, "TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE"),
        ended("j-9", "nightly-reports", "TERMINATED_WITH_ERRORS", "STEP_FAILURE"),
        ended(&theirs, BACKFILL, "RUNNING", ""),
    ] {
        assert_eq!(world.outcome("a", event).await, "nothing");
    }
    assert_eq!(world.emr.starts(), 0);
}
