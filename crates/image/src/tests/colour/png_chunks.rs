//! The chunks of a PNG that declare its colour space, and their order of precedence.

use image::{GrayImage, ImageFormat};

use super::encoding::{Space, random_colours, with_profile};
use crate::tests::fixtures::{encode, input_image, pixel, png_chunk};

/// Inserts a chunk after a PNG's header.
fn insert(png: &[u8], name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&png[..33], &png_chunk(name, content), &png[33..]].concat()
}

fn integers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A gAMA chunk, of 100,000 ÷ gamma.
fn gama(gamma: u32) -> Vec<u8> {
    integers(&[gamma])
}

const SRGB: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];
const ADOBE: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000];
/// Code points of Display P3: primaries 12, the curve of sRGB, no matrix, full range.
const CICP_P3: &[u8] = &[12, 13, 0, 1];
const CICP_SRGB: &[u8] = &[1, 13, 0, 1];

/// Asserts that a PNG of random colours shows the colours of a space, or of sRGB for `None`.
#[track_caller]
fn assert_space(png: &[u8], space: Option<&Space>) {
    let found = input_image(png, 16).unwrap();
    for (colour, found) in random_colours(16).pixels().zip(found.rgb().as_chunks::<3>().0) {
        let expected = space.map_or(colour.0, |space| space.srgb(colour.0));
        let tolerance = u8::from(space.is_some());
        let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= tolerance);
        assert!(is_near, "{:?} became {found:?}, not {expected:?}", colour.0);
    }
}

#[test]
fn each_chunk_declares_a_space() {
    let [p3, adobe, prophoto] = Space::all();
    let plain = encode(&random_colours(16).into(), ImageFormat::Png);
    assert_space(&plain, None);
    assert_space(&insert(&plain, b"cICP", CICP_P3), Some(&p3));
    assert_space(&insert(&plain, b"cICP", CICP_SRGB), None);
    assert_space(&insert(&plain, b"sRGB", &[0]), None);
    let profile = prophoto.profile.encode().unwrap();
    assert_space(&with_profile(&random_colours(16).into(), ImageFormat::Png, &profile), Some(&prophoto));
    let chromaticities = insert(&plain, b"cHRM", &integers(&ADOBE));
    assert_space(&insert(&chromaticities, b"gAMA", &gama(45_471)), Some(&adobe));
}

#[test]
fn the_order_of_precedence_is_that_of_the_specification() {
    let [p3, adobe, prophoto] = Space::all();
    let profile = prophoto.profile.encode().unwrap();
    let with_all = |names: &[&[u8; 4]]| {
        let image = random_colours(16).into();
        let mut png = match names.contains(&b"iCCP") {
            true => with_profile(&image, ImageFormat::Png, &profile),
            false => encode(&image, ImageFormat::Png),
        };
        for name in names {
            png = match *name {
                b"cICP" => insert(&png, b"cICP", CICP_P3),
                b"sRGB" => insert(&png, b"sRGB", &[0]),
                b"gAMA" => insert(&png, b"gAMA", &gama(45_471)),
                b"cHRM" => insert(&png, b"cHRM", &integers(&ADOBE)),
                _ => png,
            };
        }
        png
    };
    assert_space(&with_all(&[b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP"]), Some(&p3));
    assert_space(&with_all(&[b"gAMA", b"cHRM", b"sRGB", b"iCCP"]), Some(&prophoto));
    assert_space(&with_all(&[b"gAMA", b"cHRM", b"sRGB"]), None);
    assert_space(&with_all(&[b"gAMA", b"cHRM"]), Some(&adobe));
}

#[test]
fn gamma_counts_as_in_a_browser() {
    let plain = encode(&random_colours(16).into(), ImageFormat::Png);
    // What encoders write for sRGB, with or without its primaries.
    let gamma = insert(&plain, b"gAMA", &gama(45_455));
    assert_space(&gamma, None);
    assert_space(&insert(&gamma, b"cHRM", &integers(&SRGB)), None);
    assert_space(&insert(&plain, b"cHRM", &integers(&SRGB)), None);
    for nonsense in [0, 1, 5_000, 2_000_000, u32::MAX] {
        assert_space(&insert(&plain, b"gAMA", &gama(nonsense)), None);
    }
    // Half of the light is level 188 of sRGB.
    for image in [GrayImage::from_pixel(4, 4, image::Luma([128])).into(), grey_rgb(128)] {
        let linear = insert(&encode(&image, ImageFormat::Png), b"gAMA", &gama(100_000));
        assert_eq!(pixel(&input_image(&linear, 4).unwrap(), 2, 2), [188; 3]);
    }
}

fn grey_rgb(level: u8) -> image::DynamicImage {
    image::RgbImage::from_pixel(4, 4, image::Rgb([level; 3])).into()
}

#[test]
fn a_chunk_that_makes_no_sense_is_skipped() {
    let adobe = &Space::all()[1];
    let profile = adobe.profile.encode().unwrap();
    let png = with_profile(&random_colours(16).into(), ImageFormat::Png, &profile);
    // Reserved and unspecified primaries, curves of HDR, a narrow range.
    for cicp in [&[0, 13, 0, 1], &[2, 2, 0, 1], &[9, 16, 0, 1], &[9, 18, 0, 1], &[12, 13, 0, 0]] {
        assert_space(&insert(&png, b"cICP", cicp), Some(adobe));
    }
    let plain = encode(&random_colours(16).into(), ImageFormat::Png);
    for chromaticities in [[0; 8], [u32::MAX; 8], [31_270, 0, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000]]
    {
        let png = insert(&plain, b"cHRM", &integers(&chromaticities));
        assert_eq!(input_image(&png, 16).unwrap(), input_image(&plain, 16).unwrap(), "{chromaticities:?}");
    }
}
