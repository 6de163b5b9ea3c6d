//! The models that are not committed, held against references that were computed elsewhere.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use fruitvec::embed::{self, Embedder};
use fruitvec::model::ModelCard;
use fruitvec::pixels::{self, Limits, Square};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The folder with `models`, `golden` and `data`; `tests/run` sets it.
pub(crate) fn shared() -> PathBuf {
    std::env::var_os("FRUITVEC_SHARED").map_or_else(|| "../shared".into(), PathBuf::from)
}

fn load(id: &str) -> Arc<dyn Embedder> {
    let models = shared().join("models");
    embed::load(&ModelCard::find(id, None).unwrap(), Some(&models)).unwrap()
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_golden_embeddings_come_back_from_files_and_from_pixels() {
    let embedder = load("mobilenetv2-keras");
    let file = File::open(shared().join("golden/mobilenetv2-keras.parquet")).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = batches.collect::<Result<_, _>>().unwrap();
    let (mut from_file, mut from_pixels) = (Vec::new(), Vec::new());
    for batch in &batches {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let (paths, pixels) = (column("path").as_string::<i32>(), column("pixels").as_binary::<i32>());
        for row in 0..batch.num_rows() {
            let path = paths.value(row);
            let reference = column("embedding").as_list::<i32>().value(row);
            let reference = reference.as_primitive::<Float32Type>().values();
            let square = Square::new(224, pixels.value(row).to_vec()).unwrap();
            from_file.push((cosine(&embedding_of(path, &*embedder), reference), path));
            from_pixels.push((cosine(&embedder.embed(&square).unwrap(), reference), path));
        }
    }
    for (from, cosines, bound) in [("file", &mut from_file, 0.9995), ("pixels", &mut from_pixels, 0.99999)] {
        cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!("from the {from}: {} photos, least cosine {:?}", cosines.len(), cosines[0]);
        assert_eq!(cosines.len(), 64);
        let far: Vec<_> = cosines.iter().filter(|(cosine, _)| *cosine < bound).collect();
        assert!(far.is_empty(), "from the {from}: {far:?}");
    }
}

fn embedding_of(path: &str, embedder: &dyn Embedder) -> Vec<f32> {
    let bytes = std::fs::read(shared().join(path)).unwrap();
    let input = &embedder.card().input;
    let pending = pixels::inspect(bytes, &Limits::default()).unwrap();
    embedder.embed(&pending.square(input.side, input.fit, input.filter).unwrap()).unwrap()
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_models_that_do_not_give_1280_numbers_work_too() {
    let embedder = load("mobilenetv1");
    let white = embedder.embed(&Square::new(224, vec![255; 224 * 224 * 3]).unwrap()).unwrap();
    let black = embedder.embed(&Square::new(224, vec![0; 224 * 224 * 3]).unwrap()).unwrap();
    assert_eq!((white.len(), black.len()), (1024, 1024));
    assert!(white.iter().chain(&black).all(|number| number.is_finite()));
    assert!(cosine(&white, &black) < 0.9, "the picture makes no difference");
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_model_files_are_those_of_the_cards() {
    let models = shared().join("models");
    for id in ["fruit-mobilenetv2-035-128", "mobilenetv2-keras", "mobilenetv1"] {
        let card = ModelCard::find(id, None).unwrap();
        let bytes = card.read(Some(&models)).unwrap();
        assert_eq!(bytes.len() as u64, card.file.size_bytes, "{id}");
    }
}
