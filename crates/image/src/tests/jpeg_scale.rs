//! JPEGs much larger than the input image, which are decoded at a smaller scale.

use image::ImageFormat;
use mozjpeg::ColorSpace;

use super::fixtures::{PROGRESSIVE, encode, noisy_jpeg, striped_jpeg, textured};
use super::jpeg::flat;
use crate::fidelity::may_be_decoded_again;
use crate::jpeg;
use crate::probe::probe;
use crate::scale::Scale;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};

/// Returns JPEGs of every kind, with a name for each. No size is a multiple of a block.
fn jpegs() -> Vec<(String, Vec<u8>)> {
    let spaces = [ColorSpace::JCS_RGB, ColorSpace::JCS_GRAYSCALE, ColorSpace::JCS_CMYK];
    let mut jpegs = Vec::new();
    for (space, progressive) in spaces.into_iter().flat_map(|space| [(space, false), (space, true)]) {
        for (width, height) in [(1021, 1021), (517, 303), (141, 260)] {
            let name = format!("{space:?}, progressive: {progressive}, {width}×{height}");
            jpegs.push((name, noisy_jpeg(width, height, space, progressive)));
        }
    }
    jpegs
}

#[test]
fn a_scaled_jpeg_shows_the_same_as_the_full_one() {
    for (name, bytes) in jpegs() {
        let probed = probe(&bytes[..], &Limits::default()).unwrap();
        let header = *probed.header();
        for fit in [ResizeMode::Stretch, ResizeMode::Crop { shorter_side: 17 }] {
            assert_ne!(probed.scale(16, fit), Scale::FULL, "{name}");
            let scaled = probed.input_image(16, fit, Filter::Bicubic).unwrap();
            let full = probed.clone().without_scaling().input_image(16, fit, Filter::Bicubic).unwrap();
            let differences = scaled.rgb().iter().zip(full.rgb()).map(|(a, b)| a.abs_diff(*b));
            let (sum, max) = differences.fold((0, 0), |(sum, max), it| (sum + u32::from(it), max.max(it)));
            let mean = f64::from(sum) / scaled.rgb().len() as f64;
            assert!(mean < 1.0 && max < 40, "{name}, {fit:?}: mean {mean}, maximum {max}");
        }
        assert_eq!(header, *probe(&bytes, &Limits::default()).unwrap().header(), "{name}");
    }
}

/// Fails if libjpeg is built from code that rounds differently. Its C code and its x86 assembly
/// agree.
#[test]
fn every_build_of_libjpeg_decodes_the_same_pixels() {
    let full_chroma = encode(&textured(517, 303), ImageFormat::Jpeg);
    let subsampled = noisy_jpeg(517, 303, ColorSpace::JCS_RGB, false);
    let digests = [&full_chroma, &subsampled, PROGRESSIVE].map(|bytes| {
        let outline = jpeg::read_outline(bytes).unwrap();
        let header = outline.header();
        let mut pixels = Vec::new();
        for part in [32, 16, 8, 1] {
            let side = header.height / part;
            let scale = Scale::choose(header.width, header.height, side, ResizeMode::Stretch);
            assert_eq!(u32::from(scale.eighths()), (32 / part).min(8));
            pixels.extend(jpeg::decode(bytes, &outline, scale).unwrap().samples);
        }
        hex::encode(&ring::digest::digest(&ring::digest::SHA256, &pixels).as_ref()[..8])
    });
    assert_eq!(digests, ["ae6725b9464752d8", "f6e36d4f750fe7f0", "cf88781a07d95c5f"]);
}

#[test]
fn the_header_has_the_full_size() {
    let bytes = noisy_jpeg(517, 303, ColorSpace::JCS_RGB, false);
    let header = *probe(&bytes, &Limits::default()).unwrap().header();
    assert_eq!((header.width, header.height), (517, 303));
}

#[test]
fn memory_counts_only_the_decoded_pixels() {
    let probed = probe(flat::baseline(1600, 1200, &[0x22, 0x11, 0x11]), &Limits::default()).unwrap();
    let [full, scaled] = [601, 32].map(|side| probed.memory(side, ResizeMode::Stretch).unwrap());
    assert_eq!(full, probed.header().decoded_bytes + 3 * 601 * 1200);
    assert_eq!(full - scaled, 3 * (1600 * 1200 - 200 * 150) + 3 * (601 * 1200 - 32 * 150));
    let progressive = noisy_jpeg(1600, 1200, ColorSpace::JCS_RGB, true);
    let probed = probe(&progressive, &Limits::default()).unwrap();
    // The decoder keeps all coefficients at any scale, with two bytes each: one of luma per pixel,
    // and at least half of one of chroma.
    let scaled = probed.memory(64, ResizeMode::Stretch).unwrap();
    assert!(scaled >= 1600 * 1200 * 3, "{scaled}");
}

#[test]
fn only_the_bits_of_pixels_count_as_a_pattern() {
    let again = |bytes: &[u8]| may_be_decoded_again(&jpeg::read_outline(bytes).unwrap(), bytes.len());
    assert!(again(&striped_jpeg(517, 303, ColorSpace::JCS_RGB)));
    let flat = flat::baseline(517, 303, &[0x22, 0x11, 0x11]);
    let comment = [&[0xFF, 0xFE, 0xFF, 0xFF][..], &[0; 0xFFFD]].concat();
    assert!(!again(&[&flat[..2], &comment, &flat[2..]].concat()));
    assert!(!again(&[&flat[..], &comment].concat()));
}

/// Decoding in full would take seconds.
#[test]
fn a_large_jpeg_is_not_decoded_again() {
    let again = |width: u16, height: u16, scans: usize| {
        // As many coefficients as noise has, which this scan does not need.
        let mut bytes = flat::progressive(width, height, &[0x22, 0x11, 0x11], scans);
        let end = bytes.len() - 2;
        bytes.splice(end..end, vec![0; usize::from(width) * usize::from(height) / 4]);
        may_be_decoded_again(&jpeg::read_outline(&bytes).unwrap(), bytes.len())
    };
    assert_eq!([again(4000, 6000, 4), again(4000, 6008, 4)], [true, false]);
    // These scans visit 18 and 25 million blocks.
    assert_eq!([again(4000, 4000, 70), again(4000, 4000, 100)], [true, false]);
}

/// Stripes of five pixels, which are grey after resizing.
#[test]
fn a_fine_pattern_is_decoded_at_full_size() {
    for (space, width, height) in [
        (ColorSpace::JCS_RGB, 1021, 777),
        (ColorSpace::JCS_GRAYSCALE, 517, 640),
        (ColorSpace::JCS_CMYK, 517, 640),
    ] {
        let bytes = striped_jpeg(width, height, space);
        let probed = probe(&bytes[..], &Limits::default()).unwrap();
        for fit in [ResizeMode::Stretch, ResizeMode::Crop { shorter_side: 33 }] {
            assert_ne!(probed.scale(32, fit), Scale::FULL);
            let found = probed.input_image(32, fit, Filter::Bicubic).unwrap();
            let full = probed.clone().without_scaling().input_image(32, fit, Filter::Bicubic).unwrap();
            assert_eq!(found.rgb(), full.rgb(), "{space:?}, {fit:?}");
        }
    }
}
