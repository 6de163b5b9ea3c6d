//! The memory of a worker does not grow with its task.
#![cfg(target_os = "linux")]

use fruitvec::batch::compact::CompactOptions;
use fruitvec::batch::plan::PlanOptions;
use fruitvec::batch::run::Run;
use fruitvec::contract::layout::{Part, Partition};
use fruitvec::contract::model_card::ModelCard;
use fruitvec::contract::photo::Photo;
use fruitvec::contract::run::{Job, Stage};
use fruitvec::embed::Embedder;
use fruitvec::s3::ObjectMeta;
use fruitvec::table::{self, PartReader, Row};
use time::OffsetDateTime;

use super::{confirmed, day, plan_stage, run, worker_without_photos};
use crate::support::process_memory::{alone, reset_peak, resident};
use crate::support::world::{RESULTS, ToyEmbedder, World};

const DIMENSION: usize = 1280;
const PARTS: usize = 48;
const ROWS: usize = 500;

/// A row of noise, which does not compress.
fn row(number: usize) -> Row {
    let mut state = number as u64 + 1;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32
    };
    Row {
        photo: Photo {
            bucket: "photos".into(),
            key: format!("photos/Kiwi/{}.jpg", number.wrapping_mul(7919) % (PARTS * ROWS)),
            etag: format!("{number:032x}"),
            size_bytes: 1000,
            last_modified: day(),
        },
        width: 10,
        height: 10,
        embedding: (0..DIMENSION).map(|_| noise()).collect(),
        embedded_at: OffsetDateTime::UNIX_EPOCH,
        made_by: "noise".into(),
    }
}

/// Writes the parts. Returns their keys and total size.
async fn write_parts(world: &World, card: &ModelCard) -> (Vec<String>, u64) {
    let (mut keys, mut bytes) = (Vec::new(), 0);
    for part in 0..PARTS {
        let mut rows: Vec<Row> = (part * ROWS..(part + 1) * ROWS).map(row).collect();
        let partition = Partition { model: card.id.clone(), date: day().date() };
        let key = Part { partition, name: table::part_name(&rows) }.embeddings_key();
        let encoded = table::encode(&mut rows, card).unwrap();
        bytes += encoded.len() as u64;
        world.store.put(RESULTS, &key, "application/vnd.apache.parquet", encoded).await.unwrap();
        keys.push(key);
    }
    (keys, bytes)
}

/// Checks the rows of a part that is not one of the old ones. It has more rows than are written in
/// one batch.
async fn assert_rows_unchanged(world: &World, old_keys: &[String]) {
    let mut new_keys = Vec::new();
    let add = |object: ObjectMeta| {
        new_keys.extend((!old_keys.contains(&object.key)).then_some(object.key));
        Ok(())
    };
    world.store.list(RESULTS, "embeddings/", add).await.unwrap();
    let bytes = world.store.get(RESULTS, &new_keys[0]).await.unwrap();
    let rows = PartReader::new(&new_keys[0], bytes).rows().unwrap();
    assert!(rows.len() > 2048, "{}", rows.len());
    for found in rows {
        let number = usize::from_str_radix(&found.photo.etag, 16).unwrap();
        assert!(found == row(number), "row {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compacting_many_parts_takes_less_memory_than_they_have_bytes() {
    if !alone("batch::memory::compacting_many_parts_takes_less_memory_than_they_have_bytes") {
        return;
    }
    let world = World::start().await;
    let mut card = ToyEmbedder::new().card().clone();
    card.dimension = DIMENSION;
    let (old_keys, bytes) = write_parts(&world, &card).await;
    let run = Run { card, ..run(&world.store, Job::Compact) };
    let compact = CompactOptions { part_bytes: 16 << 20, ..CompactOptions::default() };
    let (tasks, _) = plan_stage(&run, Stage::Compact, &PlanOptions { compact, ..confirmed() }).await.unwrap();
    assert_eq!(tasks.len(), 1);
    let worker = worker_without_photos(&run);
    reset_peak();
    let before = resident().0;
    let outcome = worker.work(&tasks[0]).await.unwrap();
    let peak = resident().1 - before;
    assert_eq!(outcome.counts.get("rows"), (PARTS * ROWS) as u64, "{outcome:?}");
    assert!(outcome.counts.get("parts_written") > 4, "{outcome:?}");
    assert!(peak < bytes, "{} MiB for {} MiB", peak >> 20, bytes >> 20);
    assert_rows_unchanged(&world, &old_keys).await;
}
