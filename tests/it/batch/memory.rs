//! What a worker takes does not grow with its task.
#![cfg(target_os = "linux")]

use fruitvec::compact::Aims;
use fruitvec::embed::Embedder;
use fruitvec::error::Error;
use fruitvec::partition::{Part, Partition};
use fruitvec::photo::Photo;
use fruitvec::plan::Wishes;
use fruitvec::run::{Job, Run, Stage};
use fruitvec::store::Listed;
use fruitvec::table::{self, Encoded, Row};
use fruitvec::work::Worker;
use time::OffsetDateTime;

use super::{confirmed, day, planned, run};
use crate::fixture::{RESULTS, Toy, World};
use crate::ingest::memory::{alone, forget_peak, resident};

const DIMENSION: usize = 1280;
const PARTS: usize = 48;
const ROWS: usize = 500;

/// A row of noise, which no compression makes smaller.
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

#[tokio::test(flavor = "multi_thread")]
async fn compacting_many_parts_takes_less_memory_than_they_have_bytes() {
    if !alone("batch::memory::compacting_many_parts_takes_less_memory_than_they_have_bytes") {
        return;
    }
    let world = World::start().await;
    let mut card = Toy::new().card().clone();
    card.dimension = DIMENSION;
    let (mut bytes, mut read) = (0, Vec::new());
    for part in 0..PARTS {
        let mut rows: Vec<Row> = (part * ROWS..(part + 1) * ROWS).map(row).collect();
        let partition = Partition { model: card.id.clone(), date: day().date() };
        let part = Part { partition, name: table::part_name(&rows) };
        let encoded = table::encode(&mut rows, &card).unwrap();
        bytes += encoded.len() as u64;
        read.push(part.embeddings_key());
        world
            .store
            .put(RESULTS, &part.embeddings_key(), "application/vnd.apache.parquet", encoded)
            .await
            .unwrap();
    }
    let run = Run { card: card.clone(), ..run(&world.store, Job::Compact) };
    let aims = Aims { part_bytes: 16 << 20, ..Aims::default() };
    let (tasks, _) = planned(&run, Stage::Compact, &Wishes { aims, ..confirmed() }).await.unwrap();
    assert_eq!(tasks.len(), 1);
    let load = Box::new(|| Err(Error::Internal("it needs no model".into())));
    let worker = Worker::new(world.store.clone(), RESULTS, card, 1, load);
    forget_peak();
    let before = resident().0;
    let outcome = worker.work(&tasks[0]).await.unwrap();
    let took = resident().1 - before;
    assert_eq!(outcome.counts.get("rows"), (PARTS * ROWS) as u64, "{outcome:?}");
    assert!(outcome.counts.get("parts_written") > 4, "{outcome:?}");
    assert!(took < bytes, "{} MiB for {} MiB", took >> 20, bytes >> 20);
    // And rows are what they were, also where a part has more of them than are written at once.
    let mut keys = Vec::new();
    let note = |object: Listed| {
        keys.extend((!read.contains(&object.key)).then_some(object.key));
        Ok(())
    };
    world.store.list(RESULTS, "embeddings/", note).await.unwrap();
    let bytes = world.store.get(RESULTS, &keys[0]).await.unwrap();
    let rows = Encoded::new(&keys[0], bytes).rows().unwrap();
    assert!(rows.len() > 2048, "{}", rows.len());
    for found in rows {
        let number = usize::from_str_radix(&found.photo.etag, 16).unwrap();
        assert!(found == row(number), "row {number}");
    }
}
