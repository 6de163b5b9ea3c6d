//! The native engine compared with tract: each network of the family, on each instruction set that
//! the machine has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::embed::{self, Embedder, Engine, Isa};
use fruitvec::image::{self, InputImage};
use fruitvec_sample_photos as sample_photos;

use crate::support::shared::{cosine, files_below, shared};

fn load(card: &ModelCard, models: Option<&Path>, engine: Engine) -> Arc<dyn Embedder> {
    embed::load_with(card, models, Some(engine)).unwrap()
}

/// An image of noise that is different for each seed.
fn noise(side: u32, seed: u64) -> InputImage {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut rgb = Vec::new();
    // The range of values grows with the seed, from a single grey to all values.
    let (least, spread) = ((seed * 37 % 256) as u8, seed % 256 + 1);
    while rgb.len() < 3 * (side * side) as usize {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The low bits of this generator have a short period.
        for bits in [24, 32, 40, 48, 56] {
            rgb.push(least.wrapping_add((((state >> bits) & 255) * spread / 256) as u8));
        }
    }
    rgb.truncate(3 * (side * side) as usize);
    InputImage::new(side, rgb).unwrap()
}

fn assert_equal(id: &str, models: Option<&Path>, images: impl Iterator<Item = InputImage>) {
    let card = ModelCard::find(id, None).unwrap();
    let tract = load(&card, models, Engine::Tract);
    let isas: Vec<_> = Isa::ALL.into_iter().filter(|isa| isa.is_supported()).collect();
    let natives: Vec<_> = isas.iter().map(|isa| load(&card, models, Engine::Native(Some(*isa)))).collect();
    let (mut min_cosine, mut max_distance, mut count) = (1.0_f64, 0.0_f32, 0);
    for image in images {
        let expected = tract.embed(&image).unwrap();
        for native in &natives {
            let found = native.embed(&image).unwrap();
            let distance = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let cosine = cosine(&found, &expected);
            assert!(cosine >= 0.999_999, "{id} by {}: image {count}: cosine {cosine}", native.engine());
            assert!(distance <= 1e-3, "{id} by {}: image {count}: {distance} apart", native.engine());
            (min_cosine, max_distance) = (min_cosine.min(cosine), max_distance.max(distance));
        }
        count += 1;
    }
    println!(
        "{id}: {count} images on {isas:?}: smallest cosine 1 - {:e}, at most {max_distance:e} apart",
        1.0 - min_cosine
    );
    assert!(count > 0);
}

#[test]
fn the_bundled_model_gives_the_embeddings_of_tract() {
    let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    let side = card.input.side;
    let painted = sample_photos::KINDS.into_iter().map(|kind| sample_photos::paint(kind, 1, side).into_raw());
    let painted = painted.map(|rgb| InputImage::new(side, rgb).unwrap());
    assert_equal(DEFAULT_MODEL, None, painted.chain((0..40).map(|seed| noise(side, seed))));
}

/// Returns how many images of noise and how many photos to compare.
///
/// Most of the time goes to tract and to the instruction sets that the machine would not choose, so
/// the two large networks get a tenth by default. `FRUITVEC_TEST_SQUARES=all` compares all.
fn counts(large: bool) -> (usize, usize) {
    let all = std::env::var_os("FRUITVEC_TEST_SQUARES").is_some_and(|value| value == "all");
    if large && !all { (50, 20) } else { (500, 200) }
}

/// Returns studio photos, phone photos and noise.
fn images(card: &ModelCard, (noises, photos): (usize, usize)) -> impl Iterator<Item = InputImage> {
    let input = card.input.clone();
    let decode = move |path: PathBuf| {
        let probed = image::probe(std::fs::read(path).unwrap(), &Limits::default()).unwrap();
        probed.input_image(input.side, input.fit, input.filter).unwrap()
    };
    let (side, data) = (card.input.side, shared().join("data"));
    let photos = [data.join("fruits360/Test"), data.join("grocery/train")].map(|folder| {
        let found = files_below(&folder);
        let every = (found.len() / (photos / 2)).max(1);
        found.into_iter().step_by(every).take(photos / 2)
    });
    photos.into_iter().flatten().map(decode).chain((0..noises as u64).map(move |seed| noise(side, seed)))
}

fn assert_equal_on_photos(id: &str, large: bool) {
    let card = ModelCard::find(id, None).unwrap();
    assert_equal(id, Some(&shared().join("models")), images(&card, counts(large)));
}

#[test]
#[ignore = "needs the photos of ../shared"]
fn needs_shared_the_bundled_model_gives_the_embeddings_of_tract_for_photos() {
    assert_equal_on_photos(DEFAULT_MODEL, false);
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_mobilenetv2_gives_the_embeddings_of_tract() {
    assert_equal_on_photos("mobilenetv2-keras", true);
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_mobilenetv1_gives_the_embeddings_of_tract() {
    assert_equal_on_photos("mobilenetv1", true);
}

#[test]
fn concurrent_threads_get_the_embeddings_of_one_thread() {
    let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    let native = load(&card, None, Engine::Native(None));
    let images: Vec<_> = (0..8).map(|seed| noise(card.input.side, seed)).collect();
    let expected: Vec<_> = images.iter().map(|image| native.embed(image).unwrap()).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (image, expected) in images.iter().zip(&expected) {
                    assert_eq!(native.embed(image).unwrap(), *expected);
                }
            });
        }
    });
}
