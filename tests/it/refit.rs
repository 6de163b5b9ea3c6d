//! One run of the PCA after another, over parts of the embedded S3.

use std::collections::BTreeMap;

use bytes::Bytes;
use fruitvec::error::Error;
use fruitvec::fits::Asked;
use fruitvec::moments::Moments;
use fruitvec::pca::Fit;
use fruitvec::plan::Wishes;
use fruitvec::refit::{FitRecord, Latest, Refitted};
use fruitvec::run::Job;
use time::macros::datetime;

use crate::fixture::{RESULTS, Toy, World, photo};

const LATEST: &str = "pca/model=toy/latest.json";

async fn refit(world: &World, components: usize) -> Result<Refitted, Error> {
    crate::batch::refit(world, Asked { components, ..Asked::default() }).await
}

/// All that is written but for the papers of runs.
async fn written(world: &World) -> BTreeMap<String, Bytes> {
    let mut results = world.results("").await;
    results.retain(|key, _| !key.starts_with("runs/"));
    results
}

/// Ingests these photos as one batch, so one part.
async fn part(world: &mut World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let at = datetime!(2026-11-23 10:00 UTC);
        world.put_at(&format!("photos/Kiwi/{number}.png"), photo(number), at).await;
    }
    world.ingest_told().await;
}

/// The fit of the current rows, from nothing.
async fn from_scratch(world: &World, components: usize) -> Fit {
    let mut moments = Moments::empty(Toy::DIMENSION);
    for row in world.current().await.values() {
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
async fn no_rows_are_an_error_that_says_so() {
    let mut world = World::start().await;
    for _ in 0..2 {
        let error = refit(&world, 20).await.unwrap_err();
        assert!(matches!(error, Error::Nothing(_)), "{error:?}");
        assert!(error.to_string().contains("no embeddings"), "{error}");
        assert_eq!(world.results("pca/").await.len(), 0);
        // Nor are there any when every photo has gone.
        part(&mut world, 0..3).await;
        for number in 0..3 {
            world.delete(&format!("photos/Kiwi/{number}.png")).await;
        }
        world.ingest_told().await;
    }
}

#[tokio::test]
async fn a_fit_has_all_its_files() {
    let mut world = World::start().await;
    part(&mut world, 0..25).await;
    let Refitted { record, already, files } = refit(&world, 5).await.unwrap();
    assert!(!already);
    let found = world.results("pca/").await;
    assert_eq!(found.len(), files.len() + 1, "and latest.json: {:?}", found.keys());
    let file = |name: &str| &found[&format!("pca/model=toy/fit={}/{name}", record.fit)];
    let read = serde_json::from_slice::<FitRecord>(file("fit.json")).unwrap();
    assert_eq!((&read.fit, &read.inputs, read.rows), (&record.fit, &record.inputs, 25));
    assert_same(&read, &from_scratch(&world, 5).await);
    let csv = String::from_utf8(file("explained_variance.csv").to_vec()).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5, "{csv}");
    assert!(csv.lines().skip(1).zip(1..).all(|(line, n)| line.starts_with(&format!("{n},"))), "{csv}");
    for picture in ["scree.svg", "scatter.svg"] {
        assert!(file(picture).starts_with(b"<svg"), "{picture}");
    }
    assert!(file("components.parquet").starts_with(b"PAR1"));
    assert_eq!(record.first_date.as_deref(), Some("2026-11-23"));
    assert_eq!(record.last_date, record.first_date);

    let reduced = world.results(&format!("reduced/model=toy/fit={}/", record.fit)).await;
    let name = |key: &String| key.split_once("/date=").unwrap().1.to_owned();
    let parts = world.results("embeddings/").await;
    assert_eq!(reduced.keys().map(name).collect::<Vec<_>>(), parts.keys().map(name).collect::<Vec<_>>());
    assert_eq!(latest(&world).await, Latest { fit: record.fit, inputs: record.inputs });
}

#[tokio::test]
async fn a_second_run_over_the_same_rows_writes_nothing() {
    let mut world = World::start().await;
    part(&mut world, 0..25).await;
    let first = refit(&world, 5).await.unwrap();
    let before = written(&world).await;
    let second = refit(&world, 5).await.unwrap();
    assert!(second.already);
    assert_eq!((second.record.fit, second.files), (first.record.fit, first.files));
    assert_eq!(written(&world).await, before);
    assert!(!refit(&world, 6).await.unwrap().already, "another number of components is another fit");
}

#[tokio::test]
async fn the_pointer_follows_the_newest_fit_and_never_goes_back() {
    let mut world = World::start().await;
    part(&mut world, 0..10).await;
    let first = refit(&world, 3).await.unwrap().record;
    part(&mut world, 10..20).await;
    let second = refit(&world, 3).await.unwrap().record;
    assert!(second.fit > first.fit);
    assert_eq!(latest(&world).await.fit, second.fit);

    // As if a run that began later had ended earlier.
    let later = Latest { fit: "29991231T235959999Z-00000000".into(), inputs: String::new() };
    let body = serde_json::to_vec(&later).unwrap();
    world.store.put(RESULTS, LATEST, "application/json", body).await.unwrap();
    part(&mut world, 20..30).await;
    let asked = Asked { components: 3, ..Asked::default() };
    crate::batch::driven(&world, Job::Pca, &Wishes { asked, ..Wishes::default() }).await.unwrap();
    assert_eq!(latest(&world).await, later);
    let fits = world.results("pca/model=toy/").await;
    let third: Vec<_> =
        fits.keys().filter(|key| key.contains("/fit=") && !key.contains(&second.fit)).collect();
    assert_eq!(third.len(), 5, "{third:?}");
}

#[tokio::test]
async fn the_moments_of_large_parts_are_kept_and_read_again() {
    let dimension = u32::try_from(Toy::DIMENSION).unwrap();
    let mut world = World::start().await;
    part(&mut world, 0..dimension).await;
    part(&mut world, 100..103).await;
    refit(&world, 5).await.unwrap();
    let kept = world.results("moments/").await;
    let large = world.snapshot().await.parts.into_iter().find(|part| part.rows == dimension).unwrap();
    assert_eq!(kept.keys().collect::<Vec<_>>(), [&large.part.moments_key()], "of the large part only");
    let moments = Moments::from_bytes("kept", Toy::DIMENSION, kept.values().next().unwrap()).unwrap();
    assert_eq!(moments.count(), u64::from(dimension));

    part(&mut world, 200..203).await;
    let record = refit(&world, 5).await.unwrap().record;
    assert_same(&record, &from_scratch(&world, 5).await);
    assert_eq!(world.results("moments/").await, kept);

    // The next run reads them in place of the part: those of other rows lead it astray.
    let key = large.part.moments_key();
    let mut other = Moments::empty(Toy::DIMENSION);
    other.add_rows(&vec![1.0; Toy::DIMENSION * Toy::DIMENSION]).unwrap();
    let keep = async |bytes| world.store.put(RESULTS, &key, "application/octet-stream", bytes).await.unwrap();
    keep(Bytes::from(other.to_bytes())).await;
    let record = refit(&world, 6).await.unwrap().record;
    assert!(record.mean[0] < from_scratch(&world, 6).await.mean[0] / 2.0);

    // They only save work: damaged, they are made anew.
    keep(Bytes::from_static(b"broken")).await;
    let record = refit(&world, 7).await.unwrap().record;
    assert_same(&record, &from_scratch(&world, 7).await);
    assert_eq!(world.results("moments/").await, kept);

    // So they are when they are missing.
    world.store.delete(RESULTS, std::slice::from_ref(&key)).await.unwrap();
    let record = refit(&world, 8).await.unwrap().record;
    assert_same(&record, &from_scratch(&world, 8).await);
    assert_eq!(world.results("moments/").await, kept);
}

#[tokio::test]
async fn rows_that_no_longer_hold_are_taken_out_of_the_fit() {
    let mut world = World::start().await;
    part(&mut world, 0..80).await;
    let all = refit(&world, 5).await.unwrap().record;
    assert_eq!(all.rows, 80);
    // A few are subtracted from the moments that are kept; then so many that the rest is added up anew.
    for (from, to) in [(0_u32, 7), (7, 60)] {
        for number in from..to {
            world.delete(&format!("photos/Kiwi/{number}.png")).await;
        }
        world.ingest_told().await;
        let refitted = refit(&world, 5).await.unwrap();
        assert!(!refitted.already);
        assert_eq!(refitted.record.rows, u64::from(80 - to));
        assert_same(&refitted.record, &from_scratch(&world, 5).await);
        let reduced = world.results(&format!("reduced/model=toy/fit={}/", refitted.record.fit)).await;
        let (_, bytes) = reduced.into_iter().next().unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), i64::from(80 - to));
    }
    assert_eq!(world.results("moments/").await.len(), 1);
}

/// However the photos came in, one by one or all at once, the fit is the same.
#[tokio::test]
async fn how_rows_are_split_into_parts_does_not_change_the_fit() {
    let mut whole = World::start().await;
    part(&mut whole, 0..40).await;
    let mut split = World::start().await;
    part(&mut split, 0..33).await;
    for number in 33..40 {
        part(&mut split, number..number + 1).await;
    }
    let record = refit(&split, 10).await.unwrap().record;
    assert_eq!(record.parts, 8);
    assert_same(&record, &from_scratch(&whole, 10).await);
    assert_same(&refit(&whole, 10).await.unwrap().record, &from_scratch(&split, 10).await);
}

#[tokio::test]
async fn an_impossible_number_of_components_is_named() {
    let mut world = World::start().await;
    part(&mut world, 0..3).await;
    for components in [0, Toy::DIMENSION + 1] {
        let error = refit(&world, components).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        assert!(error.to_string().contains(&components.to_string()), "{error}");
    }
    assert_eq!(world.results("pca/").await.len(), 0);
}
