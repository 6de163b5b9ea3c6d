//! Days are written anew, and nothing is lost.

use std::collections::BTreeSet;

use fruitvec::compact::Aims;
use fruitvec::embed::Embedder;
use fruitvec::error::Error;
use fruitvec::fits::Asked;
use fruitvec::outcome::Counts;
use fruitvec::plan::Wishes;
use fruitvec::run::{Job, Stage};
use time::Duration;

use super::{confirmed, current, day, driven, held, key, part, redeliver, without_grace};
use crate::fixture::{RESULTS, Toy, World, photo};

async fn compact(world: &World, wishes: &Wishes) -> Counts {
    driven(world, Job::Compact, wishes).await.unwrap().remove(&Stage::Compact).unwrap().counts
}

/// Compacts until there is nothing to do; the current rows stay as they are to the last bit.
async fn settle(world: &World) {
    let before = world.current().await;
    for _ in 0..6 {
        let counts = compact(world, &without_grace()).await;
        assert_eq!(world.current().await, before);
        if counts.get("tasks") == 0 {
            return;
        }
    }
    panic!("it does not come to an end");
}

async fn parts(world: &World) -> BTreeSet<String> {
    world.results("embeddings/").await.into_keys().collect()
}

/// Every row of every part, and every reject, of this key.
async fn stored(world: &World, key: &str) -> usize {
    let mut stored = 0;
    for (object, bytes) in world.results("embeddings/").await {
        let rows = fruitvec::table::Encoded::new(object, bytes).rows().unwrap();
        stored += rows.iter().filter(|row| row.photo.key == key).count();
    }
    let rejects = world.results("rejects/").await;
    stored
        + rejects
            .values()
            .filter(|reject| String::from_utf8_lossy(reject).contains(&format!("\"{key}\"")))
            .count()
}

#[tokio::test]
async fn small_parts_of_a_day_become_one() {
    let mut world = World::start().await;
    for number in 0..5 {
        part(&mut world, [number, number + 10]).await;
    }
    let (before, rows) = (parts(&world).await, world.current().await);
    let counts = compact(&world, &confirmed()).await;
    assert_eq!((counts.get("parts_to_compact"), counts.get("parts_written"), counts.get("rows")), (5, 1, 10));
    let both = parts(&world).await;
    assert_eq!(both.len(), 6, "the old ones stay for the grace");
    assert_eq!(world.current().await, rows, "with all that they were made by and when");
    assert_eq!(world.snapshot().await.rows(), 10);
    // Within the grace there is nothing to do.
    assert_eq!(compact(&world, &confirmed()).await.get("tasks"), 0);
    assert_eq!(parts(&world).await, both);
    let counts = compact(&world, &without_grace()).await;
    assert_eq!((counts.get("parts_deleted"), counts.get("parts_kept")), (5, 0));
    assert_eq!(parts(&world).await, both.difference(&before).cloned().collect());
    assert_eq!(world.current().await, rows);
    assert_eq!(compact(&world, &without_grace()).await.get("tasks"), 0);
}

#[tokio::test]
async fn a_days_rows_are_as_many_parts_as_their_bytes_ask_for() {
    let mut world = World::start().await;
    for number in 0..12 {
        part(&mut world, number * 100..number * 100 + 15).await;
    }
    let bytes: u64 = world.snapshot().await.parts.iter().map(|part| part.size_bytes).sum();
    let aims = Aims { part_bytes: bytes.div_ceil(3), grace: Duration::ZERO };
    let wishes = Wishes { aims, ..confirmed() };
    let rows = world.current().await;
    assert_eq!(compact(&world, &wishes).await.get("parts_written"), 3);
    assert_eq!(compact(&world, &wishes).await.get("parts_deleted"), 12);
    assert_eq!(compact(&world, &wishes).await.get("tasks"), 0);
    assert_eq!((world.current().await, parts(&world).await.len()), (rows, 3));
}

/// {a, b} and {b} become {a, b}: by its rows alone the new part would have the name of one that it replaces.
#[tokio::test]
async fn a_part_with_the_rows_of_an_old_one_is_another_part() {
    let mut world = World::start().await;
    part(&mut world, [1, 2]).await;
    redeliver(&world, 2).await;
    assert_eq!(parts(&world).await.len(), 2);
    settle(&world).await;
    assert_eq!((parts(&world).await.len(), world.current().await.len()), (1, 2));
    // The same again: now one of the old ones is a compacted one.
    redeliver(&world, 2).await;
    redeliver(&world, 1).await;
    settle(&world).await;
    assert_eq!((parts(&world).await.len(), world.current().await.len()), (1, 2));
}

#[tokio::test]
async fn a_single_part_loses_its_dead_rows() {
    let mut world = World::start().await;
    part(&mut world, 0..4).await;
    world.put(&key(1), photo(100)).await;
    world.delete(&key(2)).await;
    world.ingest_told().await;
    settle(&world).await;
    assert_eq!(current(&world).await, held(&world).await);
    assert_eq!((stored(&world, &key(1)).await, stored(&world, &key(2)).await), (1, 0));
}

#[tokio::test]
async fn what_was_written_today_is_left_alone() {
    let mut world = World::start().await;
    for number in 0..3 {
        world.embed(&key(number), photo(number)).await;
    }
    assert_eq!(compact(&world, &without_grace()).await.get("tasks"), 0);
    assert_eq!(parts(&world).await.len(), 3);
}

/// Within the grace and one run nothing has a removed photo any more.
#[tokio::test]
async fn a_removed_photo_is_gone_from_everything() {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    world.put_at(&key(50), photo(50)[..90].to_vec(), day()).await;
    world.ingest_told().await;
    let refit = async |world: &World| {
        super::refit(world, Asked { components: 3, ..Asked::default() }).await.unwrap();
    };
    refit(&world).await;
    let beside = async |world: &World| {
        let mut keys = world.results("moments/").await;
        keys.append(&mut world.results("reduced/").await);
        keys.into_keys().collect::<BTreeSet<_>>()
    };
    let before = beside(&world).await;
    assert_eq!(before.len(), 2);
    assert_eq!(stored(&world, &key(50)).await, 1);

    for number in [7, 50] {
        world.delete(&key(number)).await;
    }
    world.ingest_told().await;
    // Of a part that is long gone.
    let orphan = "moments/model=toy/date=2026-11-01/00000000000000000000000000000000.moments";
    world.store.put(RESULTS, orphan, "application/octet-stream", "x").await.unwrap();
    compact(&world, &without_grace()).await;
    refit(&world).await;
    compact(&world, &without_grace()).await;
    assert_eq!((stored(&world, &key(7)).await, stored(&world, &key(50)).await), (0, 0));
    let after = beside(&world).await;
    assert!(after.is_disjoint(&before) && !after.contains(orphan), "{after:?}");
    assert_eq!(after.len(), 2, "those of the new part: {after:?}");
    assert_eq!(world.snapshot().await.rows(), 39);
}

#[tokio::test]
async fn of_a_day_whose_photos_are_all_gone_nothing_is_left() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    for number in 0..3 {
        world.delete(&key(number)).await;
    }
    world.ingest_told().await;
    settle(&world).await;
    assert_eq!(parts(&world).await.len(), 0);
}

/// The row of a photo that came back after the compaction is only in a part that was replaced.
#[tokio::test]
async fn a_photo_that_comes_back_before_its_part_is_deleted_is_not_lost() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    world.delete(&key(1)).await;
    world.ingest_told().await;
    compact(&world, &confirmed()).await;
    assert_eq!(parts(&world).await.len(), 2);
    world.put_at(&key(1), photo(1), day() + Duration::seconds(1)).await;
    let counts =
        driven(&world, Job::Backfill, &without_grace()).await.unwrap()[&Stage::Backfill].counts.clone();
    assert_eq!((counts.get("restored"), counts.get("embedded")), (2, 0), "{counts:?}");
    assert_eq!(current(&world).await, held(&world).await);
    settle(&world).await;
    assert_eq!(current(&world).await, held(&world).await);
    assert_eq!(parts(&world).await.len(), 1);
}

/// Its row was not copied, and the part that had it is deleted: only S3 still has it.
#[tokio::test]
async fn a_photo_that_comes_back_after_its_part_is_deleted_is_embedded_again() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    world.delete(&key(1)).await;
    world.ingest_told().await;
    settle(&world).await;
    world.put_at(&key(1), photo(1), day() + Duration::seconds(1)).await;
    driven(&world, Job::Backfill, &without_grace()).await.unwrap();
    assert_eq!(current(&world).await, held(&world).await);
    settle(&world).await;
    assert_eq!(current(&world).await, held(&world).await);
}

/// A batch that is delivered once more after its part was compacted and deleted is written again, to the same name.
#[tokio::test]
async fn a_part_that_is_written_again_is_compacted_again() {
    let mut world = World::start().await;
    part(&mut world, [1]).await;
    part(&mut world, [2]).await;
    let (first, rows) = (parts(&world).await, current(&world).await);
    settle(&world).await;
    redeliver(&world, 1).await;
    assert_eq!(parts(&world).await.intersection(&first).count(), 1);
    settle(&world).await;
    assert_eq!((parts(&world).await.len(), current(&world).await), (1, rows));
}

#[tokio::test]
async fn a_part_whose_replacement_is_gone_is_kept() {
    let mut world = World::start().await;
    part(&mut world, [1]).await;
    part(&mut world, [2]).await;
    let first = parts(&world).await;
    compact(&world, &confirmed()).await;
    let replacement: Vec<_> = parts(&world).await.difference(&first).cloned().collect();
    let run = super::run(&world.store, Job::Compact);
    let (tasks, _) = super::planned(&run, Stage::Compact, &without_grace()).await.unwrap();
    world.store.delete(RESULTS, &replacement).await.unwrap();
    let outcome = super::worker(&world.store).work(&tasks[0]).await.unwrap();
    assert_eq!((outcome.counts.get("parts_kept"), outcome.counts.get("parts_deleted")), (2, 0));
    assert_eq!((parts(&world).await, world.current().await.len()), (first, 2));
}

#[tokio::test]
async fn rows_of_another_network_are_not_mixed_in() {
    let mut world = World::start().await;
    part(&mut world, [1]).await;
    part(&mut world, [2]).await;
    let run = super::run(&world.store, Job::Compact);
    let (tasks, _) = super::planned(&run, Stage::Compact, &confirmed()).await.unwrap();
    let mut other = Toy::new().card().clone();
    other.file.sha256 = "0".repeat(64);
    let load = Box::new(|| Err(Error::Internal("it needs no model".into())));
    let worker = fruitvec::work::Worker::new(world.store.clone(), RESULTS, other, 1, load);
    let outcome = worker.work(&tasks[0]).await.unwrap();
    assert!(outcome.errors[0].contains("another network needs another id"), "{outcome:?}");
    assert_eq!(parts(&world).await.len(), 2);
}
