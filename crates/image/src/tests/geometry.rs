//! Fits and filters.

use image::{ImageFormat, RgbImage};

use super::fixtures::{QUADRANTS, encode, input_image, pixel, textured};
use crate::input_image::InputImage;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};

/// A row of Pillow 13's `Image.fromarray([[0, 0, 255, 255]] * 4).resize((8, 8), BICUBIC)`.
const PILLOW_EDGE: [u8; 8] = [0, 0, 0, 52, 203, 255, 255, 255];

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
