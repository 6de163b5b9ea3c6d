//! Images, and assertions about their pixels.

use flate2::Crc;
use heifer::EncodeOptions;
use image::{DynamicImage, ImageFormat, RgbImage};
use mozjpeg::{ColorSpace, Compress};

use crate::input_image::InputImage;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
use fruitvec_core::rejection::{RejectCode, Rejection};

/// The colours of [`quadrants`]: red and green above blue and yellow.
pub(super) const QUADRANTS: [[u8; 3]; 4] = [[200, 40, 30], [40, 160, 60], [30, 60, 200], [230, 210, 50]];
pub(super) const WHITE: [u8; 3] = [255; 3];
pub(super) const PROGRESSIVE: &[u8] = include_bytes!("../../../../tests/photos/progressive.jpg");
pub(super) const LOSSY_WEBP: &[u8] = include_bytes!("../../../../tests/photos/lossy.webp");

pub(super) const HEIC_OPTIONS: EncodeOptions = EncodeOptions { quality: 95, max_threads: 1 };

/// The number of different rows in [`noisy_jpeg`]. Drawing millions of pixels would be slow.
const ROWS: usize = 13;

/// Returns an image of 32 × 32 pixels with four quadrants.
pub(super) fn quadrants() -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(32, 32, |x, y| {
        image::Rgb(QUADRANTS[(y / 16 * 2 + x / 16) as usize])
    }))
}

/// Returns an image that no format compresses well.
pub(super) fn textured(width: u32, height: u32) -> DynamicImage {
    let mut random = random();
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x as u8, y as u8, (random() >> 25) as u8])
    }))
}

/// Returns a JPEG with slanted stripes of five pixels, black and white.
pub(super) fn striped_jpeg(width: u32, height: u32, space: ColorSpace) -> Vec<u8> {
    let samples = match space {
        ColorSpace::JCS_CMYK => 4,
        ColorSpace::JCS_GRAYSCALE => 1,
        _ => 3,
    };
    let row = |y: u32| {
        (0..width).flat_map(move |x| {
            let stripe = if (x + 3 * y) % 10 < 5 { 0 } else { 255 };
            (0..samples).map(move |sample| if sample == 3 { 255 } else { stripe })
        })
    };
    let mut compress = Compress::new(space);
    compress.set_fastest_defaults();
    compress.set_size(width as usize, height as usize);
    compress.set_quality(90.0);
    let mut started = compress.start_compress(Vec::new()).unwrap();
    (0..height).for_each(|y| started.write_scanlines(&row(y).collect::<Vec<u8>>()).unwrap());
    started.finish().unwrap()
}

/// Returns a JPEG of the four quadrants with noise.
pub(super) fn noisy_jpeg(width: u32, height: u32, space: ColorSpace, progressive: bool) -> Vec<u8> {
    let mut random = random();
    let mut noisy = move |sample: u8| sample.saturating_add((random() >> 29) as u8);
    let mut row = |half: usize| {
        let colours = (0..width).map(|x| QUADRANTS[half + (2 * x / width) as usize]);
        let mut samples = Vec::new();
        for [r, g, b] in colours {
            match space {
                ColorSpace::JCS_CMYK => samples.extend([r, g, b, 255].map(&mut noisy)),
                ColorSpace::JCS_GRAYSCALE => samples.push(noisy(g)),
                _ => samples.extend([r, g, b].map(&mut noisy)),
            }
        }
        samples
    };
    let halves = [0, 2].map(|half| [(); ROWS].map(|()| row(half)));
    let rows = (0..height as usize).map(|y| &halves[2 * y / height as usize][y % ROWS]);
    let mut compress = Compress::new(space);
    compress.set_fastest_defaults();
    compress.set_size(width as usize, height as usize);
    compress.set_quality(90.0);
    if progressive {
        compress.set_progressive_mode();
    }
    let mut started = compress.start_compress(Vec::new()).unwrap();
    rows.for_each(|row| started.write_scanlines(row).unwrap());
    started.finish().unwrap()
}

/// Returns a linear congruential generator. Only the upper bits of its numbers are random.
fn random() -> impl FnMut() -> u32 {
    let mut state = 1_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    }
}

pub(super) fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(super) fn png_chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(payload);
    [&(payload.len() as u32).to_be_bytes(), name, payload, &crc.sum().to_be_bytes()].concat()
}

fn webp_chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if payload.len() % 2 == 1 { &[0] } else { &[] };
    [name, &(payload.len() as u32).to_le_bytes(), payload, padding].concat()
}

/// Returns an extended WebP with these flags, and with these chunks after the pixels.
pub(super) fn webp(image: &DynamicImage, flags: u8, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let simple = encode(image, ImageFormat::WebP);
    let last = |side: u32| (side - 1).to_le_bytes();
    let [w, h] = [last(image.width()), last(image.height())];
    let extended = webp_chunk(b"VP8X", &[flags, 0, 0, 0, w[0], w[1], w[2], h[0], h[1], h[2]]);
    let chunks: Vec<u8> = chunks.iter().flat_map(|(name, payload)| webp_chunk(name, payload)).collect();
    let chunks = [b"WEBP", &extended[..], &simple[12..], &chunks].concat();
    [b"RIFF", &(chunks.len() as u32).to_le_bytes()[..], &chunks].concat()
}

/// Returns a HEIC, of many pictures if one side has more than 512 pixels.
pub(super) fn heic(image: &DynamicImage) -> Vec<u8> {
    heifer::encode_rgb8(image.width(), image.height(), image.to_rgb8().as_raw(), &HEIC_OPTIONS).unwrap()
}

/// Probes a file, decodes it, and stretches it to `side` pixels.
pub(super) fn input_image(bytes: &[u8], side: u32) -> Result<InputImage, Rejection> {
    probe(bytes, &Limits::default())?.input_image(side, ResizeMode::Stretch, Filter::Bicubic)
}

pub(super) fn reject_code<T>(result: Result<T, Rejection>) -> Option<RejectCode> {
    result.err().map(|rejection| rejection.code)
}

pub(super) fn pixel(image: &InputImage, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * image.side() + x) * 3) as usize;
    [image.rgb()[at], image.rgb()[at + 1], image.rgb()[at + 2]]
}

/// Returns the pixel at the centre of each quadrant of an image of 32 × 32 pixels.
pub(super) fn centres(image: &InputImage) -> [[u8; 3]; 4] {
    [(8, 8), (24, 8), (8, 24), (24, 24)].map(|(x, y)| pixel(image, x, y))
}

/// Asserts that a file shows four quadrants of these colours.
#[track_caller]
pub(super) fn assert_shows(bytes: &[u8], expected: [[u8; 3]; 4], tolerance: u8) {
    let found = centres(&input_image(bytes, 32).unwrap());
    let is_near =
        found.as_flattened().iter().zip(expected.as_flattened()).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(is_near, "{found:?} is not {expected:?}");
}
