//! Orientation, fits and filters.

use image::{ImageFormat, RgbImage};

use super::fixtures::{QUADRANTS, assert_shows, encode, input_image, pixel, quadrants, textured};
use crate::header::Header;
use crate::input_image::InputImage;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};

/// A row of Pillow 13's `Image.fromarray([[0, 0, 255, 255]] * 4).resize((8, 8), BICUBIC)`.
const PILLOW_EDGE: [u8; 8] = [0, 0, 0, 52, 203, 255, 255, 255];

/// Inserts an EXIF segment with this orientation after a JPEG's first marker.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let exif = [
        &b"\xFF\xE1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
        &[orientation, 0, 0, 0, 0, 0, 0],
    ];
    [&jpeg[..2], exif[0], exif[1], &jpeg[2..]].concat()
}

#[test]
fn every_exif_orientation_is_turned_upright() {
    let upright = encode(&quadrants(), ImageFormat::Jpeg);
    let [red, green, blue, yellow] = QUADRANTS;
    let expected = [
        [red, green, blue, yellow],
        [green, red, yellow, blue],
        [yellow, blue, green, red],
        [blue, yellow, red, green],
        [red, blue, green, yellow],
        [blue, red, yellow, green],
        [yellow, green, blue, red],
        [green, yellow, red, blue],
    ];
    for (orientation, expected) in (1..).zip(expected) {
        assert_shows(&with_orientation(&upright, orientation), expected, 6);
    }
    for unknown in [0, 9, 255] {
        assert_shows(&with_orientation(&upright, unknown), QUADRANTS, 6);
    }
}

#[test]
fn the_header_has_the_upright_width_and_height() {
    let jpeg = encode(&textured(60, 40), ImageFormat::Jpeg);
    for (orientation, expected) in [(1, (60, 40)), (4, (60, 40)), (5, (40, 60)), (6, (40, 60)), (8, (40, 60))]
    {
        let probed = probe(with_orientation(&jpeg, orientation), &Limits::default()).unwrap();
        let Header { width, height, .. } = *probed.header();
        assert_eq!((width, height), expected, "orientation {orientation}");
        probed.input_image(32, ResizeMode::Crop { shorter_side: 36 }, Filter::Bilinear).unwrap();
    }
}

#[test]
fn an_image_of_the_right_size_is_not_resized() {
    let image = textured(48, 48);
    for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3] {
        for fit in [ResizeMode::Stretch, ResizeMode::Crop { shorter_side: 48 }] {
            let png = encode(&image, ImageFormat::Png);
            let input = probe(png, &Limits::default()).unwrap().input_image(48, fit, filter).unwrap();
            assert_eq!(input.rgb(), image.as_bytes());
        }
    }
}

#[test]
fn one_pixel_fills_the_square() {
    let image = RgbImage::from_pixel(1, 1, image::Rgb(QUADRANTS[2]));
    let input = input_image(&encode(&image.into(), ImageFormat::Png), 8).unwrap();
    assert!(input.rgb().chunks(3).all(|pixel| pixel == QUADRANTS[2]));
}

#[test]
fn a_crop_shows_the_centre() {
    // Green between red margins, each 20 pixels wide.
    let image = RgbImage::from_fn(100, 60, |x, _| image::Rgb(QUADRANTS[usize::from((20..80).contains(&x))]));
    let png = encode(&image.into(), ImageFormat::Png);
    let crop = |shorter_side| {
        let probed = probe(&png, &Limits::default()).unwrap();
        probed.input_image(30, ResizeMode::Crop { shorter_side }, Filter::Bilinear).unwrap()
    };
    // The whole shorter side: 60 × 60 source pixels, all green except where the kernel reaches
    // beyond both edges.
    assert!((1..29).all(|x| pixel(&crop(30), x, 15) == QUADRANTS[1]));
    assert!(crop(40).rgb().chunks(3).all(|pixel| pixel == QUADRANTS[1]));
    assert_eq!(crop(10), crop(30), "a shorter side below the square's side counts as the square's side");
}

#[test]
fn every_filter_has_its_own_kernel() {
    let png = encode(&textured(64, 64), ImageFormat::Png);
    let probed = probe(png, &Limits::default()).unwrap();
    let [bilinear, bicubic, lanczos] = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3]
        .map(|filter| probed.input_image(30, ResizeMode::Stretch, filter).unwrap());
    assert!(bilinear != bicubic && bicubic != lanczos && lanczos != bilinear);
    assert_eq!(serde_json::to_string(&Filter::Lanczos3).unwrap(), "\"lanczos3\"");
}

#[test]
fn a_bicubic_edge_equals_pillows() {
    let image = image::GrayImage::from_fn(4, 4, |x, _| image::Luma([if x < 2 { 0 } else { 255 }]));
    let input = input_image(&encode(&image.into(), ImageFormat::Png), 8).unwrap();
    let row: Vec<u8> = (0..8).map(|x| pixel(&input, x, 3)[0]).collect();
    assert_eq!(row, PILLOW_EDGE);
}

#[test]
fn an_input_image_has_three_bytes_per_pixel() {
    assert!(InputImage::new(2, vec![0; 12]).is_some());
    assert!(InputImage::new(2, vec![0; 11]).is_none());
    assert!(InputImage::new(u32::MAX, vec![]).is_none());
}
