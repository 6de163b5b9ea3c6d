//! Every decoder: no file makes one panic, and the same bytes always have the same outcome.

use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{Filter, ResizeMode};
use fruitvec::image::probe;
use fruitvec::rejection::{RejectCode, Rejection};
use fruitvec_sample_photos::{KINDS, paint};
use image::imageops::FilterType::Nearest;
use image::{ColorType, DynamicImage, ImageFormat};

use super::boundaries::repair_png;
use super::target::Target;
#[cfg(target_os = "linux")]
use crate::support::process_memory::{alone, reset_peak, resident};

fn embedded(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let limits = Limits { bytes: 4 << 20, pixels: 1 << 18, decoded_bytes: 8 << 20, ..Limits::default() };
    let probed = probe(bytes.to_vec(), &limits)?;
    let header = probed.header();
    let pixels = u64::from(header.width) * u64::from(header.height);
    // The limits on a JPEG depend on its coding, and on the scale at which it is decoded.
    if bytes.starts_with(b"\xFF\xD8\xFF") {
        assert!(pixels <= limits.baseline_pixels(), "{pixels} pixels");
    } else {
        assert!(pixels <= limits.pixels && header.decoded_bytes <= limits.decoded_bytes, "{pixels} pixels");
    }
    let input = probed.input_image(16, ResizeMode::Crop { shorter_side: 20 }, Filter::Bicubic)?;
    assert_eq!(input.rgb().len(), 3 * 16 * 16);
    Ok(input.rgb().to_vec())
}

fn check(bytes: &[u8]) {
    let outcome = embedded(bytes);
    if let Err(rejection) = &outcome {
        assert_ne!(rejection.code, RejectCode::Panicked, "{rejection}");
        assert!(!rejection.message.is_empty() && rejection.message.len() < 1_000, "{rejection}");
    }
    let again = embedded(bytes);
    assert!(outcome == again, "two outcomes: {:?} and {:?}", outcome.err(), again.err());
}

fn fuzz(name: &'static str, cases: u32, seeds: Vec<Vec<u8>>) {
    for seed in &seeds {
        embedded(seed).unwrap();
    }
    Target { name, cases, seeds, repair: repair_png }.run(check);
}

/// Sample photos in this format, in several types of pixels.
fn painted(format: ImageFormat, colors: &[ColorType]) -> Vec<Vec<u8>> {
    let images = colors.iter().zip(KINDS.iter().cycle()).zip(0..);
    let encoded = images.map(|((color, kind), number)| {
        let image = DynamicImage::from(paint(*kind, number, 40));
        let mut bytes = std::io::Cursor::new(Vec::new());
        let image = match color {
            ColorType::L8 => DynamicImage::from(image.to_luma8()),
            ColorType::La8 => DynamicImage::from(image.to_luma_alpha8()),
            ColorType::Rgba8 => DynamicImage::from(image.to_rgba8()),
            ColorType::L16 => DynamicImage::from(image.to_luma16()),
            ColorType::Rgb16 => DynamicImage::from(image.to_rgb16()),
            _ => image,
        };
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    encoded.collect()
}

fn jpegs() -> Vec<Vec<u8>> {
    let mut seeds = painted(ImageFormat::Jpeg, &[ColorType::Rgb8, ColorType::L8]);
    seeds.push(include_bytes!("../../photos/progressive.jpg").to_vec());
    seeds.push(include_bytes!("../../photos/cmyk.jpg").to_vec());
    seeds
}

fn pngs() -> Vec<Vec<u8>> {
    let colors = [ColorType::Rgb8, ColorType::La8, ColorType::Rgba8, ColorType::L16, ColorType::Rgb16];
    let mut seeds = painted(ImageFormat::Png, &colors);
    seeds.push(include_bytes!("../../photos/palette.png").to_vec());
    seeds.push(include_bytes!("../../photos/one_bit.png").to_vec());
    seeds
}

fn tiffs() -> Vec<Vec<u8>> {
    let mut seeds = painted(ImageFormat::Tiff, &[ColorType::Rgb8, ColorType::L8, ColorType::Rgba8]);
    seeds.push(include_bytes!("../../photos/cmyk.tif").to_vec());
    seeds.push(include_bytes!("../../photos/one_bit.tif").to_vec());
    seeds
}

fn other_formats() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../photos/lossy.webp").to_vec(),
        include_bytes!("../../photos/palette.bmp").to_vec(),
        gif(),
    ]
}

fn heics() -> Vec<Vec<u8>> {
    let options = heifer::EncodeOptions { quality: 50, max_threads: 1 };
    // A side of more than 512 pixels makes a grid of pictures.
    [(40, 40), (520, 24)]
        .map(|(width, height)| {
            let photo = DynamicImage::from(paint(KINDS[2], 7, 40)).resize_exact(width, height, Nearest);
            heifer::encode_rgb8(width, height, photo.to_rgb8().as_raw(), &options).unwrap()
        })
        .to_vec()
}

#[test]
fn edited_jpegs_are_embedded_or_rejected() {
    fuzz("jpeg", 3_000, jpegs());
}

#[test]
fn edited_pngs_are_embedded_or_rejected() {
    fuzz("png", 3_000, pngs());
}

#[test]
fn edited_tiffs_are_embedded_or_rejected() {
    fuzz("tiff", 3_000, tiffs());
}

#[test]
fn edited_heics_are_embedded_or_rejected() {
    fuzz("heic", 1_000, heics());
}

#[test]
fn edited_images_of_other_formats_are_embedded_or_rejected() {
    fuzz("other-formats", 3_000, other_formats());
}

/// The limit on memory is 8 MiB. This is twice as much, because the heap grows in larger steps.
#[cfg(target_os = "linux")]
const MAX_GROWTH: u64 = 16 << 20;

#[cfg(target_os = "linux")]
#[test]
fn edited_images_take_no_more_memory_than_the_limit() {
    if !alone("fuzz::images::edited_images_take_no_more_memory_than_the_limit") {
        return;
    }
    let seeds = [jpegs(), pngs(), tiffs(), heics(), other_formats()].into_iter().flatten().collect();
    Target { name: "image-memory", cases: 2_000, seeds, repair: repair_png }.run(|bytes| {
        reset_peak();
        let (before, _) = resident();
        _ = embedded(bytes);
        let growth = resident().1.saturating_sub(before);
        assert!(growth <= MAX_GROWTH, "{growth} bytes");
    });
}

/// A GIF of two frames of one pixel, written by hand because no encoder is a dependency.
fn gif() -> Vec<u8> {
    let frame = b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    let header = b"GIF89a\x01\0\x01\0\x80\0\0\xFF\x80\x40\0\0\0";
    [&header[..], b"\x21\xF9\x04\x01\0\0\0\0", frame, frame, b"\x3B"].concat()
}
