//! The table, the embeddings and the fit, as seen by independent Python programs.

mod athena_view;
mod photo_suite;
mod script;

use std::fs;
use std::path::{Path, PathBuf};

use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::embed::{self, Embedder, model_file};
use fruitvec::image::InputImage;
use fruitvec::ingest::DeliveryOutcome;
use serde_json::Value;

use self::script::run;
use crate::support::sample_table::{Photo, Table, embedder, photos};
use crate::support::shared::{cosine, files_below};
use crate::support::world::PHOTOS;

#[tokio::test]
#[ignore = "needs Python: tests/run installs it"]
async fn needs_python_readers_find_every_value_that_was_written() {
    let embedder = embedder();
    let photos = photos();
    let table = Table::new(embedder.clone()).await;
    let outcomes = table.ingest_changes(table.put_over_days(&photos)).await;
    assert_eq!(outcomes.len(), photos.len());
    let fit = table.fit().await.record.fit;

    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for photo in &photos {
        let mut row = photo.expected(&*embedder);
        row["last_modified"] = table.last_modified(photo).await.into();
        expected.push(row);
    }
    let expected = json_lines(folder.path(), &expected);
    run("readers.py", &[table.results().as_ref(), DEFAULT_MODEL.as_ref(), fit.as_ref(), expected.as_ref()]);
}

#[test]
#[ignore = "needs Python: tests/run installs it"]
fn needs_python_embeddings_match_pillow_and_onnxruntime() {
    let embedder = embedder();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    fs::write(&model, model_file::read(embedder.card(), None).unwrap()).unwrap();
    let mut expected = Vec::new();
    for (number, photo) in photos().iter().enumerate() {
        let file = folder.path().join(number.to_string());
        fs::write(&file, &photo.bytes).unwrap();
        let mut row = photo.expected(&*embedder);
        row["file"] = file.to_str().into();
        expected.push(row);
    }
    expected.extend(in_other_colour_spaces(folder.path(), &*embedder));
    run("golden.py", &[model.as_ref(), json_lines(folder.path(), &expected).as_ref()]);
}

/// Writes some of the sample photos in other colour spaces to a folder, and returns their rows.
///
/// # Panics
/// If the embedding of a photo in another RGB space is not that of the original.
fn in_other_colour_spaces(folder: &Path, embedder: &dyn Embedder) -> Vec<Value> {
    let sources = folder.join("srgb");
    let converted = folder.join("converted");
    for folder in [&sources, &converted] {
        fs::create_dir(folder).unwrap();
    }
    let originals: Vec<_> = photos().into_iter().step_by(29).collect();
    for (number, photo) in originals.iter().enumerate() {
        fs::write(sources.join(format!("{number:03}")), &photo.bytes).unwrap();
    }
    run("profiles.py", &[converted.as_ref(), sources.as_ref()]);
    let (mut rows, mut cosines) = (Vec::new(), Vec::new());
    for file in files_below(&converted) {
        let key = file.file_name().unwrap().to_str().unwrap().to_owned();
        let (number, space) = key.split_once('-').unwrap();
        let original = originals[number.parse::<usize>().unwrap()].embedded(embedder).2;
        let is_rgb = !space.starts_with("grey") && !space.starts_with("cmyk");
        let photo = Photo { key: key.clone(), label: None, bytes: fs::read(&file).unwrap() };
        if is_rgb {
            cosines.push((cosine(&photo.embedded(embedder).2, &original), key));
        }
        let mut row = photo.expected(embedder);
        row["file"] = file.to_str().into();
        rows.push(row);
    }
    cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (lowest, median) = (&cosines[0], cosines[cosines.len() / 2].0);
    println!("{} photos in other RGB spaces, lowest cosine {lowest:?}, median {median}", cosines.len());
    assert!(lowest.0 >= 0.995 && median >= 0.999, "{lowest:?}, median {median}");
    rows
}

/// The table has overwritten, corrupt, deleted and redelivered photos, like one that has been in
/// use for a while.
#[tokio::test]
#[ignore = "needs Python: tests/run installs it"]
async fn needs_python_fits_match_scikit_learn_on_the_current_rows() {
    let photos = photos();
    let table = Table::new(embedder()).await;
    let outcomes = table.ingest_changes(table.put_over_days(&photos)).await;
    let first = table.fit().await.record.fit;
    let check = |fit: &str, rows: usize, stored: usize| {
        let (rows, stored) = (rows.to_string(), stored.to_string());
        run(
            "pca.py",
            &[table.results().as_ref(), DEFAULT_MODEL.as_ref(), fit.as_ref(), rows.as_ref(), stored.as_ref()],
        );
    };
    check(&first, photos.len(), photos.len());

    // Deliveries that are redelivered in another batch have their rows stored again.
    let again: Vec<_> = outcomes.iter().step_by(9).map(|(delivery, _)| delivery.clone()).collect();
    let outcomes = table.ingest.ingest(&again).await;
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, DeliveryOutcome::Embedded { already: false, .. }))
    );
    let outcomes = table
        .ingest_changes(async {
            table.put(&Photo { bytes: photos[200].bytes.clone(), ..photos[0].clone() }).await;
            table.put(&Photo { bytes: photos[100].bytes.clone(), ..photos[9].clone() }).await;
            table.put(&Photo { bytes: b"no photo".to_vec(), ..photos[30].clone() }).await;
            table.store.delete(PHOTOS, &[photos[50].key.clone()]).await.unwrap();
        })
        .await;
    assert_eq!(outcomes.len(), 4);
    let second = table.fit().await.record.fit;
    assert_ne!(first, second);
    check(&second, photos.len() - 2, photos.len() + again.len() + 2);
}

/// The model files have the shapes that exporters and the ONNX model zoo produce. Each has a card.
#[test]
#[ignore = "needs Python: tests/run installs it"]
fn needs_python_zoo_shaped_graphs_are_cut_at_the_embedding() {
    let folder = tempfile::tempdir().unwrap();
    run("zoo.py", &[folder.path().as_ref()]);
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.path().join("manifest.json")).unwrap()).unwrap();
    let rgb: Vec<u8> = serde_json::from_value(manifest["rgb"].clone()).unwrap();
    let models = manifest["models"].as_object().unwrap();
    assert_eq!(models.len(), 6);
    for (id, expected) in models {
        let card = ModelCard::find(id, Some(folder.path())).unwrap();
        let embedder =
            embed::load(&card, Some(folder.path())).unwrap_or_else(|error| panic!("{id}: {error}"));
        let found = embedder.embed(&InputImage::new(card.input.side, rgb.clone()).unwrap()).unwrap();
        let expected: Vec<f32> = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(found.len(), expected.len(), "{id}");
        let distance = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{id}: {} numbers, at most {distance:e} apart", found.len());
        assert!(distance <= 1e-4, "{id}: {distance}");
    }
    for (id, words) in manifest["refused"].as_object().unwrap() {
        let card = ModelCard::find(id, Some(folder.path())).unwrap();
        let error = embed::load(&card, Some(folder.path())).err().unwrap().to_string();
        assert!(error.starts_with(&format!("model {id}: ")), "{error}");
        assert!(error.contains(words.as_str().unwrap()), "{error}");
    }
}

/// Writes a file with one JSON value per line.
fn json_lines(folder: &Path, values: &[Value]) -> PathBuf {
    let file = folder.join("expected.jsonl");
    let text: String = values.iter().map(|value| format!("{value}\n")).collect();
    fs::write(&file, text).unwrap();
    file
}
