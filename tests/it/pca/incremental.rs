//! Consecutive runs of the PCA: cached moments, unchanged inputs and the pointer to the newest fit.

use std::collections::BTreeMap;

use bytes::Bytes;
use fruitvec::batch::pca::{FitOptions, FitResult};
use fruitvec::batch::plan::PlanOptions;
use fruitvec::contract::fit::{FitRecord, Latest};
use fruitvec::contract::run::Job;
use fruitvec::error::Error;
use fruitvec::moments::Moments;
use fruitvec::pca::Fit;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use time::macros::datetime;

use crate::batch::{fit, run_job};
use crate::support::world::{RESULTS, ToyEmbedder, World, photo};

const LATEST: &str = "pca/model=toy/latest.json";

async fn fit_components(world: &World, components: usize) -> Result<FitResult, Error> {
    fit(world, FitOptions { components, ..FitOptions::default() }).await
}

/// Returns all results except the files of runs.
async fn written(world: &World) -> BTreeMap<String, Bytes> {
    let mut results = world.result_objects("").await;
    results.retain(|key, _| !key.starts_with("runs/"));
    results
}

/// Ingests photos as one batch, which becomes one part.
async fn part(world: &mut World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let at = datetime!(2026-11-23 10:00 UTC);
        world.put_dated(&format!("photos/Kiwi/{number}.png"), photo(number), at).await;
    }
    world.ingest_pending().await;
}

/// Fits the current rows without any cached moments.
async fn fit_from_scratch(world: &World, components: usize) -> Fit {
    let mut moments = Moments::empty(ToyEmbedder::DIMENSION);
    for row in world.current_rows().await.values() {
        moments.add_rows(&row.embedding).unwrap();
    }
    Fit::of(&moments, components).unwrap()
}

#[track_caller]
fn assert_same(record: &FitRecord, fit: &Fit) {
    assert_eq!((record.rows, record.rank), (fit.rows, fit.rank.min(record.components)));
    let near = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0))
    };
    assert!(near(&record.mean, &fit.mean));
    assert!(near(&record.explained_variance, &fit.explained_variance));
    assert!(near(&record.explained_variance_ratio, &fit.explained_variance_ratio));
    assert!(near(&[record.total_variance], &[fit.total_variance]));
}

async fn latest(world: &World) -> Latest {
    serde_json::from_slice(&world.store.get(RESULTS, LATEST).await.unwrap()).unwrap()
}

#[tokio::test]
async fn without_rows_the_error_names_the_missing_embeddings() {
    let mut world = World::start().await;
    for _ in 0..2 {
        let error = fit_components(&world, 20).await.unwrap_err();
        assert!(matches!(error, Error::NothingToDo(_)), "{error:?}");
        assert!(error.to_string().contains("no embeddings"), "{error}");
        assert_eq!(world.result_objects("pca/").await.len(), 0);
        // In the second round the table has parts, but all their rows are dead.
        part(&mut world, 0..3).await;
        for number in 0..3 {
            world.delete(&format!("photos/Kiwi/{number}.png")).await;
        }
        world.ingest_pending().await;
    }
}

#[tokio::test]
async fn a_fit_has_all_its_files() {
    let mut world = World::start().await;
    part(&mut world, 0..25).await;
    let FitResult { record, already, files } = fit_components(&world, 5).await.unwrap();
    assert!(!already);
    let found = world.result_objects("pca/").await;
    assert_eq!(found.len(), files.len() + 1, "and latest.json: {:?}", found.keys());
    let file = |name: &str| &found[&format!("pca/model=toy/fit={}/{name}", record.fit)];
    let read = serde_json::from_slice::<FitRecord>(file("fit.json")).unwrap();
    assert_eq!((&read.fit, &read.inputs, read.rows), (&record.fit, &record.inputs, 25));
    assert_same(&read, &fit_from_scratch(&world, 5).await);
    let csv = String::from_utf8(file("explained_variance.csv").to_vec()).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5, "{csv}");
    assert!(csv.lines().skip(1).zip(1..).all(|(line, n)| line.starts_with(&format!("{n},"))), "{csv}");
    for picture in ["scree.svg", "scatter.svg"] {
        assert!(file(picture).starts_with(b"<svg"), "{picture}");
    }
    assert!(file("components.parquet").starts_with(b"PAR1"));
    assert_eq!(record.first_date.as_deref(), Some("2026-11-23"));
    assert_eq!(record.last_date, record.first_date);

    let reduced = world.result_objects(&format!("reduced/model=toy/fit={}/", record.fit)).await;
    let name = |key: &String| key.split_once("/date=").unwrap().1.to_owned();
    let parts = world.result_objects("embeddings/").await;
    assert_eq!(reduced.keys().map(name).collect::<Vec<_>>(), parts.keys().map(name).collect::<Vec<_>>());
    assert_eq!(latest(&world).await, Latest { fit: record.fit, inputs: record.inputs });
}

#[tokio::test]
async fn a_second_run_over_the_same_rows_writes_nothing() {
    let mut world = World::start().await;
    part(&mut world, 0..25).await;
    let first = fit_components(&world, 5).await.unwrap();
    let before = written(&world).await;
    let second = fit_components(&world, 5).await.unwrap();
    assert!(second.already);
    assert_eq!((second.record.fit, second.files), (first.record.fit, first.files));
    assert_eq!(written(&world).await, before);
    assert!(!fit_components(&world, 6).await.unwrap().already, "another number of components, another fit");
}

#[tokio::test]
async fn the_pointer_moves_to_the_newest_fit_and_never_back() {
    let mut world = World::start().await;
    part(&mut world, 0..10).await;
    let first = fit_components(&world, 3).await.unwrap().record;
    part(&mut world, 10..20).await;
    let second = fit_components(&world, 3).await.unwrap().record;
    assert!(second.fit > first.fit);
    assert_eq!(latest(&world).await.fit, second.fit);

    // As if a run that started later had already finished.
    let later = Latest { fit: "29991231T235959999Z-00000000".into(), inputs: String::new() };
    let body = serde_json::to_vec(&later).unwrap();
    world.store.put(RESULTS, LATEST, "application/json", body).await.unwrap();
    part(&mut world, 20..30).await;
    let fit = FitOptions { components: 3, ..FitOptions::default() };
    run_job(&world, Job::Pca, &PlanOptions { fit, ..PlanOptions::default() }).await.unwrap();
    assert_eq!(latest(&world).await, later);
    let fits = world.result_objects("pca/model=toy/").await;
    let third: Vec<_> =
        fits.keys().filter(|key| key.contains("/fit=") && !key.contains(&second.fit)).collect();
    assert_eq!(third.len(), 5, "{third:?}");
}

#[tokio::test]
async fn the_moments_of_large_parts_are_cached_and_reused() {
    let dimension = u32::try_from(ToyEmbedder::DIMENSION).unwrap();
    let mut world = World::start().await;
    part(&mut world, 0..dimension).await;
    part(&mut world, 100..103).await;
    fit_components(&world, 5).await.unwrap();
    let cached = world.result_objects("moments/").await;
    let large = world.snapshot().await.parts.into_iter().find(|part| part.rows == dimension).unwrap();
    let key = large.part.moments_key();
    assert_eq!(cached.keys().collect::<Vec<_>>(), [&key], "of the large part only");
    let moments =
        Moments::from_bytes("cached", ToyEmbedder::DIMENSION, cached.values().next().unwrap()).unwrap();
    assert_eq!(moments.count(), u64::from(dimension));

    part(&mut world, 200..203).await;
    let record = fit_components(&world, 5).await.unwrap().record;
    assert_same(&record, &fit_from_scratch(&world, 5).await);
    assert_eq!(world.result_objects("moments/").await, cached);

    // The next run uses them instead of the part, so moments of other rows distort the fit.
    let mut other = Moments::empty(ToyEmbedder::DIMENSION);
    other.add_rows(&vec![1.0; ToyEmbedder::DIMENSION * ToyEmbedder::DIMENSION]).unwrap();
    let put = async |bytes| world.store.put(RESULTS, &key, "application/octet-stream", bytes).await.unwrap();
    put(Bytes::from(other.to_bytes())).await;
    let record = fit_components(&world, 6).await.unwrap().record;
    assert!(record.mean[0] < fit_from_scratch(&world, 6).await.mean[0] / 2.0);

    // They are only a cache: a damaged object is computed again.
    put(Bytes::from_static(b"broken")).await;
    let record = fit_components(&world, 7).await.unwrap().record;
    assert_same(&record, &fit_from_scratch(&world, 7).await);
    assert_eq!(world.result_objects("moments/").await, cached);

    // So is a missing object.
    world.store.delete(RESULTS, std::slice::from_ref(&key)).await.unwrap();
    let record = fit_components(&world, 8).await.unwrap().record;
    assert_same(&record, &fit_from_scratch(&world, 8).await);
    assert_eq!(world.result_objects("moments/").await, cached);
}

#[tokio::test]
async fn dead_rows_are_removed_from_the_fit() {
    let mut world = World::start().await;
    part(&mut world, 0..80).await;
    let all = fit_components(&world, 5).await.unwrap().record;
    assert_eq!(all.rows, 80);
    // A few dead rows are subtracted from the cached moments. With many dead rows, the moments of
    // the current ones are computed again.
    for (from, to) in [(0_u32, 7), (7, 60)] {
        for number in from..to {
            world.delete(&format!("photos/Kiwi/{number}.png")).await;
        }
        world.ingest_pending().await;
        let FitResult { record, already, .. } = fit_components(&world, 5).await.unwrap();
        assert!(!already);
        assert_eq!(record.rows, u64::from(80 - to));
        assert_same(&record, &fit_from_scratch(&world, 5).await);
        let reduced = world.result_objects(&format!("reduced/model=toy/fit={}/", record.fit)).await;
        let (_, bytes) = reduced.into_iter().next().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), i64::from(80 - to));
    }
    assert_eq!(world.result_objects("moments/").await.len(), 1);
}

#[tokio::test]
async fn rows_in_one_part_or_in_many_give_the_same_fit() {
    let mut whole = World::start().await;
    part(&mut whole, 0..40).await;
    let mut split = World::start().await;
    part(&mut split, 0..33).await;
    for number in 33..40 {
        part(&mut split, number..number + 1).await;
    }
    let record = fit_components(&split, 10).await.unwrap().record;
    assert_eq!(record.parts, 8);
    assert_same(&record, &fit_from_scratch(&whole, 10).await);
    assert_same(&fit_components(&whole, 10).await.unwrap().record, &fit_from_scratch(&split, 10).await);
}

#[tokio::test]
async fn an_impossible_number_of_components_is_named() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    for components in [0, ToyEmbedder::DIMENSION + 1] {
        let error = fit_components(&world, components).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        assert!(error.to_string().contains(&components.to_string()), "{error}");
    }
    assert_eq!(world.result_objects("pca/").await.len(), 0);
}
