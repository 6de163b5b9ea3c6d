//! Photos as large as a phone's are decoded in part: what becomes of them must be what the whole of them becomes.

use fruitvec::embed::{self, Embedder};
use fruitvec::model::ModelCard;
use fruitvec::pixels::{self, Limits};
use image::DynamicImage;
use image::imageops::FilterType;
use mozjpeg::{ColorSpace, Compress};

use crate::golden::{cosine, shared};

const PHOTOS: usize = 50;

/// The least sides that are decoded at an eighth, a quarter and a half for 224 pixels. The largest take most of the time, so they are fewest.
fn side(number: usize) -> u32 {
    match (number % 25, number % 5) {
        (0, _) => 3584,
        (_, 1) => 1792,
        _ => 896,
    }
}

/// A photo blown up, with the grain of a sensor: rows of red, green, blue.
fn blown_up(photo: &DynamicImage, side: u32) -> Vec<u8> {
    let mut large = photo.resize_exact(side, side, FilterType::CatmullRom).into_rgb8().into_raw();
    let mut state = u64::from(side);
    let grain: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The sum of two is nearer to a bell than one.
        ((state >> 60) + (state >> 52 & 15)) as u8
    })
    .take(100_003)
    .collect();
    for (sample, grain) in large.iter_mut().zip(grain.iter().cycle()) {
        *sample = sample.saturating_add(*grain).saturating_sub(15);
    }
    large
}

/// As a camera compresses: chroma at half the width and height.
fn jpeg(rgb: &[u8], side: u32, progressive: bool) -> Vec<u8> {
    let mut compress = Compress::new(ColorSpace::JCS_RGB);
    compress.set_fastest_defaults();
    compress.set_size(side as usize, side as usize);
    compress.set_quality(90.0);
    if progressive {
        compress.set_progressive_mode();
    }
    let mut started = compress.start_compress(Vec::new()).unwrap();
    started.write_scanlines(rgb).unwrap();
    started.finish().unwrap()
}

/// All pixels of a square JPEG as a BMP, a format that is always decoded whole.
fn whole(jpeg: &[u8], side: u32) -> Vec<u8> {
    let mut decoded = mozjpeg::Decompress::new_mem(jpeg).unwrap().rgb().unwrap();
    let mut samples: Vec<u8> = decoded.read_scanlines().unwrap();
    assert_eq!(side % 4, 0, "rows of a BMP end at multiples of four");
    samples.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    let length = samples.len() as u32;
    let mut bytes = b"BM".to_vec();
    // Length, reserved, where the pixels begin; a header of 40 bytes; the height is negative where rows go down.
    let words = [54 + length, 0, 54, 40, side, side.wrapping_neg(), 0x18_0001, 0, length, 0, 0, 0, 0];
    bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
    bytes.extend(samples);
    bytes
}

fn embedding(bytes: &[u8], embedder: &dyn Embedder) -> Vec<f32> {
    let input = &embedder.card().input;
    let limits = Limits { bytes: 1 << 30, ..Limits::default() };
    let pending = pixels::inspect(bytes, &limits).unwrap();
    embedder.embed(&pending.square(input.side, input.fit, input.filter).unwrap()).unwrap()
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_a_photo_decoded_in_part_has_the_embedding_of_the_whole() {
    let card = ModelCard::find("mobilenetv2-keras", None).unwrap();
    let embedder = embed::load(&card, Some(&shared().join("models"))).unwrap();
    let mut photos = crate::kernels::walk(&shared().join("data/grocery/train"));
    photos.sort();
    let every = photos.len() / PHOTOS;
    let mut cosines = Vec::new();
    for (number, path) in photos.iter().step_by(every).take(PHOTOS).enumerate() {
        let side = side(number);
        let large = blown_up(&image::open(path).unwrap(), side);
        let jpeg = jpeg(&large, side, number % 3 == 0);
        let found = embedding(&jpeg, &*embedder);
        cosines.push((cosine(&found, &embedding(&whole(&jpeg, side), &*embedder)), side, path));
    }
    cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("{} photos, least cosines {:?}", cosines.len(), &cosines[..3]);
    assert_eq!(cosines.len(), PHOTOS);
    assert!(cosines[0].0 >= 0.999, "{:?}", &cosines[..3]);
    let scaled = cosines.iter().filter(|(cosine, ..)| *cosine < 1.0 - 1e-9).count();
    assert!(scaled > PHOTOS / 2, "{scaled} of them differ: were they decoded in part at all?");
}
