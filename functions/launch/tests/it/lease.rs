//! Tests that at most one cluster runs, and that the lease names it.

use std::time::Duration;

use aws_sdk_emr::types::ClusterState;
use fruitvec_launch::LEASE_KEY;
use serde_json::json;
use tokio::task::JoinSet;

use crate::fixture::{RESULTS, Start, World, backfill, outcome, pca, sweep};

#[tokio::test]
async fn a_launch_starts_a_cluster_and_records_it() {
    let world = World::start().await;
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    let cluster = world.the_one_cluster().await;
    assert_eq!(cluster.name, "fruitvec-backfill-20261124T030000Z");
    let lease = serde_json::to_value(world.lease().await).unwrap();
    for (field, value) in [
        ("version", json!(1)),
        ("owner", json!("a")),
        ("job", json!("backfill")),
        ("scheduled_time", json!("2026-11-24T03:00:00Z")),
        ("input", backfill()),
        ("attempt", json!(1)),
        ("cluster", json!(cluster.name)),
        ("cluster_id", json!(cluster.id)),
    ] {
        assert_eq!(lease[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_redelivered_launch_starts_no_second_cluster() {
    let world = World::start().await;
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    for request_id in ["a", "b"] {
        assert_eq!(world.outcome(request_id, backfill()).await, "already_launched");
    }
    world.the_one_cluster().await;
    assert_eq!(world.emr.starts(), 1);
}

#[tokio::test]
async fn a_launch_redelivered_after_its_cluster_has_ended_starts_no_second_one() {
    let world = World::start().await;
    world.outcome("a", backfill()).await;
    let first = world.the_one_cluster().await;
    world.emr.set_state(&first.id, ClusterState::Terminated, "ALL_STEPS_COMPLETED");
    assert_eq!(world.outcome("b", backfill()).await, "already_launched");
    assert_eq!(world.outcome("c", pca()).await, "launched");
    let second = world.the_one_cluster().await;
    world.emr.set_state(&second.id, ClusterState::Terminated, "ALL_STEPS_COMPLETED");
    // Another launch holds the lease now, but EMR still lists the first cluster.
    assert_eq!(world.outcome("d", backfill()).await, "already_launched");
    assert_eq!(world.emr.starts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_ten_concurrent_deliveries_launches() {
    // Ten requests, and one request that Lambda delivers ten times.
    for same in [false, true] {
        let world = World::start().await;
        let mut deliveries = JoinSet::new();
        for number in 0..10 {
            let request_id = if same { "a".to_owned() } else { number.to_string() };
            deliveries.spawn(world.invocation(&request_id, backfill()));
        }
        let outcomes: Vec<_> = deliveries.join_all().await.iter().map(outcome).collect();
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "launched").count(), 1, "{outcomes:?}");
        assert!(
            outcomes
                .iter()
                .all(|outcome| ["launched", "already_launched", "Refused"].contains(&outcome.as_str()))
        );
        world.the_one_cluster().await;
        assert_eq!(world.emr.starts(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_concurrent_jobs_launches_and_the_other_is_queued() {
    let world = World::start().await;
    let mut deliveries = JoinSet::new();
    deliveries.spawn(world.invocation("a", backfill()));
    deliveries.spawn(world.invocation("b", pca()));
    let outcomes: Vec<_> = deliveries.join_all().await.iter().map(outcome).collect();
    assert!(
        outcomes.contains(&"launched".to_owned()) && outcomes.contains(&"waiting".to_owned()),
        "{outcomes:?}"
    );
    let first = world.the_one_cluster().await;
    assert_eq!(world.lease().await.waiting.len(), 1);
    world.emr.set_state(&first.id, ClusterState::Terminated, "ALL_STEPS_COMPLETED");
    assert_eq!(world.outcome("c", sweep()).await, "launched");
    assert_ne!(world.the_one_cluster().await.name, first.name);
}

/// The queued launch changes the lease after it was acquired and before the cluster is recorded.
#[tokio::test]
async fn a_job_queued_while_a_cluster_starts_does_not_prevent_its_recording() {
    let world = World::start().await;
    world.emr.next_start(Start::IsSlow(Duration::from_secs(2)));
    let (first, second) = tokio::join!(world.outcome("a", backfill()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.outcome("b", pca()).await
    });
    assert_eq!((first.as_str(), second.as_str()), ("launched", "waiting"));
    world.the_one_cluster().await;
    assert_eq!(world.lease().await.waiting.len(), 1);
}

/// A retry has the same request id as a second delivery, which may run concurrently with the first.
#[tokio::test]
async fn a_kill_between_start_and_record_is_repaired_once_the_invocation_must_be_over() {
    let world = World::start().await;
    world.emr.next_start(Start::Hangs);
    let killed = tokio::time::timeout(Duration::from_secs(2), world.invoke("a", backfill())).await;
    assert!(killed.is_err());
    assert_eq!((world.emr.running().len(), world.lease().await.cluster_id), (1, None));
    for request_id in ["a", "b"] {
        assert_eq!(world.outcome(request_id, backfill()).await, "Refused");
    }
    assert_eq!(world.outcome("c", pca()).await, "waiting");
    world.age_lease();
    assert_eq!(world.outcome("a", backfill()).await, "already_launched");
    world.the_one_cluster().await;
    assert_eq!(world.emr.starts(), 1);
}

#[tokio::test]
async fn an_interrupted_launch_that_is_never_retried_is_completed_by_the_sweep() {
    for (start, then) in [(Start::Hangs, "already_launched"), (Start::NeverArrives, "launched")] {
        let world = World::start().await;
        world.emr.next_start(start);
        drop(tokio::time::timeout(Duration::from_secs(9), world.invoke("a", backfill())).await);
        assert_eq!(world.outcome("b", sweep()).await, "swept", "it may still be running");
        world.age_lease();
        assert_eq!(world.outcome("c", sweep()).await, then);
        assert!(world.the_one_cluster().await.name.starts_with("fruitvec-backfill"));
    }
}

#[tokio::test]
async fn another_launch_records_the_cluster_of_a_launch_that_was_killed() {
    let world = World::start().await;
    world.emr.next_start(Start::Hangs);
    tokio::time::timeout(Duration::from_secs(2), world.invoke("a", backfill())).await.unwrap_err();
    world.age_lease();
    assert_eq!(world.outcome("c", pca()).await, "waiting");
    let cluster = world.the_one_cluster().await;
    assert_eq!(
        (world.lease().await.owner.as_str(), cluster.name.starts_with("fruitvec-backfill")),
        ("a", true)
    );
}

#[tokio::test]
async fn a_kill_before_the_start_only_delays_the_launch() {
    let world = World::start().await;
    world.emr.next_start(Start::IsRejected);
    world.outcome("a", backfill()).await;
    // Restore the lease as it was before EMR rejected the request.
    let mut lease = world.lease().await;
    lease.released = None;
    world.put_json(LEASE_KEY, &serde_json::to_value(lease).unwrap()).await;
    assert_eq!(world.outcome("a", backfill()).await, "Refused");
    world.age_lease();
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    world.the_one_cluster().await;
}

#[tokio::test]
async fn a_rejected_start_releases_the_lease() {
    let world = World::start().await;
    world.emr.next_start(Start::IsRejected);
    let error = world.invoke("a", backfill()).await.unwrap_err().to_string();
    assert!(error.contains("no such subnet"), "{error}");
    assert_eq!(world.lease().await.released.as_deref(), Some("no such subnet"));
    assert_eq!(world.outcome("b", pca()).await, "launched");
    world.the_one_cluster().await;
}

#[tokio::test]
async fn a_cluster_whose_start_response_was_lost_is_found_and_not_started_again() {
    let world = World::start().await;
    world.emr.next_start(Start::LosesResponse);
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    world.the_one_cluster().await;
    assert_eq!(world.emr.starts(), 1);
}

#[tokio::test]
async fn a_start_without_a_cluster_is_repeated_once_that_is_certain() {
    let world = World::start().await;
    world.emr.next_start(Start::NeverArrives);
    assert_eq!(world.outcome("a", backfill()).await, "NotLaunched");
    assert_eq!(world.outcome("a", backfill()).await, "Refused");
    world.age_lease();
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    world.the_one_cluster().await;
}

#[tokio::test]
async fn a_cluster_that_can_not_be_recorded_is_terminated() {
    let world = World::start().await;
    let other = World::start().await;
    other.outcome("b", pca()).await;
    world.emr.next_start(Start::Overtaken(world.store.clone(), Box::new(other.lease().await)));
    let error = world.invoke("a", backfill()).await.unwrap_err().to_string();
    assert!(error.contains("fruitvec-backfill-20261124T030000Z (j-1)"), "{error}");
    assert!(error.contains("is being terminated"), "{error}");
    assert_eq!(world.emr.running()[0].state, ClusterState::Terminating);
    // It was never recorded. Once it has terminated, the launch is free to start another.
    world.emr.set_state("j-1", ClusterState::Terminated, "USER_REQUEST");
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    world.the_one_cluster().await;
}

/// S3 stored the cluster's id, but every response was lost.
#[tokio::test]
async fn a_cluster_that_was_cancelled_although_it_was_recorded_is_replaced() {
    let world = World::start().await;
    world.outcome("a", backfill()).await;
    world.emr.set_state("j-1", ClusterState::Terminating, "USER_REQUEST");
    assert_eq!(world.outcome("a", backfill()).await, "Refused");
    world.emr.set_state("j-1", ClusterState::Terminated, "USER_REQUEST");
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    assert_eq!(world.the_one_cluster().await.id, "j-2");
}

#[tokio::test]
async fn a_lease_is_taken_over_only_after_its_cluster_has_ended() {
    for (state, expected) in [
        (ClusterState::Starting, "waiting"),
        (ClusterState::Bootstrapping, "waiting"),
        (ClusterState::Running, "waiting"),
        (ClusterState::Waiting, "waiting"),
        (ClusterState::Terminating, "waiting"),
        (ClusterState::from("A_STATE_OF_TOMORROW"), "waiting"),
        (ClusterState::Terminated, "launched"),
        (ClusterState::TerminatedWithErrors, "launched"),
    ] {
        let world = World::start().await;
        world.outcome("a", backfill()).await;
        world.age_lease();
        world.emr.set_state("j-1", state.clone(), "");
        assert_eq!(world.outcome("b", pca()).await, expected, "{state:?}");
        world.the_one_cluster().await;
    }
}

#[tokio::test]
async fn a_cluster_unknown_to_emr_counts_as_ended() {
    let world = World::start().await;
    world.outcome("a", backfill()).await;
    let mut lease = world.lease().await;
    lease.cluster_id = Some("j-FORGOTTEN".into());
    world.put_json(LEASE_KEY, &serde_json::to_value(lease).unwrap()).await;
    assert_eq!(world.outcome("b", pca()).await, "waiting", "EMR may not describe a new cluster yet");
    world.age_lease();
    assert_eq!(world.outcome("b", pca()).await, "launched");
}

#[tokio::test]
async fn a_cluster_of_another_deployment_with_the_same_name_is_ignored() {
    let world = World::start().await;
    world.emr.add("fruitvec-backfill-20261124T030000Z", "results-of-staging", Duration::ZERO);
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    assert_eq!(world.lease().await.cluster_id.as_deref(), Some("j-2"));
}

#[tokio::test]
async fn an_invalid_lease_is_named_and_no_cluster_is_started() {
    let world = World::start().await;
    world.put(RESULTS, LEASE_KEY).await;
    let error = world.invoke("a", backfill()).await.unwrap_err().to_string();
    assert!(error.contains("s3://results/leases/cluster.json") && error.contains("delete it"), "{error}");
    assert_eq!(world.emr.starts(), 0);
}

#[tokio::test]
async fn only_the_latest_of_several_equal_launches_stays_queued() {
    let world = World::start().await;
    world.outcome("a", backfill()).await;
    let pca_on = |day: u32, full: bool| {
        let scheduled_time = format!("2026-11-{day}T04:00:00Z");
        json!({"job": "pca", "scheduled_time": scheduled_time, "full": full})
    };
    for (request_id, event) in
        [pca_on(22, false), pca_on(29, false), pca_on(24, true), pca_on(15, false)].into_iter().enumerate()
    {
        assert_eq!(world.outcome(&request_id.to_string(), event).await, "waiting");
    }
    let waiting: Vec<_> = world.lease().await.waiting.iter().map(|it| it.launch().unwrap().run()).collect();
    assert_eq!(waiting, ["20261129T040000Z-pca", "20261124T040000Z-pca"]);
}
