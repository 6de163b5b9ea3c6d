//! The table, the embeddings and the fit, as programs see them that share no code with ours.

mod script;
mod view;

use std::fs;
use std::path::Path;

use fruitvec::embed;
use fruitvec::ingest::Outcome;
use fruitvec::model::{DEFAULT_MODEL, ModelCard};
use fruitvec::pixels::Square;
use serde_json::Value;

use self::script::run;
use crate::painted::{PHOTOS, Photo, Table, embedder, photos};

#[tokio::test]
#[ignore = "needs Python: tests/run installs it"]
async fn needs_python_readers_find_every_value_that_was_written() {
    let embedder = embedder();
    let photos = photos();
    let table = Table::new(embedder.clone()).await;
    let heard = table.after(table.put_over_days(&photos)).await;
    assert_eq!(heard.len(), photos.len());
    let refitted = table.refit().await;

    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for photo in &photos {
        let mut row = photo.expected(&*embedder);
        row["last_modified"] = table.last_modified(photo).await.into();
        expected.push(row);
    }
    let expected = lines(folder.path(), &expected);
    run(
        "readers.py",
        &[table.results().as_ref(), DEFAULT_MODEL.as_ref(), refitted.record.fit.as_ref(), expected.as_ref()],
    );
}

#[test]
#[ignore = "needs Python: tests/run installs it"]
fn needs_python_golden_embeddings_are_those_of_pillow_and_onnxruntime() {
    let embedder = embedder();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    fs::write(&model, embedder.card().read(None).unwrap()).unwrap();
    let mut expected = Vec::new();
    for (number, photo) in photos().iter().enumerate() {
        let file = folder.path().join(number.to_string());
        fs::write(&file, &photo.bytes).unwrap();
        let mut row = photo.expected(&*embedder);
        row["file"] = file.to_str().into();
        expected.push(row);
    }
    run("golden.py", &[model.as_ref(), lines(folder.path(), &expected).as_ref()]);
}

/// Overwritten, spoilt, deleted and delivered twice: what a table is like after a while.
#[tokio::test]
#[ignore = "needs Python: tests/run installs it"]
async fn needs_python_pca_of_scikit_learn_agrees_on_the_current_rows() {
    let photos = photos();
    let table = Table::new(embedder()).await;
    let heard = table.after(table.put_over_days(&photos)).await;
    let first = table.refit().await;
    let check = |fit: &str, rows: usize, stored: usize| {
        let (rows, stored) = (rows.to_string(), stored.to_string());
        run(
            "pca.py",
            &[table.results().as_ref(), DEFAULT_MODEL.as_ref(), fit.as_ref(), rows.as_ref(), stored.as_ref()],
        );
    };
    check(&first.record.fit, photos.len(), photos.len());

    // A batch that is delivered again in other company is stored again.
    let again: Vec<_> = heard.iter().step_by(9).map(|(delivery, _)| delivery.clone()).collect();
    let outcomes = table.ingest.ingest(&again).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Embedded { already: false, .. })));
    let heard = table
        .after(async {
            table.put(&Photo { bytes: photos[200].bytes.clone(), ..photos[0].clone() }).await;
            table.put(&Photo { bytes: photos[100].bytes.clone(), ..photos[9].clone() }).await;
            table.put(&Photo { bytes: b"no photo".to_vec(), ..photos[30].clone() }).await;
            table.store.delete(PHOTOS, &[photos[50].key.clone()]).await.unwrap();
        })
        .await;
    assert_eq!(heard.len(), 4);
    let second = table.refit().await;
    assert_ne!(first.record.fit, second.record.fit);
    check(&second.record.fit, photos.len() - 2, photos.len() + again.len() + 2);
}

/// Files of the shapes that exporters and the ONNX model zoo give them, each with a card.
#[test]
#[ignore = "needs Python: tests/run installs it"]
fn needs_python_zoo_shaped_graphs_are_cut_where_the_embedding_is() {
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
        let found = embedder.embed(&Square::new(card.input.side, rgb.clone()).unwrap()).unwrap();
        let expected: Vec<f32> = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(found.len(), expected.len(), "{id}");
        let furthest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{id}: {} numbers, at most {furthest:e} apart", found.len());
        assert!(furthest <= 1e-4, "{id}: {furthest}");
    }
    for (id, words) in manifest["refused"].as_object().unwrap() {
        let card = ModelCard::find(id, Some(folder.path())).unwrap();
        let error = embed::load(&card, Some(folder.path())).err().unwrap().to_string();
        assert!(error.starts_with(&format!("model {id}: ")), "{error}");
        assert!(error.contains(words.as_str().unwrap()), "{error}");
    }
}

/// A file with a line of JSON a value.
fn lines(folder: &Path, values: &[Value]) -> std::path::PathBuf {
    let file = folder.join("expected.jsonl");
    let text: String = values.iter().map(|value| format!("{value}\n")).collect();
    fs::write(&file, text).unwrap();
    file
}
