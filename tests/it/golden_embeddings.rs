//! Models outside the repository, compared with embeddings that other programs computed.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::embed::{self, Embedder, model_file};
use fruitvec::image::{self, InputImage};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::shared::{cosine, shared};

fn load(id: &str) -> Arc<dyn Embedder> {
    let models = shared().join("models");
    embed::load(&ModelCard::find(id, None).unwrap(), Some(&models)).unwrap()
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_golden_embeddings_are_reproduced_from_files_and_from_pixels() {
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
            let image = InputImage::new(224, pixels.value(row).to_vec()).unwrap();
            from_file.push((cosine(&embedding_of(path, &*embedder), reference), path));
            from_pixels.push((cosine(&embedder.embed(&image).unwrap(), reference), path));
        }
    }
    for (from, cosines, bound) in [("file", &mut from_file, 0.9995), ("pixels", &mut from_pixels, 0.99999)] {
        cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!("from the {from}: {} photos, smallest cosine {:?}", cosines.len(), cosines[0]);
        assert_eq!(cosines.len(), 64);
        let too_far: Vec<_> = cosines.iter().filter(|(cosine, _)| *cosine < bound).collect();
        assert!(too_far.is_empty(), "from the {from}: {too_far:?}");
    }
}

fn embedding_of(path: &str, embedder: &dyn Embedder) -> Vec<f32> {
    let bytes = std::fs::read(shared().join(path)).unwrap();
    let input = &embedder.card().input;
    let probed = image::probe(bytes, &Limits::default()).unwrap();
    embedder.embed(&probed.input_image(input.side, input.fit, input.filter).unwrap()).unwrap()
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_a_photo_in_display_p3_has_the_embedding_of_its_twin_in_srgb() {
    for (id, jpeg_bound) in [(DEFAULT_MODEL, 0.995), ("mobilenetv2-keras", 0.99)] {
        let embedder = load(id);
        let of = |name: &str| embedding_of(&format!("cases/photos/{name}"), &*embedder);
        let twin = of("display-p3-twin.png");
        // Compression alone costs the JPEG 0.007 with the network of Keras: by Pillow and ImageCms,
        // its cosine is 0.9933.
        for (extension, bound) in [("jpg", jpeg_bound), ("png", 0.995), ("webp", 0.995)] {
            let cosine = cosine(&of(&format!("display-p3.{extension}")), &twin);
            println!("{id}, {extension}: cosine {cosine}");
            assert!(cosine >= bound, "{id}, {extension}: {cosine}");
        }
    }
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_a_model_with_1024_dimensions_works() {
    let embedder = load("mobilenetv1");
    let white = embedder.embed(&InputImage::new(224, vec![255; 224 * 224 * 3]).unwrap()).unwrap();
    let black = embedder.embed(&InputImage::new(224, vec![0; 224 * 224 * 3]).unwrap()).unwrap();
    assert_eq!((white.len(), black.len()), (1024, 1024));
    assert!(white.iter().chain(&black).all(|number| number.is_finite()));
    assert!(cosine(&white, &black) < 0.9, "the image makes no difference");
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_model_files_match_their_cards() {
    let models = shared().join("models");
    for id in ["fruit-mobilenetv2-035-128", "mobilenetv2-keras", "mobilenetv1"] {
        let card = ModelCard::find(id, None).unwrap();
        let bytes = model_file::read(&card, Some(&models)).unwrap();
        assert_eq!(bytes.len() as u64, card.file.size_bytes, "{id}");
    }
}
