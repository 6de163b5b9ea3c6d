//! Tests that no cluster starts when there is nothing to do.

use std::time::Duration;

use fruitvec_core::contract::model_card::DEFAULT_MODEL as MODEL;
use fruitvec_launch::{ChangeScan, Launch, MAX_LISTED_PAGES, ScanResult};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::fixture::{PHOTOS, RESULTS, World, backfill, part, pca};

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    async fn scan(&self, event: Value) -> ScanResult {
        let launch = Launch::parse(event.as_object().unwrap()).unwrap();
        ChangeScan::new(&self.store, &self.config).run(&launch).await.unwrap()
    }

    async fn has_work(&self, event: Value) -> bool {
        match self.scan(event).await {
            ScanResult::Work(_) => true,
            ScanResult::NoWork(_) => false,
            ScanResult::Unknown => panic!("the scan reached its limit"),
        }
    }

    /// Puts an object that is older than any run here.
    async fn put_old(&self, bucket: &str, key: &str) {
        self.put(bucket, key).await;
        self.age(bucket, key, 2 * HOUR);
    }

    /// Puts the record of a run that started an hour ago.
    async fn put_run(&self, run: &str, job: &str, photos: u64) {
        let record = json!({"version": 1, "run": run, "job": job, "model": MODEL, "started_at": an_hour_ago(),
            "finished_at": an_hour_ago(), "photos_listed": photos, "seconds": 12.5});
        self.put_json(&format!("runs/{run}/run.json"), &record).await;
    }

    /// Puts the newest fit, which started an hour ago.
    async fn put_fit(&self) {
        let fit = json!({"fit": "f", "model": MODEL, "model_sha256": "", "dimension": 1, "rows": 1, "parts": 1,
            "first_date": null, "last_date": null, "components": 1, "rank": 1, "explained_variance": [],
            "explained_variance_ratio": [], "total_variance": 0.0, "mean": [], "inputs": "i",
            "taken_at": an_hour_ago(), "seconds": 1.0, "made_by": "fruitvec"});
        self.put_json(&format!("pca/model={MODEL}/fit=f/fit.json"), &fit).await;
        self.put_json(&format!("pca/model={MODEL}/latest.json"), &json!({"fit": "f", "inputs": "i"})).await;
    }
}

fn an_hour_ago() -> String {
    (OffsetDateTime::now_utc() - HOUR).format(&Rfc3339).unwrap()
}

fn rebuild() -> Value {
    json!({"job": "rebuild", "scheduled_time": "2026-11-24T10:30:00Z"})
}

fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

/// Returns buckets in which a run has just finished all work.
async fn up_to_date() -> World {
    let world = World::empty(&[]).await;
    for key in ["photos/Kiwi/1.jpg", "uploads/2026-01-02/2.jpg"] {
        world.put_old(PHOTOS, key).await;
    }
    world.put_old(RESULTS, &part("2026-01-02", "a")).await;
    world.put_old(RESULTS, &part("2026-01-03", "b")).await;
    world.put_old(RESULTS, &format!("rejects/model={MODEL}/date=2026-01-02/r.json")).await;
    world.put_old(RESULTS, "removals/x.json").await;
    world.put_run("20261123T030000Z-backfill", "backfill", 2).await;
    world.put_fit().await;
    world
}

#[tokio::test]
async fn empty_buckets_have_no_work() {
    let world = World::empty(&[]).await;
    for event in [backfill(), pca(), rebuild()] {
        assert!(!world.has_work(event.clone()).await);
        assert_eq!(world.outcome("a", event).await, "nothing_to_do");
    }
    assert_eq!(world.emr.starts(), 0);
}

#[tokio::test]
async fn before_the_first_run_any_photo_or_part_is_work() {
    let world = World::empty(&[]).await;
    world.put_old(PHOTOS, "photos/Kiwi/1.jpg").await;
    assert!(world.has_work(backfill()).await && world.has_work(rebuild()).await);
    assert!(!world.has_work(pca()).await, "a PCA needs parts");
    let world = World::empty(&[]).await;
    world.put_old(RESULTS, &part("2026-01-02", "a")).await;
    assert!(
        world.has_work(backfill()).await && world.has_work(pca()).await && world.has_work(rebuild()).await
    );
}

#[tokio::test]
async fn without_changes_there_is_no_work() {
    let world = up_to_date().await;
    for event in [backfill(), pca(), rebuild()] {
        assert!(!world.has_work(event).await);
    }
}

#[tokio::test]
async fn every_new_object_is_work_for_the_jobs_that_read_it() {
    for (bucket, key, jobs) in [
        (PHOTOS, "uploads/2026-01-04/3.jpg".to_owned(), "br"),
        (RESULTS, part(&today(), "c"), "bpr"),
        (RESULTS, format!("rejects/model={MODEL}/date=2026-01-04/s.json"), "bpr"),
        (RESULTS, "removals/y.json".to_owned(), "bpr"),
        // Another model.
        (RESULTS, "embeddings/model=other/date=2026-01-02/a.parquet".to_owned(), ""),
        (RESULTS, "reduced/model=other/fit=f/date=2026-01-02/a.parquet".to_owned(), ""),
    ] {
        let world = up_to_date().await;
        world.put(bucket, &key).await;
        for (event, letter) in [(backfill(), 'b'), (pca(), 'p'), (rebuild(), 'r')] {
            assert_eq!(world.has_work(event).await, jobs.contains(letter), "{key} {letter}");
        }
    }
}

#[tokio::test]
async fn a_deleted_photo_is_work() {
    let world = up_to_date().await;
    world.store.delete(PHOTOS, &["photos/Kiwi/1.jpg".to_owned()]).await.unwrap();
    assert!(world.has_work(backfill()).await);
    assert!(!world.has_work(pca()).await);
}

#[tokio::test]
async fn folders_created_in_a_console_are_not_photos() {
    let world = up_to_date().await;
    world.store.put(PHOTOS, "photos/Kiwi/", "", Vec::<u8>::new()).await.unwrap();
    assert!(!world.has_work(backfill()).await);
}

#[tokio::test]
async fn several_parts_of_a_day_before_today_are_work() {
    let world = up_to_date().await;
    world.put_old(RESULTS, &part(&today(), "c")).await;
    world.put_old(RESULTS, &part(&today(), "d")).await;
    assert!(!world.has_work(backfill()).await, "today still receives parts");
    world.put_old(RESULTS, &part("2026-01-03", "c")).await;
    assert_eq!(world.scan(backfill()).await, ScanResult::Work("several parts of 2026-01-03".into()));
    assert!(!world.has_work(pca()).await);
}

#[tokio::test]
async fn objects_written_before_a_run_finished_are_not_new() {
    let world = up_to_date().await;
    world.put(RESULTS, &part("2026-01-04", "c")).await;
    assert!(world.has_work(backfill()).await);
    let now = (OffsetDateTime::now_utc() + HOUR / 60).format(&Rfc3339).unwrap();
    let record = json!({"version": 1, "run": "20261124T030000Z-backfill", "job": "backfill", "model": MODEL,
        "started_at": an_hour_ago(), "finished_at": now, "photos_listed": 2});
    world.put_json("runs/20261124T030000Z-backfill/run.json", &record).await;
    assert!(!world.has_work(backfill()).await);
}

#[tokio::test]
async fn the_newest_finished_run_of_this_model_counts() {
    let world = up_to_date().await;
    // Newer runs that are ignored: another job, another model, unfinished, invalid, or a later
    // format.
    world.put_run("20261124T040000Z-pca", "pca", 99).await;
    let other = json!({"version": 1, "run": "x", "job": "backfill", "model": "other", "started_at": an_hour_ago(), "finished_at": an_hour_ago(),
        "photos_listed": 99});
    world.put_json("runs/20261124T050000Z-backfill/run.json", &other).await;
    world.put_json("runs/20261124T060000Z-backfill/plan/1.json", &json!({})).await;
    world.put_json("runs/20261124T070000Z-backfill/run.json", &json!("?")).await;
    let mut later_format = other;
    later_format["version"] = 2.into();
    world.put_json("runs/20261124T080000Z-backfill/run.json", &later_format).await;
    assert!(!world.has_work(backfill()).await);
    world.put_run("20261124T090000Z-rebuild", "rebuild", 3).await;
    assert_eq!(
        world.scan(backfill()).await,
        ScanResult::Work("2 photos now, 3 listed by 20261124T090000Z-rebuild".into()),
        "a rebuild includes a backfill"
    );
}

#[tokio::test]
async fn for_a_new_model_all_photos_are_work() {
    let world = World::empty(&[(fruitvec_core::config::MODEL, "mobilenetv2-next")]).await;
    world.put_old(PHOTOS, "photos/Kiwi/1.jpg").await;
    world.put_run("20261123T030000Z-backfill", "backfill", 1).await;
    assert!(world.has_work(backfill()).await);
}

#[tokio::test]
async fn parameters_make_every_photo_and_part_work() {
    let world = up_to_date().await;
    for (job, parameter) in [("backfill", "retry_rejects"), ("pca", "project"), ("rebuild", "full")] {
        let event = json!({"job": job, "scheduled_time": "2026-11-24T10:30:00Z", parameter: true});
        assert!(world.has_work(event).await, "{job} {parameter}");
        let without = json!({"job": job, "scheduled_time": "2026-11-24T10:30:00Z", parameter: false});
        assert!(!world.has_work(without).await, "{job} {parameter}");
    }
}

#[tokio::test]
async fn past_the_page_limit_a_cluster_is_launched() {
    let world = World::empty(&[(MAX_LISTED_PAGES, "3")]).await;
    // Three pages are enough for runs, photos and parts, but not for rejects and removals.
    world.put_run("20261123T030000Z-backfill", "backfill", 0).await;
    assert_eq!(world.scan(backfill()).await, ScanResult::Unknown);
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    let world = World::empty(&[(MAX_LISTED_PAGES, "5")]).await;
    world.put_run("20261123T030000Z-backfill", "backfill", 0).await;
    assert!(!world.has_work(backfill()).await);
}

#[tokio::test]
async fn a_listing_of_several_pages_is_read_completely() {
    let world = up_to_date().await;
    for number in 0..1_100 {
        world.file(PHOTOS, &format!("photos/Fig/{number}.jpg"), 2 * HOUR);
    }
    world.put_run("20261124T030000Z-backfill", "backfill", 1_102).await;
    assert!(!world.has_work(backfill()).await);
    world.put(PHOTOS, "uploads/2026-01-04/3.jpg").await;
    assert_eq!(
        world.scan(backfill()).await,
        ScanResult::Work("a photo is new".into()),
        "the new photo is on the second page"
    );
}
