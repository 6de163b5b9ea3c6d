//! JPEG photos that are decoded at a fraction of their size must keep their embeddings.

use ::image::DynamicImage;
use ::image::imageops::FilterType;
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::embed::{self, Embedder};
use fruitvec::image;
use mozjpeg::{ColorSpace, Compress};

use crate::support::sample_table::embedder;
use crate::support::shared::{cosine, files_below, shared};

const PHOTOS: usize = 25;

/// The largest deviation of a cosine from 1 that scaled decoding may cause.
const TOLERANCE: f64 = 0.0005;

/// Returns the smallest side that is decoded at an eighth, a quarter or half of its size, for an
/// input of 224 pixels. The largest images take most of the time, so they are the rarest.
fn side(number: usize) -> u32 {
    match (number % 25, number % 5) {
        (0, _) => 7168,
        (_, 1) => 3584,
        _ => 1792,
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

/// Returns the cosine between the embeddings of a square JPEG and of its pixels at full size.
fn cosine_to_full_size(jpeg: &[u8], side: u32, embedder: &dyn Embedder) -> f64 {
    cosine(&embedding(jpeg, embedder), &embedding(&bmp(jpeg, side), embedder))
}

fn embedding(bytes: &[u8], embedder: &dyn Embedder) -> Vec<f32> {
    let input = &embedder.card().input;
    let limits = Limits { bytes: 1 << 30, decoded_bytes: 1 << 30, ..Limits::default() };
    let probed = image::probe(bytes, &limits).unwrap();
    embedder.embed(&probed.input_image(input.side, input.fit, input.filter).unwrap()).unwrap()
}

/// A picture: the level of each colour at a point.
type Picture = Box<dyn Fn(u32, u32) -> [u8; 3]>;

/// Returns a number that depends on two others like a random one.
fn hash(x: u32, y: u32) -> u32 {
    let mut state = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
    for _ in 0..2 {
        state = (state ^ (state >> 15)).wrapping_mul(0x2C1B_3C6D);
    }
    state ^ (state >> 16)
}

/// Lines of letters, black on white, each of five by seven dots.
fn text(dot: u32) -> Picture {
    Box::new(move |x, y| {
        let (column, line) = (x / dot, y / dot);
        let is_gap = column % 6 == 5 || line % 10 >= 7 || hash(column / 6, line / 10).is_multiple_of(6);
        let is_ink = hash(hash(column / 6, line / 10) % 26, column % 6 * 7 + line % 10) % 5 < 2;
        [if is_ink && !is_gap { 10 } else { 250 }; 3]
    })
}

/// Leaves of several shades, each in its own cell, with veins.
fn foliage(cell: u32) -> Picture {
    Box::new(move |x, y| {
        let leaf = hash(x / cell, y / cell);
        let (dx, dy) = ((x % cell) as i32 - cell as i32 / 2, (y % cell) as i32 - cell as i32 / 2);
        let along = if leaf & 1 == 0 { dx + dy } else { dx - dy };
        let across = if leaf & 1 == 0 { dx - dy } else { dx + dy };
        let is_leaf = along.abs() + 3 * across.abs() < cell as i32;
        let shade = if is_leaf { 90 + leaf % 150 } else { 15 + hash(x, y) % 50 };
        let shade = if across.abs() < 2 { shade / 2 } else { shade };
        [(shade * (40 + leaf % 40) / 100) as u8, shade as u8, (shade * 30 / 100) as u8]
    })
}

/// Two sets of parallel lines that cross at a small angle.
fn moire(period: f64, contrast: f64) -> Picture {
    Box::new(move |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        let lines = |angle: f64, period: f64| {
            let phase = (x * angle.cos() + y * angle.sin()) * std::f64::consts::TAU / period;
            128.0 + contrast * phase.sin()
        };
        let (first, second) = (lines(0.2, period), lines(0.25, period * 1.05));
        [first.min(second), (first + second) / 2.0, second].map(|level| level as u8)
    })
}

/// Rings that get finer towards the edges, up to two pixels.
fn rings(side: u32) -> Picture {
    Box::new(move |x, y| {
        let centre = f64::from(side) / 2.0;
        let square = (f64::from(x) - centre).powi(2) + (f64::from(y) - centre).powi(2);
        [(127.5 + 127.5 * (square * std::f64::consts::PI / f64::from(side)).cos()) as u8; 3]
    })
}

/// Draws a square picture and compresses it.
fn drawn(picture: &Picture, side: u32) -> Vec<u8> {
    let pixels = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    let rgb: Vec<u8> = pixels.flat_map(|(x, y)| picture(x, y)).collect();
    jpeg(&rgb, side, false)
}

#[test]
fn sharp_detail_keeps_its_embedding_at_every_scale() {
    let embedder = embedder();
    let input = embedder.card().input.side;
    let mut cosines = Vec::new();
    // Just large enough for half and for a quarter of their size.
    for (factor, step) in [(8, 1), (16, 3)] {
        let side = factor * input;
        let pictures: [(&str, Picture); 9] = [
            ("large foliage", foliage(60)),
            ("small text", text(2)),
            ("foliage", foliage(17)),
            ("rings", rings(side)),
            ("text", text(5)),
            ("coarse moiré", moire(31.0, 60.0)),
            ("moiré", moire(9.0, 127.0)),
            ("fine moiré", moire(3.3, 127.0)),
            ("noise", Box::new(|x, y| hash(x, y).to_le_bytes()[..3].try_into().unwrap())),
        ];
        for (name, picture) in pictures.iter().step_by(step) {
            let cosine = cosine_to_full_size(&drawn(picture, side), side, &*embedder);
            cosines.push((cosine, *name, side));
        }
    }
    cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("{} pictures, smallest cosines {:?}", cosines.len(), &cosines[..5]);
    assert!(cosines[0].0 >= 1.0 - TOLERANCE, "{:?}", &cosines[..5]);
    let scaled = cosines.iter().filter(|(cosine, ..)| *cosine < 1.0 - 1e-9).count();
    assert!(scaled > cosines.len() / 4, "only {scaled} embeddings differ, so most were decoded at full size");
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
        cosines.push((cosine_to_full_size(&jpeg, side, &*embedder), side, path));
    }
    cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("{} photos, smallest cosines {:?}", cosines.len(), &cosines[..3]);
    assert_eq!(cosines.len(), PHOTOS);
    assert!(cosines[0].0 >= 1.0 - TOLERANCE, "{:?}", &cosines[..3]);
    let scaled = cosines.iter().filter(|(cosine, ..)| *cosine < 1.0 - 1e-9).count();
    assert!(scaled > PHOTOS / 2, "only {scaled} embeddings differ, so most were decoded at full size");
}
