//! A backfill repairs the table after lost or reordered events.

use std::sync::Arc;

use fruitvec::batch::backfill::Retry;
use fruitvec::batch::plan::PlanOptions;
use fruitvec::contract::run::{Counts, Job, Stage};
use fruitvec::error::Error;
use fruitvec::rejection::RejectCode;
use fruitvec::table::removal::Removal;
use time::macros::datetime;
use tokio::sync::Notify;

use super::{confirmed, current_photos, listed_photos, plan_stage, record, run, run_job, worker};
use crate::support::world::{RESULTS, World, photo};

const KEY: &str = "photos/Kiwi/1.png";

/// Runs a backfill. Returns the counts of its backfill stage.
async fn backfill(world: &World) -> Counts {
    backfill_with(world, &confirmed()).await
}

async fn backfill_with(world: &World, options: &PlanOptions) -> Counts {
    run_job(world, Job::Backfill, options).await.unwrap().remove(&Stage::Backfill).unwrap().counts
}

/// Runs a backfill. Checks that the current rows match the bucket, and that another backfill has
/// nothing to do.
async fn assert_repaired(world: &World) -> Counts {
    let counts = backfill(world).await;
    assert_eq!(current_photos(world).await, listed_photos(world).await);
    let (tasks, _) =
        plan_stage(&run(&world.store, Job::Backfill), Stage::Backfill, &confirmed()).await.unwrap();
    assert_eq!(tasks, []);
    counts
}

#[tokio::test]
async fn photos_whose_events_were_lost_are_embedded() {
    let mut world = World::start().await;
    world.put_and_ingest("photos/Kiwi/known.png", photo(9)).await;
    for number in 0..5 {
        let key = format!("uploads/2026-11-2{number}/{number}.png");
        world.put_dated(&key, photo(number), datetime!(2026-11-20 10:00 UTC)).await;
    }
    world.put("photos/", "").await;
    let counts = assert_repaired(&world).await;
    assert_eq!((counts.get("missing"), counts.get("embedded"), counts.get("photos_listed")), (5, 5, 6));
    let record = record(&world, Job::Backfill).await;
    assert_eq!((record.photos_listed, record.job, record.version), (6, Job::Backfill, 1));
    assert!(record.started_at <= record.finished_at);
}

#[tokio::test]
async fn a_deleted_photo_is_removed() {
    let mut world = World::start().await;
    for number in 0..3 {
        world.put_and_ingest(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    world.delete(KEY).await;
    let counts = assert_repaired(&world).await;
    assert_eq!((counts.get("gone"), counts.get("removed")), (1, 1));
}

#[tokio::test]
async fn removing_more_than_five_percent_requires_confirmation() {
    let mut world = World::start().await;
    for number in 0..40 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    world.put("photos/Kiwi/half.png", photo(1)[..90].to_vec()).await;
    world.ingest_pending().await;
    for number in 0..2 {
        world.delete(&format!("photos/Kiwi/{number}.png")).await;
    }
    let unconfirmed = PlanOptions::default();
    let counts = backfill_with(&world, &unconfirmed).await;
    assert_eq!(counts.get("removed"), 2, "2 of 41");
    for number in 2..4 {
        world.delete(&format!("photos/Kiwi/{number}.png")).await;
    }
    let before = world.result_objects("removals/").await;
    let error = run_job(&world, Job::Backfill, &unconfirmed).await.unwrap_err();
    assert!(matches!(error, Error::ConfirmationRequired(_)), "{error:?}");
    assert!(error.to_string().contains("2 of 39") && error.to_string().contains("--yes"), "{error}");
    assert_eq!(world.result_objects("removals/").await, before);
    assert_eq!(backfill(&world).await.get("removed"), 2);
    assert_eq!(world.current_rows().await.len(), 36);
}

/// When a delete marker is removed, S3 sends a removal event, but has the object again, with its
/// old `last_modified`.
#[tokio::test]
async fn an_undeleted_photo_becomes_current_without_being_embedded_again() {
    let mut world = World::start().await;
    let at = datetime!(2026-11-20 10:00 UTC);
    world.put_dated(KEY, photo(1), at).await;
    world.ingest_pending().await;
    world.delete(KEY).await;
    world.ingest_pending().await;
    assert_eq!(world.current_rows().await.len(), 0);
    world.put_dated(KEY, photo(1), at).await;
    let counts = assert_repaired(&world).await;
    assert_eq!((counts.get("restored"), counts.get("embedded")), (2, 0), "planned and done");
    assert_eq!(world.result_objects("removals/").await.len(), 0, "the listing contradicts it");
}

#[tokio::test]
async fn an_old_removal_does_not_hide_a_photo_that_was_never_embedded() {
    let mut world = World::start().await;
    world.put_and_ingest(KEY, photo(1)).await;
    world.delete(KEY).await;
    world.ingest_pending().await;
    world.put_dated(KEY, photo(2), datetime!(2026-11-20 10:00 UTC)).await;
    let counts = assert_repaired(&world).await;
    assert_eq!(counts.get("embedded"), 1);
}

#[tokio::test]
async fn after_two_overwrites_in_one_second_the_last_version_is_current() {
    let at = datetime!(2026-11-20 10:00 UTC);
    // The second event was lost.
    let mut world = World::start().await;
    world.put_dated(KEY, photo(1), at).await;
    world.ingest_pending().await;
    world.put_dated(KEY, photo(2), at).await;
    assert_repaired(&world).await;
    // Both events arrived, and the first version was embedded last.
    let mut world = World::start().await;
    for number in [2, 1] {
        world.put_dated(KEY, photo(number), at).await;
        world.ingest_pending().await;
    }
    world.put_dated(KEY, photo(2), at).await;
    world.pending_deliveries();
    assert_ne!(current_photos(&world).await, listed_photos(&world).await);
    let counts = assert_repaired(&world).await;
    assert_eq!(counts.get("embedded"), 0, "its row is there");
}

/// The newest version was deleted permanently, so the previous one is in the bucket again. It is
/// older than another row of its key.
#[tokio::test]
async fn a_restored_older_version_stays_current_until_the_next_change() {
    let (first, second) = (datetime!(2026-11-20 10:00 UTC), datetime!(2026-11-21 10:00 UTC));
    for embedded_before in [true, false] {
        let mut world = World::start().await;
        if embedded_before {
            world.put_dated(KEY, photo(1), first).await;
            world.ingest_pending().await;
        }
        world.put_dated(KEY, photo(2), second).await;
        world.ingest_pending().await;
        world.put_dated(KEY, photo(1), first).await;
        world.pending_deliveries();
        let counts = assert_repaired(&world).await;
        assert_eq!(counts.get("embedded"), u64::from(!embedded_before));
        // A redelivered removal event changes nothing.
        let present = &listed_photos(&world).await[KEY];
        Removal::retract(&world.store, RESULTS, present).await.unwrap();
        assert_eq!(current_photos(&world).await, listed_photos(&world).await);
        // Later changes of the key behave as usual.
        world.put_and_ingest(KEY, photo(3)).await;
        assert_eq!(current_photos(&world).await, listed_photos(&world).await);
        world.delete(KEY).await;
        world.ingest_pending().await;
        assert_eq!(world.current_rows().await.len(), 0);
        world.put_dated(KEY, photo(1), first).await;
        assert_repaired(&world).await;
        world.delete(KEY).await;
        assert_repaired(&world).await;
        assert_eq!(world.current_rows().await.len(), 0);
    }
}

#[tokio::test]
async fn a_photo_overwritten_by_a_corrupt_one_is_rejected_and_not_retried() {
    let mut world = World::start().await;
    world.put_and_ingest(KEY, photo(1)).await;
    world.put(KEY, photo(1)[..90].to_vec()).await;
    let counts = backfill(&world).await;
    assert_eq!((counts.get("stale"), counts.get("rejected_truncated")), (1, 1), "{counts:?}");
    assert_eq!(world.current_rows().await.len(), 0);
    assert_eq!(backfill(&world).await.get("rejects"), 1);

    for (retry, retried) in [
        (Retry::Nothing, 0),
        (Retry::Codes(vec![RejectCode::Empty, RejectCode::Corrupt]), 0),
        (Retry::Codes(vec![RejectCode::Truncated]), 1),
        (Retry::Everything, 1),
    ] {
        let counts = backfill_with(&world, &PlanOptions { retry: retry.clone(), ..confirmed() }).await;
        assert_eq!((counts.get("retried"), counts.get("rejected")), (retried, retried), "{retry:?}");
    }
    // A reject is removed with its photo, like a row.
    world.delete(KEY).await;
    assert_eq!(backfill(&world).await.get("removed"), 1);
    assert_eq!(world.snapshot().await.rejected.len(), 0);
}

#[tokio::test]
async fn photos_of_other_buckets_are_not_touched() {
    let mut world = World::start().await;
    world.put_and_ingest(KEY, photo(1)).await;
    world.client.create_bucket().bucket("others").send().await.unwrap();
    let mut other = run(&world.store, Job::Backfill);
    other.photos_bucket = "others".into();
    let (tasks, planned) = plan_stage(&other, Stage::Backfill, &PlanOptions::default()).await.unwrap();
    assert_eq!((tasks.len(), planned.counts.get("gone")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_redoes_only_the_missing_photos() {
    const ALL: u64 = 1200;
    let world = World::start().await;
    let folder = world.photo_file("photos/Kiwi");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..ALL {
        std::fs::write(folder.join(format!("{number}.png")), photo(number as u32)).unwrap();
    }
    let run = run(&world.store, Job::Backfill);
    let (tasks, planned) = plan_stage(&run, Stage::Backfill, &PlanOptions::default()).await.unwrap();
    assert_eq!((tasks.len(), planned.counts.get("missing")), (3, ALL));
    let first_batch = Arc::new(Notify::new());
    let notify = Arc::clone(&first_batch);
    let killed = worker(&world.store).on_photos(move |_, _| notify.notify_one());
    let all_tasks = async {
        for task in &tasks {
            killed.work(task).await.unwrap();
        }
    };
    tokio::select! {
        () = all_tasks => panic!("the worker finished before it was killed"),
        () = first_batch.notified() => (),
    }
    let done = world.current_rows().await.len() as u64;
    assert!((1..ALL).contains(&done), "{done}");
    // Writes that were in flight when the worker was dropped may still complete, hence `<=`.
    let counts = backfill_with(&world, &PlanOptions::default()).await;
    assert!(
        counts.get("missing") <= ALL - done && counts.get("embedded") == counts.get("missing"),
        "{counts:?}"
    );
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_two_workers_execute_concurrently_has_the_effect_of_one() {
    let world = World::start().await;
    for number in 0..20 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    let run = run(&world.store, Job::Backfill);
    let (tasks, _) = plan_stage(&run, Stage::Backfill, &PlanOptions::default()).await.unwrap();
    let (first, second) = (worker(&world.store), worker(&world.store));
    let (first, second) = tokio::join!(first.work(&tasks[0]), second.work(&tasks[0]));
    let counts = [first.unwrap().counts, second.unwrap().counts];
    assert_eq!(counts.iter().map(|counts| counts.get("embedded")).sum::<u64>(), 20, "{counts:?}");
    assert_eq!(counts.iter().map(|counts| counts.get("already")).sum::<u64>(), 20, "{counts:?}");
    assert_eq!(world.snapshot().await.rows(), 20);
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
}
