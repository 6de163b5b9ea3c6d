//! Batch runs while photos are ingested: each reader sees a consistent table.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fruitvec::batch::compact::CompactOptions;
use fruitvec::batch::plan::PlanOptions;
use fruitvec::contract::event::{Change, Delivery};
use fruitvec::contract::run::{Job, Stage};
use fruitvec::table::{Scan, micros};
use time::OffsetDateTime;

use super::{confirmed, current_photos, day, key, listed_photos, part, run_job};
use crate::support::world::{PHOTOS, RESULTS, World, photo};

/// Number of photos that never change.
const UNCHANGED: u32 = 20;
/// Number of photos that are overwritten again and again.
const OVERWRITTEN: u32 = 3;
/// Duration of the test.
const DURATION: Duration = Duration::from_secs(12);

/// Versions of the overwritten photos, by key.
#[derive(Default)]
struct Versions {
    /// The last version whose write has started.
    started: BTreeMap<String, i64>,
    /// The last version whose ingest has finished.
    ingested: BTreeMap<String, i64>,
}

/// Puts a photo whose `last_modified` is never anything but `at`, not even for a moment.
fn put(world: &World, key: &str, bytes: &[u8], at: OffsetDateTime) {
    let (new, file) = (world.data.path().join("new.png"), world.photo_file(key));
    std::fs::write(&new, bytes).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at.unix_timestamp().unsigned_abs());
    std::fs::File::options().write(true).open(&new).unwrap().set_modified(at).unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::rename(&new, &file).unwrap();
}

fn overwritten_key(number: u32) -> String {
    format!("photos/Busy/{number}.png")
}

/// Returns the `last_modified` of a version. Versions are a second apart.
fn modified(version: i64) -> OffsetDateTime {
    day() + time::Duration::seconds(version)
}

/// Overwrites one photo after the other, and ingests each version.
async fn write(world: &World, versions: &Mutex<Versions>, until: Instant) {
    for version in 1_i64.. {
        for number in 0..OVERWRITTEN {
            if Instant::now() > until {
                return;
            }
            let key = overwritten_key(number);
            versions.lock().unwrap().started.insert(key.clone(), version);
            let bytes = photo(1000 + number + 10 * u32::try_from(version).unwrap());
            put(world, &key, &bytes, modified(version));
            let at = OffsetDateTime::now_utc();
            let delivery = Delivery {
                bucket: PHOTOS.into(),
                key: key.clone(),
                change: Change::Created,
                at,
                attempts: 1,
            };
            Box::pin(world.ingest.ingest(&[delivery])).await;
            versions.lock().unwrap().ingested.insert(key, version);
        }
    }
}

/// Reads the `last_modified` of the current rows by key.
async fn read(world: &World) -> BTreeMap<String, i64> {
    let mut scan = Scan::begin(&world.store, RESULTS, "toy").await.unwrap();
    let mut rows = BTreeMap::new();
    while let Some(state) = scan.next_key().unwrap() {
        rows.extend(state.current.map(|version| (version.key, version.last_modified)));
    }
    assert_eq!(scan.finish().unwrap().rows(), rows.len() as u64);
    rows
}

/// Reads the table until `done`. Returns the number of reads.
///
/// The row of an overwritten photo must be at least as new as the last version that was ingested
/// before the read, and at most as new as the last one that was started before its end.
async fn read_repeatedly(world: &World, versions: &Mutex<Versions>, done: &AtomicBool) -> usize {
    let micros_of = |version: i64| micros(modified(version));
    for reads in 0.. {
        if done.load(Ordering::SeqCst) {
            return reads;
        }
        let before = versions.lock().unwrap().ingested.clone();
        let rows = read(world).await;
        let after = versions.lock().unwrap().started.clone();
        for number in 0..UNCHANGED {
            assert_eq!(rows.get(&key(number)), Some(&micros_of(number.into())), "{number}");
        }
        for (key, ingested) in before {
            let row = rows.get(&key).unwrap_or_else(|| panic!("{key} is missing"));
            let started = after[&key];
            assert!(
                (micros_of(ingested)..=micros_of(started)).contains(row),
                "{key}: {row}, {ingested} to {started}"
            );
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_a_consistent_table_during_ingest_and_compaction() {
    let mut world = World::start().await;
    for number in 0..UNCHANGED / 4 {
        part(&mut world, number * 4..number * 4 + 4).await;
    }
    let compact = CompactOptions { grace: time::Duration::seconds(4), ..CompactOptions::default() };
    let options = PlanOptions { compact, ..confirmed() };
    let (versions, done) = (Mutex::new(Versions::default()), AtomicBool::new(false));
    let until = Instant::now() + DURATION;
    let batches = async {
        let (mut written, mut deleted) = (0, 0);
        while Instant::now() < until {
            let stages = run_job(&world, Job::Backfill, &options).await.unwrap();
            let counts = &stages[&Stage::Compact].counts;
            written += counts.get("parts_written");
            deleted += counts.get("parts_deleted");
        }
        (written, deleted)
    };
    let writers = async {
        let (batches, ()) = tokio::join!(batches, write(&world, &versions, until));
        done.store(true, Ordering::SeqCst);
        batches
    };
    let ((written, deleted), reads) = tokio::join!(writers, read_repeatedly(&world, &versions, &done));
    // Without these minimums, the test could pass without any overlap.
    assert!(written > 1 && deleted > 1 && reads > 5, "{written} written, {deleted} deleted, {reads} reads");
    assert!(versions.lock().unwrap().ingested[&overwritten_key(0)] > 5);
    run_job(&world, Job::Backfill, &options).await.unwrap();
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
}
