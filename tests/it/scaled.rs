//! Photos as large as a phone's are decoded in part: what becomes of them must be what the whole of them becomes.

use fruitvec::embed::{self, Embedder};
use fruitvec::model::ModelCard;
use fruitvec::pixels::{self, Filter, Fit, Limits, Square};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, RgbImage};

use crate::fixture::encoded;
use crate::golden::{cosine, shared};

const PHOTOS: usize = 50;
/// Sides of the pictures: for 224 pixels they are decoded at a half, a quarter and an eighth.
const SIDES: [u32; 3] = [1000, 1800, 3600];

/// A photo blown up, with the grain of a sensor.
fn blown_up(photo: &DynamicImage, side: u32) -> RgbImage {
    let mut large = photo.resize_exact(side, side, FilterType::CatmullRom).into_rgb8();
    let mut state = u64::from(side);
    let grain: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The mean of two is nearer to a bell than one.
        ((state >> 60) + (state >> 52 & 15)) as u8
    })
    .take(100_003)
    .collect();
    for some in large.chunks_mut(grain.len()) {
        some.iter_mut()
            .zip(&grain)
            .for_each(|(sample, grain)| *sample = sample.saturating_add(*grain).saturating_sub(15));
    }
    large
}

fn embedding(bytes: &[u8], embedder: &dyn Embedder) -> Vec<f32> {
    let input = &embedder.card().input;
    let limits = Limits { bytes: 1 << 30, ..Limits::default() };
    let pending = pixels::inspect(bytes, &limits).unwrap();
    embedder.embed(&pending.square(input.side, input.fit, input.filter).unwrap()).unwrap()
}

/// All pixels of a square JPEG, as a format that is always decoded whole.
fn whole(jpeg: &[u8], side: u32) -> Vec<u8> {
    let pending = pixels::inspect(jpeg, &Limits::default()).unwrap();
    let square: Square = pending.square(side, Fit::Stretch, Filter::Bicubic).unwrap();
    encoded(&RgbImage::from_raw(side, side, square.rgb().to_vec()).unwrap(), ImageFormat::Bmp)
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
        let side = SIDES[number % SIDES.len()];
        let large = blown_up(&image::open(path).unwrap(), side);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&large).unwrap();
        let found = embedding(&jpeg, &*embedder);
        cosines.push((cosine(&found, &embedding(&whole(&jpeg, side), &*embedder)), side, path));
    }
    cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("{} photos, least cosines {:?}", cosines.len(), &cosines[..3]);
    assert_eq!(cosines.len(), PHOTOS);
    assert!(cosines[0].0 >= 0.999, "{:?}", &cosines[..3]);
}
