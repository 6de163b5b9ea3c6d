//! The memory that decoding takes, measured by the operating system.
//!
//! Each peak is measured in a separate process: this test program, started again for one file.

use std::path::Path;
use std::process::Command;

use image::codecs::png::PngEncoder;
use image::{ColorType, DynamicImage, ImageEncoder, ImageFormat};
use mozjpeg::ColorSpace;

use super::fixtures::{
    LOSSY_WEBP, QUADRANTS, assert_shows, encode, heic, noisy_jpeg, png_chunk, quadrants, striped_jpeg,
    textured,
};
use super::heif::heic_of_one_picture;
use super::jpeg::flat;
use crate::header::Header;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
use fruitvec_core::rejection::RejectCode;

/// Environment variables for the child: the file, and the side of the input image.
const FILE: &str = "FRUITVEC_TEST_PEAK_OF";
const SIDE: &str = "FRUITVEC_TEST_PEAK_AT";
/// Allowance for the allocator and the decoders' small tables, in bytes.
const SLACK: u64 = 3 << 20;
/// Pages that the kernel has not yet added to a process's figures, in bytes: 32 of each of three
/// kinds, on each of a few CPUs, in either of two figures.
const UNCOUNTED: u64 = 2 << 20;

/// Reads a line of `/proc/self/status`, in bytes.
fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Runs in the child: decodes the file, and writes the growth of the process to a file next to it.
fn measure(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let side = std::env::var(SIDE).unwrap().parse().unwrap();
    let decode = || {
        _ = probe(&bytes, &Limits::default())
            .and_then(|probed| probed.input_image(side, ResizeMode::Stretch, Filter::Bicubic));
    };
    // The first run also loads pages of the program.
    decode();
    // Writing 5 resets the peak, see proc(5).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    decode();
    let growth = status("VmHWM:").saturating_sub(before);
    std::fs::write(path.with_extension("peak"), growth.to_string()).unwrap();
}

/// Returns the bytes by which a process grows when it turns this file into an input image of `side`
/// pixels. `test` is the name of the calling test, which must call [`measure`] in the child.
fn growth(side: u32, bytes: &[u8], test: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    std::fs::write(&path, bytes).unwrap();
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program);
    child
        .args(["--exact", &name])
        .env(FILE, &path)
        .env(SIDE, side.to_string())
        // The allocator then returns freed blocks of this size to the system immediately, so the
        // process is only as large as the memory in use.
        .env("MALLOC_MMAP_THRESHOLD_", "65536");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read_to_string(path.with_extension("peak")).unwrap().parse().unwrap()
}

/// Returns files of every format, each with a name. All but the thin one are 1600 × 1200 pixels.
fn files() -> Vec<(String, Vec<u8>)> {
    let image = textured(1600, 1200);
    let opaque = |image: DynamicImage| DynamicImage::from(image.to_rgba8());
    let formats =
        [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP];
    let mut files: Vec<(String, Vec<u8>)> =
        formats.map(|format| (format!("{format:?}"), encode(&image, format))).to_vec();
    // Shades of grey fit into a palette. With more colours, the encoder takes half a minute to
    // choose one.
    files.push(("GIF".to_owned(), encode(&opaque(image.to_luma8().into()), ImageFormat::Gif)));
    files.push(("RGBA WebP".to_owned(), encode(&opaque(image.clone()), ImageFormat::WebP)));
    files.push(("16-bit PNG".to_owned(), encode(&image.to_rgb16().into(), ImageFormat::Png)));
    let mut shifted = encode(&opaque(image.to_luma8().into()), ImageFormat::Gif);
    shifted[6] += 1;
    files.push(("GIF with a narrower frame".to_owned(), shifted));
    files.push(("16-bit RGBA PNG".to_owned(), encode(&image.to_rgba16().into(), ImageFormat::Png)));
    files.push(("16-bit TIFF".to_owned(), encode(&image.to_rgb16().into(), ImageFormat::Tiff)));
    files.push(("progressive JPEG".to_owned(), noisy_jpeg(1600, 1200, ColorSpace::JCS_RGB, true)));
    files.push(("striped JPEG".to_owned(), striped_jpeg(1600, 1200, ColorSpace::JCS_RGB)));
    files.push(("flat JPEG".to_owned(), flat::baseline(1600, 1200, &[0x22, 0x11, 0x11])));
    files.push(("HEIC".to_owned(), heic(&image)));
    files.push((
        "HEIC of one picture".to_owned(),
        heic_of_one_picture(&image, image.width(), image.height(), 1),
    ));
    files.push(("thin HEIC".to_owned(), heic_of_one_picture(&textured(16_384, 64), 16_384, 1, 1)));
    files
}

/// Declares another width and height in a PNG.
fn set_size(png: &mut [u8], width: u32, height: u32) {
    let header = [&width.to_be_bytes(), &height.to_be_bytes(), &png[24..29]].concat();
    png[8..33].copy_from_slice(&png_chunk(b"IHDR", &header));
}

#[test]
fn no_decoder_exceeds_the_declared_memory() {
    if let Some(path) = std::env::var_os(FILE) {
        return measure(Path::new(&path));
    }
    let files = files();
    // A JPEG is decoded at half its size for 130 pixels, and at full size for 601. For other
    // formats the side makes no difference.
    let jpegs = files.iter().filter(|(name, _)| name.ends_with("JPEG") || name.ends_with("Jpeg"));
    for ((name, bytes), side) in files.iter().map(|file| (file, 130)).chain(jpegs.map(|file| (file, 601))) {
        let probed = probe(bytes, &Limits::default()).unwrap();
        let scale = probed.scale(side, ResizeMode::Stretch);
        let Header { width, height, .. } = *probed.header();
        let growth = growth(side, bytes, "no_decoder_exceeds_the_declared_memory");
        let declared = probed.memory(side, ResizeMode::Stretch).unwrap() + 3 * u64::from(side * side) + SLACK;
        assert!(growth <= declared, "{name} to {side}: {growth} > {declared}");
        let pixels = u64::from(scale.apply(width)) * u64::from(scale.apply(height));
        // This says nothing about a JPEG at half its size, but each is also decoded at full size.
        assert!(
            growth + UNCOUNTED >= 3 * pixels,
            "{name} to {side}: {growth} bytes are too few for the image: nothing was measured"
        );
    }
}

#[test]
fn a_photo_from_a_phone_takes_less_than_60_megabytes() {
    if let Some(path) = std::env::var_os(FILE) {
        return measure(Path::new(&path));
    }
    for progressive in [false, true] {
        let bytes = noisy_jpeg(4032, 3024, ColorSpace::JCS_RGB, progressive);
        let growth = growth(224, &bytes, "a_photo_from_a_phone_takes_less_than_60_megabytes");
        let peak = growth + bytes.len() as u64;
        assert!(peak < 60_000_000, "progressive: {progressive}: {peak}");
        assert!(peak > 3 * 1008 * 756, "progressive: {progressive}: nothing was measured");
    }
}

#[test]
fn large_jpegs_take_little_memory() {
    if let Some(path) = std::env::var_os(FILE) {
        return measure(Path::new(&path));
    }
    let factors = [0x22, 0x11, 0x11];
    let baseline = (flat::baseline(12_000, 9_000, &factors), 128 << 20);
    let progressive = (flat::progressive(8_000, 6_000, &factors, 4), 210 << 20);
    for (bytes, limit) in [baseline, progressive] {
        let declared = probe(&bytes, &Limits::default()).unwrap().memory(224, ResizeMode::Stretch).unwrap();
        let growth = growth(224, &bytes, "large_jpegs_take_little_memory");
        assert!(growth <= declared + SLACK && declared <= limit, "{growth}, {declared}");
        assert!(growth + UNCOUNTED > 3 * 12_000 * 9_000 / 64, "{growth}: nothing was measured");
    }
}

#[test]
fn an_image_over_the_memory_limit_is_rejected_before_anything_is_allocated() {
    if let Some(path) = std::env::var_os(FILE) {
        return measure(Path::new(&path));
    }
    // 64 megapixels are within the pixel limit, but the decoder needs planes next to its output.
    let mut webp = LOSSY_WEBP.to_vec();
    webp[26..30].copy_from_slice(&[0x40, 0x1F, 0x40, 0x1F]);
    let rejection = probe(&webp, &Limits::default()).unwrap_err();
    assert_eq!(rejection.code, RejectCode::DecodedTooLarge);
    assert!(rejection.message.contains("8000×8000 pixels take 304000000 bytes"), "{rejection}");
    let growth = growth(64, &webp, "an_image_over_the_memory_limit_is_rejected_before_anything_is_allocated");
    assert!(growth <= SLACK, "{growth}");
}

/// Everything but the largest lossy WebP fits, whatever its samples are.
#[test]
fn images_of_64_megapixels_are_accepted() {
    let image = textured(8, 8);
    let accepted = |bytes: &[u8]| {
        let probed = probe(bytes, &Limits::default()).unwrap();
        assert_eq!((probed.header().width, probed.header().height), (8000, 8000));
    };
    for image in [image.clone(), image.to_rgb16().into(), image.to_rgba16().into()] {
        let mut png = encode(&image, ImageFormat::Png);
        set_size(&mut png, 8000, 8000);
        accepted(&png);
    }
    let mut gif = encode(&image, ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0x40, 0x1F, 0x40, 0x1F]);
    accepted(&gif);
    for image in [image.clone(), image.to_rgba8().into()] {
        let mut webp = encode(&image, ImageFormat::WebP);
        let size = u32::from_le_bytes(*webp[21..].first_chunk().unwrap()) & !0x0FFF_FFFF | 7999 << 14 | 7999;
        webp[21..25].copy_from_slice(&size.to_le_bytes());
        accepted(&webp);
    }
}

/// The resizer's first pass would turn it into a strip of 64,000,000 × side pixels.
#[test]
fn an_image_one_pixel_wide_and_millions_high_is_rejected() {
    let mut png = encode(&textured(8, 8), ImageFormat::Png);
    set_size(&mut png, 1, 64_000_000);
    let rejection = probe(&png, &Limits::default()).unwrap_err();
    assert_eq!(rejection.code, RejectCode::TooManyPixels);
    assert!(rejection.message.contains("no side may exceed 65500"), "{rejection}");
}

#[test]
fn a_profile_that_inflates_too_far_is_dropped() {
    if let Some(path) = std::env::var_os(FILE) {
        return measure(Path::new(&path));
    }
    let mut png = Vec::new();
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_icc_profile(vec![0; 100 << 20]).unwrap();
    encoder.write_image(quadrants().as_bytes(), 32, 32, ColorType::Rgb8.into()).unwrap();
    assert!(png.len() < 1 << 20, "{}", png.len());
    assert_shows(&png, QUADRANTS, 0);
    let growth = growth(64, &png, "a_profile_that_inflates_too_far_is_dropped");
    assert!(growth <= (16 << 20), "{growth}");
}
