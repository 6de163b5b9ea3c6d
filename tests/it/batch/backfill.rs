//! What events missed, the next backfill puts right.

use std::sync::Arc;

use fruitvec::backfill::Retry;
use fruitvec::error::Error;
use fruitvec::outcome::Counts;
use fruitvec::plan::Wishes;
use fruitvec::reject::RejectCode;
use fruitvec::removal::Removal;
use fruitvec::run::{Job, Stage};
use time::macros::datetime;
use tokio::sync::Notify;

use super::{confirmed, current, driven, held, planned, record, run, worker};
use crate::fixture::{RESULTS, World, photo};

const KEY: &str = "photos/Kiwi/1.png";

/// A backfill that may do anything; returns what its first stage counted.
async fn backfill(world: &World) -> Counts {
    driven(world, Job::Backfill, &confirmed()).await.unwrap().remove(&Stage::Backfill).unwrap().counts
}

/// After a backfill the current rows are what S3 holds, and another backfill finds nothing to do.
async fn assert_put_right(world: &World) -> Counts {
    let counts = backfill(world).await;
    assert_eq!(current(world).await, held(world).await);
    let (tasks, _) = planned(&run(&world.store, Job::Backfill), Stage::Backfill, &confirmed()).await.unwrap();
    assert_eq!(tasks, []);
    counts
}

#[tokio::test]
async fn photos_whose_events_were_lost_are_embedded() {
    let mut world = World::start().await;
    world.embed("photos/Kiwi/known.png", photo(9)).await;
    for number in 0..5 {
        world
            .put_at(
                &format!("uploads/2026-11-2{number}/{number}.png"),
                photo(number),
                datetime!(2026-11-20 10:00 UTC),
            )
            .await;
    }
    world.put("photos/", "").await;
    let counts = assert_put_right(&world).await;
    assert_eq!((counts.get("missing"), counts.get("embedded"), counts.get("photos_listed")), (5, 5, 6));
    let record = record(&world, Job::Backfill).await;
    assert_eq!((record.photos_listed, record.job, record.version), (6, Job::Backfill, 1));
    assert!(record.started_at <= record.finished_at);
}

#[tokio::test]
async fn a_deleted_photo_is_removed() {
    let mut world = World::start().await;
    for number in 0..3 {
        world.embed(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    world.delete(KEY).await;
    let counts = assert_put_right(&world).await;
    assert_eq!((counts.get("gone"), counts.get("removed")), (1, 1));
}

#[tokio::test]
async fn more_than_a_twentieth_goes_only_if_a_person_agrees() {
    let mut world = World::start().await;
    for number in 0..40 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    world.put("photos/Kiwi/half.png", photo(1)[..90].to_vec()).await;
    world.ingest_told().await;
    for number in 0..2 {
        world.delete(&format!("photos/Kiwi/{number}.png")).await;
    }
    let unasked = Wishes::default();
    let counts =
        driven(&world, Job::Backfill, &unasked).await.unwrap().remove(&Stage::Backfill).unwrap().counts;
    assert_eq!(counts.get("removed"), 2, "2 of 41");
    for number in 2..4 {
        world.delete(&format!("photos/Kiwi/{number}.png")).await;
    }
    let before = world.results("removals/").await;
    let error = driven(&world, Job::Backfill, &unasked).await.unwrap_err();
    assert!(matches!(error, Error::Unconfirmed(_)), "{error:?}");
    assert!(error.to_string().contains("2 of 39") && error.to_string().contains("--yes"), "{error}");
    assert_eq!(world.results("removals/").await, before);
    assert_eq!(backfill(&world).await.get("removed"), 2);
    assert_eq!(world.current().await.len(), 36);
}

/// As when a delete marker is removed: S3 tells of a removal, and has the object again, as old as before.
#[tokio::test]
async fn an_undeleted_photo_holds_again_without_being_embedded() {
    let mut world = World::start().await;
    let at = datetime!(2026-11-20 10:00 UTC);
    world.put_at(KEY, photo(1), at).await;
    world.ingest_told().await;
    world.delete(KEY).await;
    world.ingest_told().await;
    assert_eq!(world.current().await.len(), 0);
    world.put_at(KEY, photo(1), at).await;
    let counts = assert_put_right(&world).await;
    assert_eq!((counts.get("restored"), counts.get("embedded")), (2, 0), "planned and done");
    assert_eq!(world.results("removals/").await.len(), 0, "the listing contradicts it");
}

#[tokio::test]
async fn a_photo_that_was_never_embedded_is_not_hidden_by_an_old_removal() {
    let mut world = World::start().await;
    world.embed(KEY, photo(1)).await;
    world.delete(KEY).await;
    world.ingest_told().await;
    world.put_at(KEY, photo(2), datetime!(2026-11-20 10:00 UTC)).await;
    let counts = assert_put_right(&world).await;
    assert_eq!(counts.get("embedded"), 1);
}

#[tokio::test]
async fn of_two_overwrites_in_one_second_the_last_holds() {
    let at = datetime!(2026-11-20 10:00 UTC);
    // The second event was lost.
    let mut world = World::start().await;
    world.put_at(KEY, photo(1), at).await;
    world.ingest_told().await;
    world.put_at(KEY, photo(2), at).await;
    assert_put_right(&world).await;
    // Both arrived, and the first was embedded last.
    let mut world = World::start().await;
    for number in [2, 1] {
        world.put_at(KEY, photo(number), at).await;
        world.ingest_told().await;
    }
    world.put_at(KEY, photo(2), at).await;
    world.told();
    assert_ne!(current(&world).await, held(&world).await);
    let counts = assert_put_right(&world).await;
    assert_eq!(counts.get("embedded"), 0, "its row is there");
}

/// The newest version was deleted for good: the one before it is back, older than rows of its key.
#[tokio::test]
async fn an_older_version_that_is_back_holds_until_the_next_change() {
    let (first, second) = (datetime!(2026-11-20 10:00 UTC), datetime!(2026-11-21 10:00 UTC));
    for known in [true, false] {
        let mut world = World::start().await;
        if known {
            world.put_at(KEY, photo(1), first).await;
            world.ingest_told().await;
        }
        world.put_at(KEY, photo(2), second).await;
        world.ingest_told().await;
        world.put_at(KEY, photo(1), first).await;
        world.told();
        let counts = assert_put_right(&world).await;
        assert_eq!(counts.get("embedded"), u64::from(!known));
        // The event of the removal comes again, and changes nothing.
        let present = &held(&world).await[KEY];
        Removal::retract(&world.store, RESULTS, present).await.unwrap();
        assert_eq!(current(&world).await, held(&world).await);
        // Whatever happens next to the key is as if nothing had been.
        world.embed(KEY, photo(3)).await;
        assert_eq!(current(&world).await, held(&world).await);
        world.delete(KEY).await;
        world.ingest_told().await;
        assert_eq!(world.current().await.len(), 0);
        world.put_at(KEY, photo(1), first).await;
        assert_put_right(&world).await;
        world.delete(KEY).await;
        assert_put_right(&world).await;
        assert_eq!(world.current().await.len(), 0);
    }
}

#[tokio::test]
async fn a_good_photo_overwritten_by_a_corrupt_one_is_gone_and_not_tried_again() {
    let mut world = World::start().await;
    world.embed(KEY, photo(1)).await;
    world.put(KEY, photo(1)[..90].to_vec()).await;
    let counts = backfill(&world).await;
    assert_eq!((counts.get("stale"), counts.get("rejected_truncated")), (1, 1), "{counts:?}");
    assert_eq!(world.current().await.len(), 0);
    assert_eq!(backfill(&world).await.get("rejects"), 1);

    let again = |retry| Wishes { retry, ..confirmed() };
    for (retry, tried) in [
        (Retry::Nothing, 0),
        (Retry::Codes(vec![RejectCode::Empty, RejectCode::Corrupt]), 0),
        (Retry::Codes(vec![RejectCode::Truncated]), 1),
        (Retry::Everything, 1),
    ] {
        let counts = driven(&world, Job::Backfill, &again(retry.clone())).await.unwrap()[&Stage::Backfill]
            .counts
            .clone();
        assert_eq!((counts.get("retried"), counts.get("rejected")), (tried, tried), "{retry:?}");
    }
    // A reject whose photo is gone goes like a row.
    world.delete(KEY).await;
    assert_eq!(backfill(&world).await.get("removed"), 1);
    assert_eq!(world.snapshot().await.rejected.len(), 0);
}

#[tokio::test]
async fn photos_of_other_buckets_are_not_touched() {
    let mut world = World::start().await;
    world.embed(KEY, photo(1)).await;
    world.client.create_bucket().bucket("others").send().await.unwrap();
    let mut other = run(&world.store, Job::Backfill);
    other.photos_bucket = "others".into();
    let (tasks, planned) = planned(&other, Stage::Backfill, &Wishes::default()).await.unwrap();
    assert_eq!((tasks.len(), planned.counts.get("gone")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_redoes_only_what_is_missing() {
    const ALL: u64 = 1200;
    let world = World::start().await;
    let folder = world.file("photos/Kiwi");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..ALL {
        std::fs::write(folder.join(format!("{number}.png")), photo(number as u32)).unwrap();
    }
    let run = run(&world.store, Job::Backfill);
    let (tasks, planned_) = planned(&run, Stage::Backfill, &Wishes::default()).await.unwrap();
    assert_eq!((tasks.len(), planned_.counts.get("missing")), (3, ALL));
    let first = Arc::new(Notify::new());
    let heard = Arc::clone(&first);
    let killed = worker(&world.store).hearing(move |_, _| heard.notify_one());
    let all = async {
        for task in &tasks {
            killed.work(task).await.unwrap();
        }
    };
    tokio::select! {
        () = all => panic!("it was to be killed"),
        () = first.notified() => (),
    }
    let done = world.current().await.len() as u64;
    assert!((1..ALL).contains(&done), "{done}");
    // Whatever was being written when it was dropped may still have been.
    let stages = driven(&world, Job::Backfill, &Wishes::default()).await.unwrap();
    let counts = &stages[&Stage::Backfill].counts;
    assert!(
        counts.get("missing") <= ALL - done && counts.get("embedded") == counts.get("missing"),
        "{counts:?}"
    );
    assert_eq!(current(&world).await, held(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_done_twice_at_once_is_done_once() {
    let world = World::start().await;
    for number in 0..20 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    let run = run(&world.store, Job::Backfill);
    let (tasks, _) = planned(&run, Stage::Backfill, &Wishes::default()).await.unwrap();
    let (first, second) = (worker(&world.store), worker(&world.store));
    let (first, second) = tokio::join!(first.work(&tasks[0]), second.work(&tasks[0]));
    let counts = [first.unwrap().counts, second.unwrap().counts];
    assert_eq!(counts.iter().map(|counts| counts.get("embedded")).sum::<u64>(), 20, "{counts:?}");
    assert_eq!(counts.iter().map(|counts| counts.get("already")).sum::<u64>(), 20, "{counts:?}");
    assert_eq!(world.snapshot().await.rows(), 20);
    assert_eq!(current(&world).await, held(&world).await);
}
