//! Batch runs over the embedded S3, with plan, work and commit in the test process.

mod backfill;
mod compact;
mod concurrent_ingest;
mod crash;
mod listing;
mod memory;
mod pca;
mod protocol;

use std::collections::BTreeMap;

use fruitvec::batch::commit::Committed;
use fruitvec::batch::compact::CompactOptions;
use fruitvec::batch::pca::{FitOptions, FitResult};
use fruitvec::batch::plan::{PlanOptions, Planned, plan};
use fruitvec::batch::run::Run;
use fruitvec::batch::run_local::{RunEvent, run_local};
use fruitvec::batch::task::Task;
use fruitvec::batch::work::Worker;
use fruitvec::contract::event::{Change, Delivery};
use fruitvec::contract::limits::Limits;
use fruitvec::contract::photo::Photo;
use fruitvec::contract::run::{Job, RunRecord, Stage};
use fruitvec::embed::Embedder;
use fruitvec::error::{Error, Result};
use fruitvec::s3::{ObjectMeta, Store};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::support::world::{PHOTOS, RESULTS, ToyEmbedder, World, ingest, photo};

/// Returns a run of a job. All runs of a job have the same id.
pub(crate) fn run(store: &Store, job: Job) -> Run {
    Run {
        id: format!("20261124T030000Z-{job}").parse().unwrap(),
        job,
        store: store.clone(),
        photos_bucket: PHOTOS.into(),
        results_bucket: RESULTS.into(),
        card: ToyEmbedder::new().card().clone(),
    }
}

/// A worker with the [`ToyEmbedder`].
pub(crate) fn worker(store: &Store) -> Worker {
    let photos = store.clone();
    let create_ingest = move || Ok(ingest(&photos, Limits::default()));
    Worker::new(store.clone(), RESULTS, ToyEmbedder::new().card().clone(), 2, Box::new(create_ingest))
}

/// A worker for a run whose tasks embed no photos.
pub(crate) fn worker_without_photos(run: &Run) -> Worker {
    let create_ingest = || Err(Error::Internal("no task embeds a photo".into()));
    Worker::new(run.store.clone(), run.results_bucket.clone(), run.card.clone(), 2, Box::new(create_ingest))
}

/// Fits a PCA to the current rows.
pub(crate) async fn fit(world: &World, fit: FitOptions) -> Result<FitResult> {
    let (run, options) = (run(&world.store, Job::Pca), PlanOptions { fit, ..confirmed() });
    let result = Box::pin(run_local(&run, &worker(&world.store), &options, &mut |_| ())).await?;
    Ok(result.unwrap())
}

/// Options with `--yes`.
pub(crate) fn confirmed() -> PlanOptions {
    PlanOptions { confirmed: true, ..PlanOptions::default() }
}

/// Plans a stage. Returns its tasks and its plan.
pub(crate) async fn plan_stage(
    run: &Run,
    stage: Stage,
    options: &PlanOptions,
) -> Result<(Vec<Task>, Planned)> {
    let mut tasks = Vec::new();
    // Each task goes through its line, as on a cluster.
    let mut add = |task: Task| {
        tasks.push(Task::parse(&task.line()?)?);
        Ok(())
    };
    let planned = plan(run, stage, options, &mut add).await?;
    Ok((tasks, planned))
}

/// Runs all stages of a job. Returns the result of each.
pub(crate) async fn run_job(
    world: &World,
    job: Job,
    options: &PlanOptions,
) -> Result<BTreeMap<Stage, Committed>> {
    run_job_on(&world.store, job, options).await
}

/// Runs all stages of a job on a store that may fail.
pub(crate) async fn run_job_on(
    store: &Store,
    job: Job,
    options: &PlanOptions,
) -> Result<BTreeMap<Stage, Committed>> {
    let mut stages = BTreeMap::new();
    let mut on_event = |progress: RunEvent<'_>| {
        if let RunEvent::Committed(committed) = progress {
            stages.insert(committed.stage, committed.clone());
        }
    };
    Box::pin(run_local(&run(store, job), &worker(store), options, &mut on_event)).await?;
    Ok(stages)
}

/// Options that delete superseded parts without a grace period.
pub(crate) fn without_grace() -> PlanOptions {
    let compact = CompactOptions { grace: Duration::ZERO, ..CompactOptions::default() };
    PlanOptions { compact, ..confirmed() }
}

/// Ingests photos of one past day as one batch, which becomes one part. They are a second apart.
pub(crate) async fn part(world: &mut World, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        world.put_dated(&key(number), photo(number), day() + Duration::seconds(number.into())).await;
    }
    world.ingest_pending().await;
}

/// Returns the key of a photo.
pub(crate) fn key(number: u32) -> String {
    format!("photos/Kiwi/{number}.png")
}

/// A day in the past, which compaction may rewrite.
pub(crate) fn day() -> OffsetDateTime {
    datetime!(2026-11-20 10:00 UTC)
}

/// Redelivers a photo alone, which stores its row a second time in another part.
pub(crate) async fn redeliver(world: &World, number: u32) {
    let at = OffsetDateTime::now_utc();
    let delivery =
        Delivery { bucket: PHOTOS.into(), key: key(number), change: Change::Created, at, attempts: 1 };
    world.ingest.ingest(&[delivery]).await;
}

/// Returns the photos in the photos bucket by key.
pub(crate) async fn listed_photos(world: &World) -> BTreeMap<String, Photo> {
    let mut photos = BTreeMap::new();
    let add = |object: ObjectMeta| {
        let ObjectMeta { key, etag, size_bytes, last_modified } = object;
        if !key.ends_with('/') {
            photos.insert(key.clone(), Photo { bucket: PHOTOS.into(), key, etag, size_bytes, last_modified });
        }
        Ok(())
    };
    world.store.list(PHOTOS, "", add).await.unwrap();
    photos
}

/// Returns the photos of the current rows by key.
pub(crate) async fn current_photos(world: &World) -> BTreeMap<String, Photo> {
    world.current_rows().await.into_iter().map(|(key, row)| (key, row.photo)).collect()
}

/// Reads the record of a run.
pub(crate) async fn record(world: &World, job: Job) -> RunRecord {
    run(&world.store, job).get("run.json").await.unwrap()
}
