//! JPEG photos that are decoded at a fraction of their size must keep their embeddings.

use ::image::DynamicImage;
use ::image::imageops::FilterType;
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::embed::{self, Embedder};
use fruitvec::image;
use mozjpeg::{ColorSpace, Compress};

use crate::support::shared::{cosine, files_below, shared};

const PHOTOS: usize = 50;

/// Returns the smallest side that is decoded at an eighth, a quarter or half of its size, for an
/// input of 224 pixels. The largest images take most of the time, so they are the rarest.
fn side(number: usize) -> u32 {
    match (number % 25, number % 5) {
        (0, _) => 3584,
        (_, 1) => 1792,
        _ => 896,
    }
}

/// Enlarges a photo and adds noise like that of a sensor. Returns RGB samples.
fn enlarged(photo: &DynamicImage, side: u32) -> Vec<u8> {
    let mut large = photo.resize_exact(side, side, FilterType::CatmullRom).into_rgb8().into_raw();
    let mut state = u64::from(side);
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // A sum of two numbers is closer to a bell curve than one number.
        ((state >> 60) + (state >> 52 & 15)) as u8
    })
    .take(100_003)
    .collect();
    for (sample, noise) in large.iter_mut().zip(noise.iter().cycle()) {
        *sample = sample.saturating_add(*noise).saturating_sub(15);
    }
    large
}

/// Compresses like a camera, with chroma at half the width and height.
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

/// Converts a square JPEG to a BMP, a format that is always decoded at full size.
fn bmp(jpeg: &[u8], side: u32) -> Vec<u8> {
    let mut decoded = mozjpeg::Decompress::new_mem(jpeg).unwrap().rgb().unwrap();
    let mut samples: Vec<u8> = decoded.read_scanlines().unwrap();
    assert_eq!(side % 4, 0, "the rows of a BMP are aligned to four bytes");
    samples.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    let length = samples.len() as u32;
    let mut bytes = b"BM".to_vec();
    // File size, reserved, offset of the pixels; then a header of 40 bytes. A negative height means
    // that the rows go from top to bottom.
    let words = [54 + length, 0, 54, 40, side, side.wrapping_neg(), 0x18_0001, 0, length, 0, 0, 0, 0];
    bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
    bytes.extend(samples);
    bytes
}

fn embedding(bytes: &[u8], embedder: &dyn Embedder) -> Vec<f32> {
    let input = &embedder.card().input;
    let limits = Limits { bytes: 1 << 30, ..Limits::default() };
    let probed = image::probe(bytes, &limits).unwrap();
    embedder.embed(&probed.input_image(input.side, input.fit, input.filter).unwrap()).unwrap()
}

#[test]
#[ignore = "needs the photos and models of ../shared"]
fn needs_shared_a_photo_decoded_at_a_fraction_keeps_its_embedding() {
    let card = ModelCard::find("mobilenetv2-keras", None).unwrap();
    let embedder = embed::load(&card, Some(&shared().join("models"))).unwrap();
    let photos = files_below(&shared().join("data/grocery/train"));
    let every = photos.len() / PHOTOS;
    let mut cosines = Vec::new();
    for (number, path) in photos.iter().step_by(every).take(PHOTOS).enumerate() {
        let side = side(number);
        let large = enlarged(&::image::open(path).unwrap(), side);
        let jpeg = jpeg(&large, side, number % 3 == 0);
        let found = embedding(&jpeg, &*embedder);
        cosines.push((cosine(&found, &embedding(&bmp(&jpeg, side), &*embedder)), side, path));
    }
    cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("{} photos, smallest cosines {:?}", cosines.len(), &cosines[..3]);
    assert_eq!(cosines.len(), PHOTOS);
    assert!(cosines[0].0 >= 0.999, "{:?}", &cosines[..3]);
    let scaled = cosines.iter().filter(|(cosine, ..)| *cosine < 1.0 - 1e-9).count();
    assert!(scaled > PHOTOS / 2, "only {scaled} embeddings differ, so most were decoded at full size");
}
