//! Batches run while photos come in: whoever reads sees what is right at that moment.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fruitvec::compact::Aims;
use fruitvec::event::{Change, Delivery};
use fruitvec::plan::Wishes;
use fruitvec::run::{Job, Stage};
use fruitvec::snapshot::Scan;
use fruitvec::table::micros;
use time::OffsetDateTime;

use super::{confirmed, current, day, driven, held, key, part};
use crate::fixture::{PHOTOS, RESULTS, World, photo};

/// Photos that stay as they are.
const STILL: u32 = 20;
/// Photos that are overwritten again and again.
const BUSY: u32 = 3;
/// How long it goes on.
const LONG: Duration = Duration::from_secs(12);

/// Versions of the busy photos: how many were begun to be written, and how many are acknowledged.
#[derive(Default)]
struct Versions {
    begun: BTreeMap<String, i64>,
    acknowledged: BTreeMap<String, i64>,
}

/// Puts a photo that S3 dates so from its first moment on.
fn put(world: &World, key: &str, bytes: &[u8], at: OffsetDateTime) {
    let (new, file) = (world.data.path().join("new.png"), world.file(key));
    std::fs::write(&new, bytes).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at.unix_timestamp().unsigned_abs());
    std::fs::File::options().write(true).open(&new).unwrap().set_modified(at).unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::rename(&new, &file).unwrap();
}

fn busy(number: u32) -> String {
    format!("photos/Busy/{number}.png")
}

/// Overwrites the busy photos one after the other, each a second later than before, and ingests each at once.
async fn write(world: &World, versions: &Mutex<Versions>, until: Instant) {
    for version in 1_i64.. {
        for number in 0..BUSY {
            if Instant::now() > until {
                return;
            }
            let key = busy(number);
            versions.lock().unwrap().begun.insert(key.clone(), version);
            let bytes = photo(1000 + number + 10 * u32::try_from(version).unwrap());
            put(world, &key, &bytes, day() + time::Duration::seconds(version));
            let at = OffsetDateTime::now_utc();
            let delivery = Delivery { bucket: PHOTOS.into(), key: key.clone(), change: Change::Created, at };
            Box::pin(world.ingest.ingest(&[delivery])).await;
            versions.lock().unwrap().acknowledged.insert(key, version);
        }
    }
}

/// The `last_modified` of the current rows, by key.
async fn read(world: &World) -> BTreeMap<String, i64> {
    let mut scan = Scan::begin(&world.store, RESULTS, "toy").await.unwrap();
    let mut rows = BTreeMap::new();
    while let Some(standing) = scan.hear().unwrap() {
        rows.extend(standing.current.map(|claim| (claim.key, claim.last_modified)));
    }
    assert_eq!(scan.finish().unwrap().rows(), rows.len() as u64);
    rows
}

/// Reads until it is over; returns how often.
async fn poll(world: &World, versions: &Mutex<Versions>, over: &AtomicBool) -> usize {
    let second = |version: i64| micros(day() + time::Duration::seconds(version));
    for polled in 0.. {
        if over.load(Ordering::SeqCst) {
            return polled;
        }
        let before = versions.lock().unwrap().acknowledged.clone();
        let rows = read(world).await;
        let after = versions.lock().unwrap().begun.clone();
        for number in 0..STILL {
            assert_eq!(rows.get(&key(number)), Some(&second(number.into())), "{number}");
        }
        for (key, acknowledged) in before {
            let row = rows.get(&key).unwrap_or_else(|| panic!("{key} is missing"));
            let begun = after[&key];
            assert!(
                (second(acknowledged)..=second(begun)).contains(row),
                "{key}: {row}, {acknowledged} to {begun}"
            );
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_right_every_time_while_photos_come_in_and_days_are_compacted() {
    let mut world = World::start().await;
    for number in 0..STILL / 4 {
        part(&mut world, number * 4..number * 4 + 4).await;
    }
    let aims = Aims { grace: time::Duration::seconds(4), ..Aims::default() };
    let wishes = Wishes { aims, ..confirmed() };
    let (versions, over) = (Mutex::new(Versions::default()), AtomicBool::new(false));
    let until = Instant::now() + LONG;
    let batches = async {
        let (mut written, mut deleted) = (0, 0);
        while Instant::now() < until {
            let stages = driven(&world, Job::Backfill, &wishes).await.unwrap();
            let counts = &stages[&Stage::Compact].counts;
            written += counts.get("parts_written");
            deleted += counts.get("parts_deleted");
        }
        (written, deleted)
    };
    let both = async {
        let (batches, ()) = tokio::join!(batches, write(&world, &versions, until));
        over.store(true, Ordering::SeqCst);
        batches
    };
    let ((written, deleted), polled) = tokio::join!(both, poll(&world, &versions, &over));
    assert!(
        written > 1 && deleted > 1 && polled > 5,
        "{written} written, {deleted} deleted, {polled} polled"
    );
    assert!(versions.lock().unwrap().acknowledged[&busy(0)] > 5);
    driven(&world, Job::Backfill, &wishes).await.unwrap();
    assert_eq!(current(&world).await, held(&world).await);
}
