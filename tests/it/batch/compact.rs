//! Compaction rewrites the parts of a day, and deletes the old ones, without losing a current row.

use std::collections::BTreeSet;

use fruitvec::batch::compact::CompactOptions;
use fruitvec::batch::pca::FitOptions;
use fruitvec::batch::plan::PlanOptions;
use fruitvec::batch::run::Run;
use fruitvec::contract::run::{Counts, Job, Stage};
use fruitvec::embed::Embedder;
use fruitvec::table::PartReader;
use time::Duration;

use super::{
    confirmed, current_photos, day, key, listed_photos, part, plan_stage, redeliver, run, run_job,
    without_grace, worker, worker_without_photos,
};
use crate::support::world::{RESULTS, ToyEmbedder, World, photo};

async fn compact(world: &World, options: &PlanOptions) -> Counts {
    run_job(world, Job::Compact, options).await.unwrap().remove(&Stage::Compact).unwrap().counts
}

/// Compacts until there is nothing to do. The current rows must stay the same to the last bit.
async fn compact_completely(world: &World) {
    let before = world.current_rows().await;
    for _ in 0..6 {
        let counts = compact(world, &without_grace()).await;
        assert_eq!(world.current_rows().await, before);
        if counts.get("tasks") == 0 {
            return;
        }
    }
    panic!("compaction never runs out of tasks");
}

async fn parts(world: &World) -> BTreeSet<String> {
    world.result_objects("embeddings/").await.into_keys().collect()
}

/// Counts the rows, current or dead, and the rejects of a key.
async fn stored(world: &World, key: &str) -> usize {
    let mut stored = 0;
    for (object, bytes) in world.result_objects("embeddings/").await {
        let rows = PartReader::new(object, bytes).rows().unwrap();
        stored += rows.iter().filter(|row| row.photo.key == key).count();
    }
    let rejects = world.result_objects("rejects/").await;
    let quoted = format!("\"{key}\"");
    stored + rejects.values().filter(|reject| String::from_utf8_lossy(reject).contains(&quoted)).count()
}

#[tokio::test]
async fn small_parts_of_a_day_become_one() {
    let mut world = World::start().await;
    for number in 0..5 {
        part(&mut world, [number, number + 10]).await;
    }
    let (before, rows) = (parts(&world).await, world.current_rows().await);
    let counts = compact(&world, &confirmed()).await;
    assert_eq!((counts.get("parts_to_compact"), counts.get("parts_written"), counts.get("rows")), (5, 1, 10));
    let both = parts(&world).await;
    assert_eq!(both.len(), 6, "the old parts stay for the grace period");
    assert_eq!(world.current_rows().await, rows, "with their `made_by` and `embedded_at`");
    assert_eq!(world.snapshot().await.rows(), 10);
    // During the grace period there is nothing to do.
    assert_eq!(compact(&world, &confirmed()).await.get("tasks"), 0);
    assert_eq!(parts(&world).await, both);
    let counts = compact(&world, &without_grace()).await;
    assert_eq!((counts.get("parts_deleted"), counts.get("parts_kept")), (5, 0));
    assert_eq!(parts(&world).await, both.difference(&before).cloned().collect());
    assert_eq!(world.current_rows().await, rows);
    assert_eq!(compact(&world, &without_grace()).await.get("tasks"), 0);
}

#[tokio::test]
async fn the_part_size_decides_how_many_parts_a_day_has() {
    let mut world = World::start().await;
    for number in 0..12 {
        part(&mut world, number * 100..number * 100 + 15).await;
    }
    let bytes: u64 = world.snapshot().await.parts.iter().map(|part| part.size_bytes).sum();
    let compact_options = CompactOptions { part_bytes: bytes.div_ceil(3), grace: Duration::ZERO };
    let options = PlanOptions { compact: compact_options, ..confirmed() };
    let rows = world.current_rows().await;
    assert_eq!(compact(&world, &options).await.get("parts_written"), 3);
    assert_eq!(compact(&world, &options).await.get("parts_deleted"), 12);
    assert_eq!(compact(&world, &options).await.get("tasks"), 0);
    assert_eq!((world.current_rows().await, parts(&world).await.len()), (rows, 3));
}

/// The parts {a, b} and {b} become {a, b}. If its rows alone determined its name, the new part
/// would have the name of one that it replaces.
#[tokio::test]
async fn a_compacted_part_with_the_rows_of_an_old_part_has_another_name() {
    let mut world = World::start().await;
    part(&mut world, [1, 2]).await;
    redeliver(&world, 2).await;
    assert_eq!(parts(&world).await.len(), 2);
    compact_completely(&world).await;
    assert_eq!((parts(&world).await.len(), world.current_rows().await.len()), (1, 2));
    // Once more, with a compacted part among the old ones.
    redeliver(&world, 2).await;
    redeliver(&world, 1).await;
    compact_completely(&world).await;
    assert_eq!((parts(&world).await.len(), world.current_rows().await.len()), (1, 2));
}

#[tokio::test]
async fn a_single_part_loses_its_dead_rows() {
    let mut world = World::start().await;
    part(&mut world, 0..4).await;
    world.put(&key(1), photo(100)).await;
    world.delete(&key(2)).await;
    world.ingest_pending().await;
    compact_completely(&world).await;
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
    assert_eq!((stored(&world, &key(1)).await, stored(&world, &key(2)).await), (1, 0));
}

#[tokio::test]
async fn the_parts_of_today_are_left_alone() {
    let mut world = World::start().await;
    for number in 0..3 {
        world.put_and_ingest(&key(number), photo(number)).await;
    }
    assert_eq!(compact(&world, &without_grace()).await.get("tasks"), 0);
    assert_eq!(parts(&world).await.len(), 3);
}

/// After the grace period and one run, no object contains a removed photo.
#[tokio::test]
async fn a_removed_photo_disappears_from_all_objects() {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    world.put_dated(&key(50), photo(50)[..90].to_vec(), day()).await;
    world.ingest_pending().await;
    let fit = async |world: &World| {
        super::fit(world, FitOptions { components: 3, ..FitOptions::default() }).await.unwrap();
    };
    fit(&world).await;
    let sidecars = async |world: &World| {
        let mut keys = world.result_objects("moments/").await;
        keys.append(&mut world.result_objects("reduced/").await);
        keys.into_keys().collect::<BTreeSet<_>>()
    };
    let before = sidecars(&world).await;
    assert_eq!(before.len(), 2);
    assert_eq!(stored(&world, &key(50)).await, 1);

    for number in [7, 50] {
        world.delete(&key(number)).await;
    }
    world.ingest_pending().await;
    // The moments of a part that was deleted long ago.
    let orphan = "moments/model=toy/date=2026-11-01/00000000000000000000000000000000.moments";
    world.store.put(RESULTS, orphan, "application/octet-stream", "x").await.unwrap();
    compact(&world, &without_grace()).await;
    fit(&world).await;
    compact(&world, &without_grace()).await;
    assert_eq!((stored(&world, &key(7)).await, stored(&world, &key(50)).await), (0, 0));
    let after = sidecars(&world).await;
    assert!(after.is_disjoint(&before) && !after.contains(orphan), "{after:?}");
    assert_eq!(after.len(), 2, "those of the new part: {after:?}");
    assert_eq!(world.snapshot().await.rows(), 39);
}

#[tokio::test]
async fn a_day_whose_photos_are_all_deleted_keeps_no_parts() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    for number in 0..3 {
        world.delete(&key(number)).await;
    }
    world.ingest_pending().await;
    compact_completely(&world).await;
    assert_eq!(parts(&world).await.len(), 0);
}

/// The row of a photo that is restored after the compaction exists only in a superseded part.
#[tokio::test]
async fn a_photo_restored_before_its_part_is_deleted_is_not_lost() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    world.delete(&key(1)).await;
    world.ingest_pending().await;
    compact(&world, &confirmed()).await;
    assert_eq!(parts(&world).await.len(), 2);
    world.put_dated(&key(1), photo(1), day() + Duration::seconds(1)).await;
    let stages = run_job(&world, Job::Backfill, &without_grace()).await.unwrap();
    let counts = &stages[&Stage::Backfill].counts;
    assert_eq!((counts.get("restored"), counts.get("embedded")), (2, 0), "{counts:?}");
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
    compact_completely(&world).await;
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
    assert_eq!(parts(&world).await.len(), 1);
}

/// The compaction did not copy the removed row and deleted its part, so the row no longer exists.
#[tokio::test]
async fn a_photo_restored_after_its_part_is_deleted_is_embedded_again() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    world.delete(&key(1)).await;
    world.ingest_pending().await;
    compact_completely(&world).await;
    world.put_dated(&key(1), photo(1), day() + Duration::seconds(1)).await;
    run_job(&world, Job::Backfill, &without_grace()).await.unwrap();
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
    compact_completely(&world).await;
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
}

/// A batch that is redelivered after its part was compacted and deleted writes the part again,
/// under the same name.
#[tokio::test]
async fn a_part_that_is_written_again_is_compacted_again() {
    let mut world = World::start().await;
    part(&mut world, [1]).await;
    part(&mut world, [2]).await;
    let (first, rows) = (parts(&world).await, current_photos(&world).await);
    compact_completely(&world).await;
    redeliver(&world, 1).await;
    assert_eq!(parts(&world).await.intersection(&first).count(), 1);
    compact_completely(&world).await;
    assert_eq!((parts(&world).await.len(), current_photos(&world).await), (1, rows));
}

#[tokio::test]
async fn a_part_whose_replacement_is_missing_is_kept() {
    let mut world = World::start().await;
    part(&mut world, [1]).await;
    part(&mut world, [2]).await;
    let first = parts(&world).await;
    compact(&world, &confirmed()).await;
    let replacement: Vec<_> = parts(&world).await.difference(&first).cloned().collect();
    let run = run(&world.store, Job::Compact);
    let (tasks, _) = plan_stage(&run, Stage::Compact, &without_grace()).await.unwrap();
    world.store.delete(RESULTS, &replacement).await.unwrap();
    let outcome = worker(&world.store).work(&tasks[0]).await.unwrap();
    assert_eq!((outcome.counts.get("parts_kept"), outcome.counts.get("parts_deleted")), (2, 0));
    assert_eq!((parts(&world).await, world.current_rows().await.len()), (first, 2));
}

#[tokio::test]
async fn rows_of_another_network_are_not_mixed_in() {
    let mut world = World::start().await;
    part(&mut world, [1]).await;
    part(&mut world, [2]).await;
    let run = run(&world.store, Job::Compact);
    let (tasks, _) = plan_stage(&run, Stage::Compact, &confirmed()).await.unwrap();
    let mut other_card = ToyEmbedder::new().card().clone();
    other_card.file.sha256 = "0".repeat(64);
    let outcome = worker_without_photos(&Run { card: other_card, ..run }).work(&tasks[0]).await.unwrap();
    assert!(outcome.errors[0].contains("another network, which needs another id"), "{outcome:?}");
    assert_eq!(parts(&world).await.len(), 2);
}
