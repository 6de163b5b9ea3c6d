//! Our kernels, held against tract: every network of the family, on every path that the machine has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fruitvec::embed::{self, Embedder, Engine, Kernels};
use fruitvec::local::painter;
use fruitvec::model::{DEFAULT_MODEL, ModelCard};
use fruitvec::pixels::{self, Limits, Square};

use crate::golden::{cosine, shared};

fn load(card: &ModelCard, models: Option<&Path>, engine: Engine) -> Arc<dyn Embedder> {
    embed::load_with(card, models, Some(engine)).unwrap()
}

/// Noise: no two numbers give the same.
fn noise(side: u32, number: u64) -> Square {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut rgb = Vec::new();
    // From one even grey to the whole range.
    let (least, spread) = ((number * 37 % 256) as u8, number % 256 + 1);
    while rgb.len() < 3 * (side * side) as usize {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The low bits of this generator repeat soon.
        for bits in [24, 32, 40, 48, 56] {
            rgb.push(least.wrapping_add((((state >> bits) & 255) * spread / 256) as u8));
        }
    }
    rgb.truncate(3 * (side * side) as usize);
    Square::new(side, rgb).unwrap()
}

fn assert_equal(id: &str, models: Option<&Path>, squares: impl Iterator<Item = Square>) {
    let card = ModelCard::find(id, None).unwrap();
    let tract = load(&card, models, Engine::Tract);
    let paths: Vec<_> = Kernels::ALL.into_iter().filter(|kernels| kernels.is_here()).collect();
    let natives: Vec<_> =
        paths.iter().map(|kernels| load(&card, models, Engine::Native(Some(*kernels)))).collect();
    let (mut least, mut furthest, mut count) = (1.0_f64, 0.0_f32, 0);
    for square in squares {
        let expected = tract.embed(&square).unwrap();
        for native in &natives {
            let found = native.embed(&square).unwrap();
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let cosine = cosine(&found, &expected);
            assert!(cosine >= 0.999_999, "{id} by {}: square {count}: cosine {cosine}", native.engine());
            assert!(apart <= 1e-3, "{id} by {}: square {count}: {apart} apart", native.engine());
            (least, furthest) = (least.min(cosine), furthest.max(apart));
        }
        count += 1;
    }
    println!(
        "{id}: {count} squares on {paths:?}: least cosine 1 - {:e}, at most {furthest:e} apart",
        1.0 - least
    );
    assert!(count > 0);
}

#[test]
fn the_bundled_model_gives_what_tract_gives() {
    let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    let side = card.input.side;
    let painted = painter::KINDS.into_iter().map(|kind| painter::paint(kind, 1, side).into_raw());
    let painted = painted.map(|rgb| Square::new(side, rgb).unwrap());
    assert_equal(DEFAULT_MODEL, None, painted.chain((0..40).map(|number| noise(side, number))));
}

/// Squares of noise, and photos, with which a model is tried. Nearly all of the time goes to tract and to the paths that this machine would
/// not choose; of the two large networks a tenth is what every run can wait for. `FRUITVEC_TEST_SQUARES=all` tries all.
fn counts(large: bool) -> (usize, usize) {
    let all = std::env::var_os("FRUITVEC_TEST_SQUARES").is_some_and(|which| which == "all");
    if large && !all { (50, 20) } else { (500, 200) }
}

/// Photos as they come from a studio and from a phone, and noise.
fn squares(card: &ModelCard, (noises, photos): (usize, usize)) -> impl Iterator<Item = Square> {
    let input = card.input.clone();
    let of = move |path: PathBuf| {
        let pending = pixels::inspect(std::fs::read(path).unwrap(), &Limits::default()).unwrap();
        pending.square(input.side, input.fit, input.filter).unwrap()
    };
    let (side, data) = (card.input.side, shared().join("data"));
    let photos = [data.join("fruits360/Test"), data.join("grocery/train")].map(|folder| {
        let mut found = walk(&folder);
        found.sort();
        let every = (found.len() / (photos / 2)).max(1);
        found.into_iter().step_by(every).take(photos / 2)
    });
    photos.into_iter().flatten().map(of).chain((0..noises as u64).map(move |number| noise(side, number)))
}

/// Every file below a folder.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn assert_equal_on_photos(id: &str, large: bool) {
    let card = ModelCard::find(id, None).unwrap();
    assert_equal(id, Some(&shared().join("models")), squares(&card, counts(large)));
}

#[test]
#[ignore = "needs the photos of ../shared"]
fn needs_shared_the_bundled_model_gives_what_tract_gives_of_photos() {
    assert_equal_on_photos(DEFAULT_MODEL, false);
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_mobilenetv2_gives_what_tract_gives() {
    assert_equal_on_photos("mobilenetv2-keras", true);
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_mobilenetv1_gives_what_tract_gives() {
    assert_equal_on_photos("mobilenetv1", true);
}

#[test]
fn two_threads_at_once_get_what_one_gets() {
    let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    let native = load(&card, None, Engine::Native(None));
    let squares: Vec<_> = (0..8).map(|number| noise(card.input.side, number)).collect();
    let alone: Vec<_> = squares.iter().map(|square| native.embed(square).unwrap()).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (square, alone) in squares.iter().zip(&alone) {
                    assert_eq!(native.embed(square).unwrap(), *alone);
                }
            });
        }
    });
}
