//! Batch runs over the embedded S3: plan, work and commit in this process.

mod backfill;
mod compact;
mod crash;
mod fits;
mod listing;
mod meanwhile;
mod memory;
mod program;
mod protocol;

use std::collections::BTreeMap;

use fruitvec::commit::{Committed, RunRecord};
use fruitvec::compact::Aims;
use fruitvec::drive::{Step, drive};
use fruitvec::embed::Embedder;
use fruitvec::error::Result;
use fruitvec::event::{Change, Delivery};
use fruitvec::fits::Asked;
use fruitvec::photo::Photo;
use fruitvec::pixels::Limits;
use fruitvec::plan::{Planned, Wishes, plan};
use fruitvec::refit::Refitted;
use fruitvec::run::{Job, Run, Stage};
use fruitvec::store::Store;
use fruitvec::task::Task;
use fruitvec::work::Worker;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::fixture::{PHOTOS, RESULTS, Toy, World, ingest, photo};

/// A run of a job, which may have the id of an earlier one.
pub(crate) fn run(store: &Store, job: Job) -> Run {
    Run {
        id: format!("20261124T030000Z-{job}").parse().unwrap(),
        job,
        store: store.clone(),
        photos_bucket: PHOTOS.into(),
        results_bucket: RESULTS.into(),
        card: Toy::new().card().clone(),
    }
}

/// A worker with the toy.
pub(crate) fn worker(store: &Store) -> Worker {
    let of_photos = store.clone();
    let load = move || Ok(ingest(&of_photos, Limits::default()));
    Worker::new(store.clone(), RESULTS, Toy::new().card().clone(), 2, Box::new(load))
}

/// A fit of the current rows.
pub(crate) async fn refit(world: &World, asked: Asked) -> Result<Refitted> {
    let (run, wishes) = (run(&world.store, Job::Pca), Wishes { asked, ..confirmed() });
    let refitted = Box::pin(drive(&run, &worker(&world.store), &wishes, &mut |_| ())).await?;
    Ok(refitted.unwrap())
}

/// Wishes of a person who agrees to everything.
pub(crate) fn confirmed() -> Wishes {
    Wishes { confirmed: true, ..Wishes::default() }
}

/// The tasks of a stage, and what is left for its commit.
pub(crate) async fn planned(run: &Run, stage: Stage, wishes: &Wishes) -> Result<(Vec<Task>, Planned)> {
    let mut tasks = Vec::new();
    let mut take = |task: Task| {
        tasks.push(Task::parse(&task.line()?)?);
        Ok(())
    };
    let planned = plan(run, stage, wishes, &mut take).await?;
    Ok((tasks, planned))
}

/// A whole run; returns what each stage came to.
pub(crate) async fn driven(world: &World, job: Job, wishes: &Wishes) -> Result<BTreeMap<Stage, Committed>> {
    driven_by(&world.store, job, wishes).await
}

pub(crate) async fn driven_by(
    store: &Store,
    job: Job,
    wishes: &Wishes,
) -> Result<BTreeMap<Stage, Committed>> {
    let mut stages = BTreeMap::new();
    let mut hear = |step: Step<'_>| {
        if let Step::Committed(committed) = step {
            stages.insert(committed.stage, committed.clone());
        }
    };
    Box::pin(drive(&run(store, job), &worker(store), wishes, &mut hear)).await?;
    Ok(stages)
}

/// A compaction that deletes at once what an earlier one replaced.
pub(crate) fn without_grace() -> Wishes {
    let aims = Aims { grace: Duration::ZERO, ..Aims::default() };
    Wishes { aims, ..confirmed() }
}

/// Ingests these photos of one past day as one batch, so one part; S3 dates them a second apart.
pub(crate) async fn part(world: &mut World, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        world.put_at(&key(number), photo(number), day() + Duration::seconds(number.into())).await;
    }
    world.ingest_told().await;
}

/// The key of a photo.
pub(crate) fn key(number: u32) -> String {
    format!("photos/Kiwi/{number}.png")
}

/// A day that is over.
pub(crate) fn day() -> OffsetDateTime {
    datetime!(2026-11-20 10:00 UTC)
}

/// Has a photo delivered again, alone: its row is stored twice then.
pub(crate) async fn redeliver(world: &World, number: u32) {
    let at = OffsetDateTime::now_utc();
    let delivery = Delivery { bucket: PHOTOS.into(), key: key(number), change: Change::Created, at };
    world.ingest.ingest(&[delivery]).await;
}

/// What S3 holds, by key.
pub(crate) async fn held(world: &World) -> BTreeMap<String, Photo> {
    let mut held = BTreeMap::new();
    let note = |object: fruitvec::store::Listed| {
        let fruitvec::store::Listed { key, etag, size_bytes, last_modified } = object;
        if key.ends_with('/') {
            return Ok(());
        }
        held.insert(key.clone(), Photo { bucket: PHOTOS.into(), key, etag, size_bytes, last_modified });
        Ok(())
    };
    world.store.list(PHOTOS, "", note).await.unwrap();
    held
}

/// The photos of the current rows, by key.
pub(crate) async fn current(world: &World) -> BTreeMap<String, Photo> {
    world.current().await.into_iter().map(|(key, row)| (key, row.photo)).collect()
}

/// The record of a run.
pub(crate) async fn record(world: &World, job: Job) -> RunRecord {
    run(&world.store, job).get("run.json").await.unwrap()
}
