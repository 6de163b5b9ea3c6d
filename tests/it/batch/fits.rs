//! The PCA as tasks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use fruitvec::commit::commit;
use fruitvec::error::Error;
use fruitvec::fits::{Asked, Projection};
use fruitvec::moments::Moments;
use fruitvec::outcome::State;
use fruitvec::pca::Fit;
use fruitvec::plan::Wishes;
use fruitvec::refit::{FitRecord, newest};
use fruitvec::run::{Job, Stage};

use super::{confirmed, current, driven, held, key, part, planned, record, run, without_grace, worker};
use crate::fixture::{RESULTS, Toy, World, photo};

fn asking(asked: Asked) -> Wishes {
    Wishes { asked, ..without_grace() }
}

async fn fit(world: &World, asked: Asked) -> FitRecord {
    super::refit(world, asked).await.unwrap().record
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

/// The fit of the current rows, from nothing.
async fn assert_right(world: &World, record: &FitRecord) {
    let mut moments = Moments::empty(Toy::DIMENSION);
    for row in world.current().await.values() {
        moments.add_rows(&row.embedding).unwrap();
    }
    let fit = Fit::of(&moments, record.components).unwrap();
    assert_eq!(record.rows, fit.rows);
    for (found, expected) in record.explained_variance.iter().zip(&fit.explained_variance) {
        assert!((found - expected).abs() <= 1e-9 * expected.max(1.0), "{found} {expected}");
    }
}

/// The parts that a fit has projected, and their rows.
async fn projected(world: &World, fit: &str) -> (BTreeSet<String>, i64) {
    let (mut parts, mut rows) = (BTreeSet::new(), 0);
    for (key, bytes) in world.results(&format!("reduced/model=toy/fit={fit}/")).await {
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        rows += reader.metadata().file_metadata().num_rows();
        parts.insert(key.split_once("/date=").unwrap().1.to_owned());
    }
    (parts, rows)
}

async fn fits(world: &World) -> BTreeSet<String> {
    let keys = [world.results("pca/").await, world.results("reduced/").await].map(|found| found.into_keys());
    let id = |key: String| Some(key.split_once("fit=")?.1.split_once('/')?.0.to_owned());
    keys.into_iter().flatten().filter_map(id).collect()
}

#[tokio::test]
async fn a_fit_is_that_of_the_current_rows_and_has_all_its_files() {
    let mut world = World::start().await;
    part(&mut world, 0..50).await;
    part(&mut world, 100..107).await;
    world.delete(&key(3)).await;
    world.delete(&key(103)).await;
    world.ingest_told().await;
    let record = fit(&world, Asked { components: 5, ..Asked::default() }).await;
    let files = world.results(&format!("pca/model=toy/fit={}/", record.fit)).await;
    assert_eq!(files.len(), 5, "{:?}", files.keys());
    assert_eq!(projected(&world, &record.fit).await.1, 55);
    assert_right(&world, &record).await;
}

#[tokio::test]
async fn a_run_over_the_same_rows_fits_nothing_unless_it_is_asked_to() {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    let first = fit(&world, Asked::default()).await;
    let stages = driven(&world, Job::Pca, &asking(Asked::default())).await.unwrap();
    assert_eq!(stages.keys().collect::<Vec<_>>(), [&Stage::Moments]);
    assert_eq!(record(&world, Job::Pca).await.stages["moments"].get("tasks"), 0);
    assert_eq!(newest(&world.store, RESULTS, "toy").await.unwrap().unwrap().fit, first.fit);
    let second = fit(&world, Asked { full: true, ..Asked::default() }).await;
    assert!(second.fit > first.fit);
    assert_same(&first, &second);
}

/// Also after photos of a compacted day were overwritten and removed, and the day was compacted again.
#[tokio::test]
async fn a_full_fit_is_the_incremental_one() {
    let mut world = World::start().await;
    for number in 0..3 {
        part(&mut world, number * 100..number * 100 + 40).await;
    }
    let both = async |world: &World| {
        let incremental = fit(world, Asked { components: 8, ..Asked::default() }).await;
        assert_right(world, &incremental).await;
        let full = fit(world, Asked { components: 8, full: true, ..Asked::default() }).await;
        assert!(full.fit > incremental.fit);
        assert_same(&incremental, &full);
        full.rows
    };
    assert_eq!(both(&world).await, 120);
    let compact = async |world: &World| driven(world, Job::Compact, &without_grace()).await.unwrap();
    compact(&world).await;
    assert_eq!(both(&world).await, 120);
    assert_eq!(world.results("moments/").await.len(), 3 + 1, "of the old parts and of the new one");

    for number in [5, 17, 120] {
        world.put(&key(number), photo(number + 1000)).await;
    }
    for number in [6, 230] {
        world.delete(&key(number)).await;
    }
    world.ingest_told().await;
    assert_eq!(both(&world).await, 118, "rows are subtracted from what is kept");
    compact(&world).await;
    assert_eq!(both(&world).await, 118);
    compact(&world).await;
    assert_eq!(both(&world).await, 118);
    assert_eq!(current(&world).await, held(&world).await);
    assert_eq!(world.results("moments/").await.len(), 1, "only those of parts that are there");
}

#[tokio::test]
async fn twelve_photos_have_eleven_components_and_no_nan() {
    let mut world = World::start().await;
    part(&mut world, 0..12).await;
    let record = fit(&world, Asked::default()).await;
    assert_eq!((record.rows, record.rank, record.components), (12, 11, 20));
    assert!(record.explained_variance[..11].iter().all(|&variance| variance > 0.0));
    assert!(record.explained_variance[11..].iter().all(|&variance| variance == 0.0));
    for (key, bytes) in world.results("pca/").await {
        if !key.ends_with(".parquet") {
            assert!(!String::from_utf8(bytes.to_vec()).unwrap().contains("NaN"), "{key}");
        }
    }
    let csv = world.results(&format!("pca/model=toy/fit={}/explained_variance.csv", record.fit)).await;
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
        ids.push(fit(&world, Asked { components: 2, ..Asked::default() }).await.fit);
        let kept: BTreeSet<_> = ids.iter().rev().take(2).cloned().collect();
        assert_eq!(fits(&world).await, kept);
    }
}

#[tokio::test]
async fn what_is_projected_is_what_was_asked_for() {
    let mut world = World::start().await;
    part(&mut world, 0..4).await;
    let asked = |projection| Asked { components: 2, projection, ..Asked::default() };
    let none = fit(&world, asked(Projection::None)).await;
    assert_eq!(projected(&world, &none.fit).await.1, 0);
    assert_eq!(world.results(&format!("pca/model=toy/fit={}/", none.fit)).await.len(), 4, "no scatter plot");
    let all = fit(&world, asked(Projection::All)).await;
    assert!(all.fit > none.fit, "the same rows, but now projected");
    assert_eq!(projected(&world, &all.fit).await.1, 4);
    part(&mut world, 10..13).await;
    let new = fit(&world, asked(Projection::New)).await;
    assert_eq!((projected(&world, &new.fit).await.1, new.rows), (3, 7));
    assert_eq!(projected(&world, &all.fit).await.1, 4, "they stay");
}

#[tokio::test]
async fn nothing_to_fit_is_an_error_of_a_fit_and_none_of_a_rebuild() {
    let world = World::start().await;
    let error = driven(&world, Job::Pca, &confirmed()).await.unwrap_err();
    assert!(matches!(error, Error::Nothing(_)), "{error:?}");
    let stages = driven(&world, Job::Rebuild, &confirmed()).await.unwrap();
    assert_eq!(stages.len(), 3);
    assert_eq!(record(&world, Job::Rebuild).await.photos_listed, 0);
}

#[tokio::test]
async fn a_fit_of_which_a_task_failed_is_not_published() {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    let run = run(&world.store, Job::Pca);
    let (tasks, _) = planned(&run, Stage::Moments, &confirmed()).await.unwrap();
    let parts: Vec<_> = world.results("embeddings/").await.into_keys().collect();
    world.store.delete(RESULTS, &parts).await.unwrap();
    let outcome = worker(&world.store).work(&tasks[0]).await.unwrap();
    let error = commit(&run, Stage::Moments, vec![outcome]).await.unwrap_err().to_string();
    assert!(error.contains("moments-000001") && error.contains("is gone"), "{error}");
    assert_eq!(world.results("pca/").await.len(), 0);
}

/// Refuses one of the projections that are put.
#[derive(Debug)]
struct Refusing {
    projection: usize,
    put: AtomicUsize,
}

impl Intercept for Refusing {
    fn name(&self) -> &'static str {
        "Refusing"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let projection = request.method() == "PUT" && request.uri().contains("/reduced/");
        let refused = projection && self.put.fetch_add(1, Ordering::SeqCst) == self.projection;
        if refused { Err("refused".into()) } else { Ok(()) }
    }
}

/// They are put while the task goes on, more than may be on their way at once.
#[tokio::test]
async fn a_task_is_done_when_all_that_it_projects_is_there() {
    const PARTS: u32 = 20;
    let mut world = World::start().await;
    for number in 0..PARTS {
        part(&mut world, [number]).await;
    }
    let run = run(&world.store, Job::Pca);
    let (tasks, _) = planned(&run, Stage::Moments, &confirmed()).await.unwrap();
    let outcome = worker(&world.store).work(&tasks[0]).await.unwrap();
    commit(&run, Stage::Moments, vec![outcome]).await.unwrap();
    let (tasks, _) = planned(&run, Stage::Project, &confirmed()).await.unwrap();
    assert_eq!(tasks.len(), 1);
    for projection in [0, PARTS as usize - 1] {
        let store = world.intercepted(Refusing { projection, put: AtomicUsize::new(0) });
        let outcome = worker(&store).work(&tasks[0]).await.unwrap();
        assert_eq!(outcome.state, State::Failed, "{projection}");
        assert!(outcome.errors[0].contains("refused"), "{:?}", outcome.errors);
    }
    let outcome = worker(&world.store).work(&tasks[0]).await.unwrap();
    assert_eq!((outcome.state, outcome.counts.get("parts")), (State::Done, PARTS.into()));
    assert_eq!(world.results("reduced/").await.len(), PARTS as usize);
}

/// From photos to fit, as a person starts it.
#[tokio::test]
async fn a_rebuild_does_everything() {
    let world = World::start().await;
    for number in 0..30 {
        world.put_at(&key(number), photo(number), super::day()).await;
    }
    let stages = driven(&world, Job::Rebuild, &confirmed()).await.unwrap();
    assert_eq!(stages.len(), 4);
    assert_eq!(current(&world).await, held(&world).await);
    let record_ = record(&world, Job::Rebuild).await;
    assert_eq!((record_.photos_listed, record_.stages.len()), (30, 4));
    let fit = newest(&world.store, RESULTS, "toy").await.unwrap().unwrap();
    assert_eq!(projected(&world, &fit.fit).await.1, 30);
    assert_right(&world, &fit).await;
    // Nothing is left to do.
    let stages = driven(&world, Job::Rebuild, &confirmed()).await.unwrap();
    assert!(stages.values().all(|stage| stage.counts.get("tasks") == 0), "{stages:?}");
}
