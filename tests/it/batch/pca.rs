//! The PCA stages of a run: which rows they fit and project, and which fits they keep.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use fruitvec::batch::commit::commit;
use fruitvec::batch::outcome::State;
use fruitvec::batch::pca::{FitOptions, Projection};
use fruitvec::contract::fit::FitRecord;
use fruitvec::contract::run::{Job, Stage};
use fruitvec::error::Error;
use fruitvec::moments::Moments;
use fruitvec::pca::Fit;
use fruitvec::s3::newest_fit;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{
    confirmed, current_photos, day, key, listed_photos, part, plan_stage, record, run, run_job,
    without_grace, worker,
};
use crate::support::world::{RESULTS, ToyEmbedder, World, photo};

async fn fit(world: &World, options: FitOptions) -> FitRecord {
    super::fit(world, options).await.unwrap().record
}

#[track_caller]
fn assert_same(a: &FitRecord, b: &FitRecord) {
    let near = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0))
    };
    assert_eq!((a.rows, a.rank), (b.rows, b.rank));
    assert!(near(&a.mean, &b.mean) && near(&a.explained_variance, &b.explained_variance));
    assert!(near(&a.explained_variance_ratio, &b.explained_variance_ratio));
}

/// Compares a fit with one of the current rows that uses no cached moments.
async fn assert_fits_current_rows(world: &World, record: &FitRecord) {
    let mut moments = Moments::empty(ToyEmbedder::DIMENSION);
    for row in world.current_rows().await.values() {
        moments.add_rows(&row.embedding).unwrap();
    }
    let fit = Fit::of(&moments, record.components).unwrap();
    assert_eq!(record.rows, fit.rows);
    for (found, expected) in record.explained_variance.iter().zip(&fit.explained_variance) {
        assert!((found - expected).abs() <= 1e-9 * expected.max(1.0), "{found} {expected}");
    }
}

/// Returns the number of rows that a fit has projected.
async fn projected_rows(world: &World, fit: &str) -> i64 {
    let objects = world.result_objects(&format!("reduced/model=toy/fit={fit}/")).await;
    let readers = objects.into_values().map(|bytes| ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap());
    readers.map(|reader| reader.metadata().file_metadata().num_rows()).sum()
}

/// Returns the ids of all stored fits.
async fn fit_ids(world: &World) -> BTreeSet<String> {
    let objects = [world.result_objects("pca/").await, world.result_objects("reduced/").await];
    let id = |key: String| Some(key.split_once("fit=")?.1.split_once('/')?.0.to_owned());
    objects.into_iter().flat_map(|objects| objects.into_keys()).filter_map(id).collect()
}

#[tokio::test]
async fn a_fit_covers_the_current_rows_and_has_all_its_files() {
    let mut world = World::start().await;
    part(&mut world, 0..50).await;
    part(&mut world, 100..107).await;
    world.delete(&key(3)).await;
    world.delete(&key(103)).await;
    world.ingest_pending().await;
    let record = fit(&world, FitOptions { components: 5, ..FitOptions::default() }).await;
    let files = world.result_objects(&format!("pca/model=toy/fit={}/", record.fit)).await;
    assert_eq!(files.len(), 5, "{:?}", files.keys());
    assert_eq!(projected_rows(&world, &record.fit).await, 55);
    assert_fits_current_rows(&world, &record).await;
}

#[tokio::test]
async fn a_run_over_the_same_rows_fits_nothing_unless_a_full_fit_is_requested() {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    let first = fit(&world, FitOptions::default()).await;
    let stages = run_job(&world, Job::Pca, &without_grace()).await.unwrap();
    assert_eq!(stages.keys().collect::<Vec<_>>(), [&Stage::Moments]);
    assert_eq!(record(&world, Job::Pca).await.stages["moments"].get("tasks"), 0);
    assert_eq!(newest_fit(&world.store, RESULTS, "toy").await.unwrap().unwrap().fit, first.fit);
    let second = fit(&world, FitOptions { full: true, ..FitOptions::default() }).await;
    assert!(second.fit > first.fit);
    assert_same(&first, &second);
}

/// Also after photos of a compacted day are overwritten and removed, and the day is compacted
/// again.
#[tokio::test]
async fn a_full_fit_equals_an_incremental_fit() {
    let mut world = World::start().await;
    for number in 0..3 {
        part(&mut world, number * 100..number * 100 + 40).await;
    }
    let compare_fits = async |world: &World| {
        let incremental = fit(world, FitOptions { components: 8, ..FitOptions::default() }).await;
        assert_fits_current_rows(world, &incremental).await;
        let full = fit(world, FitOptions { components: 8, full: true, ..FitOptions::default() }).await;
        assert!(full.fit > incremental.fit);
        assert_same(&incremental, &full);
        full.rows
    };
    assert_eq!(compare_fits(&world).await, 120);
    let compact = async |world: &World| run_job(world, Job::Compact, &without_grace()).await.unwrap();
    compact(&world).await;
    assert_eq!(compare_fits(&world).await, 120);
    assert_eq!(world.result_objects("moments/").await.len(), 3 + 1, "of the old parts and of the new one");

    for number in [5, 17, 120] {
        world.put(&key(number), photo(number + 1000)).await;
    }
    for number in [6, 230] {
        world.delete(&key(number)).await;
    }
    world.ingest_pending().await;
    assert_eq!(compare_fits(&world).await, 118, "dead rows are subtracted from cached moments");
    compact(&world).await;
    assert_eq!(compare_fits(&world).await, 118);
    compact(&world).await;
    assert_eq!(compare_fits(&world).await, 118);
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
    assert_eq!(world.result_objects("moments/").await.len(), 1, "only of parts that exist");
}

#[tokio::test]
async fn twelve_photos_have_eleven_components_and_no_nan() {
    let mut world = World::start().await;
    part(&mut world, 0..12).await;
    let record = fit(&world, FitOptions::default()).await;
    assert_eq!((record.rows, record.rank, record.components), (12, 11, 20));
    assert!(record.explained_variance[..11].iter().all(|&variance| variance > 0.0));
    assert!(record.explained_variance[11..].iter().all(|&variance| variance == 0.0));
    for (key, bytes) in world.result_objects("pca/").await {
        if !key.ends_with(".parquet") {
            assert!(!String::from_utf8(bytes.to_vec()).unwrap().contains("NaN"), "{key}");
        }
    }
    let csv = world.result_objects(&format!("pca/model=toy/fit={}/explained_variance.csv", record.fit)).await;
    let csv = String::from_utf8(csv.into_values().next().unwrap().to_vec()).unwrap();
    let percent: Vec<f64> =
        csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(percent.iter().filter(|it| format!("{it:.2}") == "0.00").count(), 9, "{csv}");
}

#[tokio::test]
async fn only_the_last_two_fits_are_kept() {
    let mut world = World::start().await;
    part(&mut world, 0..4).await;
    let mut ids = Vec::new();
    for number in 10..14 {
        part(&mut world, [number]).await;
        ids.push(fit(&world, FitOptions { components: 2, ..FitOptions::default() }).await.fit);
        let expected: BTreeSet<_> = ids.iter().rev().take(2).cloned().collect();
        assert_eq!(fit_ids(&world).await, expected);
    }
}

#[tokio::test]
async fn the_requested_rows_are_projected() {
    let mut world = World::start().await;
    part(&mut world, 0..4).await;
    let options = |projection| FitOptions { components: 2, projection, ..FitOptions::default() };
    let none = fit(&world, options(Projection::None)).await;
    assert_eq!(projected_rows(&world, &none.fit).await, 0);
    let files = world.result_objects(&format!("pca/model=toy/fit={}/", none.fit)).await;
    assert_eq!(files.len(), 4, "no scatter plot");
    let all = fit(&world, options(Projection::All)).await;
    assert!(all.fit > none.fit, "the same rows, but now projected");
    assert_eq!(projected_rows(&world, &all.fit).await, 4);
    part(&mut world, 10..13).await;
    let new = fit(&world, options(Projection::New)).await;
    assert_eq!((projected_rows(&world, &new.fit).await, new.rows), (3, 7));
    assert_eq!(projected_rows(&world, &all.fit).await, 4, "earlier projections stay");
}

#[tokio::test]
async fn a_table_without_rows_fails_a_fit_but_not_a_rebuild() {
    let world = World::start().await;
    let error = run_job(&world, Job::Pca, &confirmed()).await.unwrap_err();
    assert!(matches!(error, Error::NothingToDo(_)), "{error:?}");
    let stages = run_job(&world, Job::Rebuild, &confirmed()).await.unwrap();
    assert_eq!(stages.len(), 3);
    assert_eq!(record(&world, Job::Rebuild).await.photos_listed, 0);
}

#[tokio::test]
async fn a_fit_with_a_failed_task_is_not_published() {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    let run = run(&world.store, Job::Pca);
    let (tasks, _) = plan_stage(&run, Stage::Moments, &confirmed()).await.unwrap();
    let parts: Vec<_> = world.result_objects("embeddings/").await.into_keys().collect();
    world.store.delete(RESULTS, &parts).await.unwrap();
    let outcome = worker(&world.store).work(&tasks[0]).await.unwrap();
    let error = commit(&run, Stage::Moments, vec![outcome]).await.unwrap_err().to_string();
    assert!(error.contains("moments-000001") && error.contains("is gone"), "{error}");
    assert_eq!(world.result_objects("pca/").await.len(), 0);
}

/// Fails the n-th put of a projection.
#[derive(Debug)]
struct FailProjection {
    index: usize,
    puts: AtomicUsize,
}

impl Intercept for FailProjection {
    fn name(&self) -> &'static str {
        "FailProjection"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let is_projection = request.method() == "PUT" && request.uri().contains("/reduced/");
        let fails = is_projection && self.puts.fetch_add(1, Ordering::SeqCst) == self.index;
        if fails { Err("refused".into()) } else { Ok(()) }
    }
}

/// Projections are written behind. The test has more of them than may be in flight, so that it also
/// covers a put that fails after the task has continued.
#[tokio::test]
async fn a_task_is_done_only_when_all_its_projections_are_written() {
    const PARTS: u32 = 20;
    let mut world = World::start().await;
    for number in 0..PARTS {
        part(&mut world, [number]).await;
    }
    let run = run(&world.store, Job::Pca);
    let (tasks, _) = plan_stage(&run, Stage::Moments, &confirmed()).await.unwrap();
    let outcome = worker(&world.store).work(&tasks[0]).await.unwrap();
    commit(&run, Stage::Moments, vec![outcome]).await.unwrap();
    let (tasks, _) = plan_stage(&run, Stage::Project, &confirmed()).await.unwrap();
    assert_eq!(tasks.len(), 1);
    for index in [0, PARTS as usize - 1] {
        let store = world.intercepted(FailProjection { index, puts: AtomicUsize::new(0) });
        let outcome = worker(&store).work(&tasks[0]).await.unwrap();
        assert_eq!(outcome.state, State::Failed, "{index}");
        assert!(outcome.errors[0].contains("refused"), "{:?}", outcome.errors);
    }
    let outcome = worker(&world.store).work(&tasks[0]).await.unwrap();
    assert_eq!((outcome.state, outcome.counts.get("parts")), (State::Done, PARTS.into()));
    assert_eq!(world.result_objects("reduced/").await.len(), PARTS as usize);
}

#[tokio::test]
async fn a_rebuild_embeds_compacts_fits_and_projects() {
    let world = World::start().await;
    for number in 0..30 {
        world.put_dated(&key(number), photo(number), day()).await;
    }
    let stages = run_job(&world, Job::Rebuild, &confirmed()).await.unwrap();
    assert_eq!(stages.len(), 4);
    assert_eq!(current_photos(&world).await, listed_photos(&world).await);
    let record = record(&world, Job::Rebuild).await;
    assert_eq!((record.photos_listed, record.stages.len()), (30, 4));
    let fit = newest_fit(&world.store, RESULTS, "toy").await.unwrap().unwrap();
    assert_eq!(projected_rows(&world, &fit.fit).await, 30);
    assert_fits_current_rows(&world, &fit).await;
    // A second rebuild has nothing to do.
    let stages = run_job(&world, Job::Rebuild, &confirmed()).await.unwrap();
    assert!(stages.values().all(|stage| stage.counts.get("tasks") == 0), "{stages:?}");
}
