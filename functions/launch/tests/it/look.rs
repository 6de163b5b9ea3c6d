//! No cluster when there is nothing to do.

use std::time::Duration;

use fruitvec_launch::{LOOK_PAGES, Launch, Look, Work};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::fixture::{PHOTOS, RESULTS, World, backfill, part, pca};

const MODEL: &str = fruitvec::model::DEFAULT_MODEL;
const HOUR: Duration = Duration::from_secs(3600);

impl World {
    async fn look(&self, event: Value) -> Work {
        let launch = Launch::parse(event.as_object().unwrap()).unwrap();
        Look::new(&self.store, &self.config).at(&launch).await.unwrap()
    }

    async fn has_work(&self, event: Value) -> bool {
        match self.look(event).await {
            Work::Something(_) => true,
            Work::Nothing(_) => false,
            Work::Unknown => panic!("it can't tell"),
        }
    }

    /// An object that is older than any run here.
    async fn old(&self, bucket: &str, key: &str) {
        self.put(bucket, key).await;
        self.age(bucket, key, 2 * HOUR);
    }

    /// The record of a run that began an hour ago.
    async fn run(&self, run: &str, job: &str, photos: u64) {
        let record = json!({"version": 1, "run": run, "job": job, "model": MODEL, "started_at": an_hour_ago(),
            "finished_at": an_hour_ago(), "photos_listed": photos, "seconds": 12.5});
        self.put_json(&format!("runs/{run}/run.json"), &record).await;
    }

    /// The newest fit, that began an hour ago.
    async fn fit(&self) {
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

/// A table in which a run has just done everything.
async fn settled() -> World {
    let world = World::empty(&[]).await;
    for key in ["photos/Kiwi/1.jpg", "uploads/2026-01-02/2.jpg"] {
        world.old(PHOTOS, key).await;
    }
    world.old(RESULTS, &part("2026-01-02", "a")).await;
    world.old(RESULTS, &part("2026-01-03", "b")).await;
    world.old(RESULTS, &format!("rejects/model={MODEL}/date=2026-01-02/r.json")).await;
    world.old(RESULTS, "removals/x.json").await;
    world.run("20261123T030000Z-backfill", "backfill", 2).await;
    world.fit().await;
    world
}

#[tokio::test]
async fn in_empty_buckets_there_is_nothing_to_do() {
    let world = World::empty(&[]).await;
    for event in [backfill(), pca(), rebuild()] {
        assert!(!world.has_work(event.clone()).await);
        assert_eq!(world.outcome("a", event).await, "nothing_to_do");
    }
    assert_eq!(world.emr.starts(), 0);
}

#[tokio::test]
async fn before_the_first_run_any_photo_or_part_is_something_to_do() {
    let world = World::empty(&[]).await;
    world.old(PHOTOS, "photos/Kiwi/1.jpg").await;
    assert!(world.has_work(backfill()).await && world.has_work(rebuild()).await);
    assert!(!world.has_work(pca()).await, "a PCA needs parts");
    let world = World::empty(&[]).await;
    world.old(RESULTS, &part("2026-01-02", "a")).await;
    assert!(
        world.has_work(backfill()).await && world.has_work(pca()).await && world.has_work(rebuild()).await
    );
}

#[tokio::test]
async fn when_nothing_has_changed_there_is_nothing_to_do() {
    let world = settled().await;
    for event in [backfill(), pca(), rebuild()] {
        assert!(!world.has_work(event).await);
    }
}

#[tokio::test]
async fn whatever_is_new_is_something_to_do() {
    for (bucket, key, jobs) in [
        (PHOTOS, "uploads/2026-01-04/3.jpg".to_owned(), "br"),
        (RESULTS, part(&today(), "c"), "bpr"),
        (RESULTS, format!("rejects/model={MODEL}/date=2026-01-04/s.json"), "bpr"),
        (RESULTS, "removals/y.json".to_owned(), "bpr"),
        // Of another model.
        (RESULTS, "embeddings/model=other/date=2026-01-02/a.parquet".to_owned(), ""),
        (RESULTS, "reduced/model=other/fit=f/date=2026-01-02/a.parquet".to_owned(), ""),
    ] {
        let world = settled().await;
        world.put(bucket, &key).await;
        for (event, letter) in [(backfill(), 'b'), (pca(), 'p'), (rebuild(), 'r')] {
            assert_eq!(world.has_work(event).await, jobs.contains(letter), "{key} {letter}");
        }
    }
}

#[tokio::test]
async fn a_photo_that_is_gone_is_something_to_do() {
    let world = settled().await;
    world.store.delete(PHOTOS, &["photos/Kiwi/1.jpg".to_owned()]).await.unwrap();
    assert!(world.has_work(backfill()).await);
    assert!(!world.has_work(pca()).await);
}

#[tokio::test]
async fn folders_that_a_console_made_are_no_photos() {
    let world = settled().await;
    world.store.put(PHOTOS, "photos/Kiwi/", "", Vec::<u8>::new()).await.unwrap();
    assert!(!world.has_work(backfill()).await);
}

#[tokio::test]
async fn several_parts_of_a_day_before_today_are_to_be_compacted() {
    let world = settled().await;
    world.old(RESULTS, &part(&today(), "c")).await;
    world.old(RESULTS, &part(&today(), "d")).await;
    assert!(!world.has_work(backfill()).await, "today fills up still");
    world.old(RESULTS, &part("2026-01-03", "c")).await;
    assert_eq!(world.look(backfill()).await, Work::Something("several parts of 2026-01-03".into()));
    assert!(!world.has_work(pca()).await);
}

#[tokio::test]
async fn what_a_run_has_made_itself_is_not_new_once_it_says_when_it_ended() {
    let world = settled().await;
    world.put(RESULTS, &part("2026-01-04", "c")).await;
    assert!(world.has_work(backfill()).await);
    let now = (OffsetDateTime::now_utc() + HOUR / 60).format(&Rfc3339).unwrap();
    let record = json!({"version": 1, "run": "20261124T030000Z-backfill", "job": "backfill", "model": MODEL,
        "started_at": an_hour_ago(), "finished_at": now, "photos_listed": 2});
    world.put_json("runs/20261124T030000Z-backfill/run.json", &record).await;
    assert!(!world.has_work(backfill()).await);
}

#[tokio::test]
async fn the_newest_run_counts_that_came_to_its_end_with_this_model() {
    let world = settled().await;
    // Newer, but of another job, of another model, unfinished, unreadable, or of a format of tomorrow.
    world.run("20261124T040000Z-pca", "pca", 99).await;
    let other = json!({"version": 1, "run": "x", "job": "backfill", "model": "other", "started_at": an_hour_ago(), "finished_at": an_hour_ago(),
        "photos_listed": 99});
    world.put_json("runs/20261124T050000Z-backfill/run.json", &other).await;
    world.put_json("runs/20261124T060000Z-backfill/plan/1.json", &json!({})).await;
    world.put_json("runs/20261124T070000Z-backfill/run.json", &json!("?")).await;
    let mut tomorrow = other;
    tomorrow["version"] = 2.into();
    world.put_json("runs/20261124T080000Z-backfill/run.json", &tomorrow).await;
    assert!(!world.has_work(backfill()).await);
    world.run("20261124T090000Z-rebuild", "rebuild", 3).await;
    assert_eq!(
        world.look(backfill()).await,
        Work::Something("2 photos, 3 in 20261124T090000Z-rebuild".into()),
        "a rebuild is a backfill too"
    );
}

#[tokio::test]
async fn a_new_model_has_everything_to_do() {
    let world = World::empty(&[(fruitvec::config::MODEL, "mobilenetv2-next")]).await;
    world.old(PHOTOS, "photos/Kiwi/1.jpg").await;
    world.run("20261123T030000Z-backfill", "backfill", 1).await;
    assert!(world.has_work(backfill()).await);
}

#[tokio::test]
async fn who_gives_parameters_has_a_reason() {
    let world = settled().await;
    for (job, parameter) in [("backfill", "retry_rejects"), ("pca", "project"), ("rebuild", "full")] {
        let event = json!({"job": job, "scheduled_time": "2026-11-24T10:30:00Z", parameter: true});
        assert!(world.has_work(event).await, "{job} {parameter}");
        let without = json!({"job": job, "scheduled_time": "2026-11-24T10:30:00Z", parameter: false});
        assert!(!world.has_work(without).await, "{job} {parameter}");
    }
}

#[tokio::test]
async fn where_it_would_have_to_look_too_far_it_launches() {
    let world = World::empty(&[(LOOK_PAGES, "3")]).await;
    // Runs, photos, parts: and none left for rejects and removals.
    world.run("20261123T030000Z-backfill", "backfill", 0).await;
    assert_eq!(world.look(backfill()).await, Work::Unknown);
    assert_eq!(world.outcome("a", backfill()).await, "launched");
    let world = World::empty(&[(LOOK_PAGES, "5")]).await;
    world.run("20261123T030000Z-backfill", "backfill", 0).await;
    assert!(!world.has_work(backfill()).await);
}

#[tokio::test]
async fn a_listing_of_several_pages_is_read_to_its_end() {
    let world = settled().await;
    for number in 0..1_100 {
        world.file(PHOTOS, &format!("photos/Fig/{number}.jpg"), 2 * HOUR);
    }
    world.run("20261124T030000Z-backfill", "backfill", 1_102).await;
    assert!(!world.has_work(backfill()).await);
    world.put(PHOTOS, "uploads/2026-01-04/3.jpg").await;
    assert_eq!(
        world.look(backfill()).await,
        Work::Something("a photo is new".into()),
        "it is on the second page"
    );
}
