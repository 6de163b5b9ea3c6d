//! Embedded ICC profiles, in every format that has them.

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use moxcms::{ColorProfile, DataColorSpace, ToneReprCurve};

use super::encoding::{Space, random_colours, with_profile};
use crate::tests::fixtures::{QUADRANTS, assert_shows, encode, input_image, pixel, quadrants, textured};

const FORMATS: [ImageFormat; 4] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff];

#[test]
fn random_colours_become_srgb_to_within_a_level() {
    let image = random_colours(32);
    for space in Space::all() {
        let png = with_profile(&image.clone().into(), ImageFormat::Png, &space.profile.encode().unwrap());
        let found = input_image(&png, 32).unwrap();
        for (colour, found) in image.pixels().zip(found.rgb().as_chunks::<3>().0) {
            let expected = space.srgb(colour.0);
            let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1);
            assert!(is_near, "{}: {:?} became {found:?}, not {expected:?}", space.name, colour.0);
        }
    }
}

#[test]
fn a_profile_is_found_in_every_format() {
    for space in Space::all() {
        let profile = space.profile.encode().unwrap();
        let expected = QUADRANTS.map(|colour| space.srgb(colour));
        for format in FORMATS {
            let tolerance = if format == ImageFormat::Jpeg { 4 } else { 1 };
            assert_shows(&with_profile(&quadrants(), format, &profile), expected, tolerance);
        }
    }
}

/// As libjpeg reads it: two bytes of length, and then the next marker.
#[test]
fn a_profile_is_found_behind_a_segment_of_an_impossible_length() {
    let space = &Space::all()[0];
    let jpeg = with_profile(&quadrants(), ImageFormat::Jpeg, &space.profile.encode().unwrap());
    for segment in [b"\xFF\xE1\0\0", b"\xFF\xE9\0\x01", b"\xFF\xFE\0\0"] {
        let jpeg = [&jpeg[..2], segment, &jpeg[2..]].concat();
        assert_shows(&jpeg, QUADRANTS.map(|colour| space.srgb(colour)), 4);
    }
}

#[test]
fn a_jpeg_has_a_large_profile_in_several_segments() {
    let space = &Space::all()[1];
    let mut profile = space.profile.encode().unwrap();
    // Bytes that no tag refers to.
    profile.resize(200_000, 7);
    let length = profile.len() as u32;
    profile[..4].copy_from_slice(&length.to_be_bytes());
    let jpeg = with_profile(&quadrants(), ImageFormat::Jpeg, &profile);
    assert_shows(&jpeg, QUADRANTS.map(|colour| space.srgb(colour)), 4);

    // Without its third segment, the profile is incomplete.
    let third = jpeg.windows(13).position(|bytes| bytes == b"ICC_PROFILE\0\x03").unwrap();
    let mut incomplete = jpeg.clone();
    incomplete[third] = b'X';
    assert_shows(&incomplete, QUADRANTS, 4);
}

#[test]
fn profiles_of_srgb_and_photos_without_one_change_no_pixel() {
    let image = textured(64, 48);
    let mut linear_table = ColorProfile::new_srgb();
    // sRGB as cameras store it: a table instead of a formula.
    let curve = |x: f64| if x <= 0.04045 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) };
    let table: Vec<u16> =
        (0..1024).map(|i| (curve(f64::from(i) / 1023.0) * 65535.0).round() as u16).collect();
    let trc = Some(ToneReprCurve::Lut(table));
    (linear_table.red_trc, linear_table.green_trc, linear_table.blue_trc) = (trc.clone(), trc.clone(), trc);
    for profile in [ColorProfile::new_srgb(), linear_table] {
        for format in FORMATS {
            let converted = with_profile(&image, format, &profile.encode().unwrap());
            let without = without_profile(&converted, format);
            assert_eq!(
                input_image(&converted, 32).unwrap(),
                input_image(&without, 32).unwrap(),
                "{format:?}"
            );
        }
    }
}

/// Renames what announces the profile, so that no reader looks for it.
fn without_profile(bytes: &[u8], format: ImageFormat) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match format {
        ImageFormat::WebP => bytes[20] &= !0x20,
        // Tag 34675, little-endian as on this machine.
        ImageFormat::Tiff => {
            let at =
                bytes.windows(4).position(|tag| tag == b"\x73\x87\x07\x00" || tag == b"\x73\x87\x01\x00");
            bytes[at.unwrap()] += 1;
        }
        ImageFormat::Png => {
            let at = bytes.windows(4).position(|name| name == b"iCCP").unwrap();
            bytes[at..at + 4].copy_from_slice(b"icCP");
        }
        _ => {
            let at = bytes.windows(11).position(|name| name == b"ICC_PROFILE").unwrap();
            bytes[at] = b'i';
        }
    }
    bytes
}

#[test]
fn a_greyscale_profile_maps_levels_of_grey() {
    let image = GrayImage::from_fn(16, 16, |x, y| image::Luma([(16 * y + x) as u8]));
    let grey = |gamma| ColorProfile::new_gray_with_gamma(gamma).encode().unwrap();
    let png = with_profile(&image.clone().into(), ImageFormat::Png, &grey(1.0));
    let linear = input_image(&png, 16).unwrap();
    // Half of the light is level 188 of sRGB.
    assert_eq!(
        [0, 128, 255].map(|level| pixel(&linear, level % 16, level / 16)),
        [[0; 3], [188; 3], [255; 3]]
    );

    let png = with_profile(&image.clone().into(), ImageFormat::Png, &grey(1.8));
    let light = input_image(&png, 16).unwrap();
    for (level, rgb) in light.rgb().as_chunks::<3>().0.iter().enumerate() {
        let y = (level as f64 / 255.0).powf(1.801);
        let expected = if y <= 0.003_130_8 { y * 12.92 } else { 1.055 * y.powf(1.0 / 2.4) - 0.055 };
        assert!(rgb.iter().all(|v| (f64::from(*v) - expected * 255.0).abs() < 1.0), "{level}: {rgb:?}");
    }
}

#[test]
fn a_profile_of_another_kind_of_image_is_ignored() {
    let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let mut cmyk = ColorProfile::new_adobe_rgb();
    cmyk.color_space = DataColorSpace::Cmyk;
    let mut link = ColorProfile::new_adobe_rgb().encode().unwrap();
    link[12..16].copy_from_slice(b"link");
    for profile in [grey, cmyk.encode().unwrap(), link] {
        for format in FORMATS {
            let tolerance = if format == ImageFormat::Jpeg { 4 } else { 0 };
            assert_shows(&with_profile(&quadrants(), format, &profile), QUADRANTS, tolerance);
        }
    }
    // Greyscale has colours of an RGB profile, too: those with equal red, green and blue.
    let image = GrayImage::from_pixel(8, 8, image::Luma([100]));
    let space = &Space::all()[2];
    let png = with_profile(&image.into(), ImageFormat::Png, &space.profile.encode().unwrap());
    let expected = space.srgb([100; 3]);
    assert_eq!(pixel(&input_image(&png, 8).unwrap(), 4, 4), expected);
}

#[test]
fn transparency_is_blended_before_the_conversion() {
    let space = &Space::all()[0];
    let image = image::RgbaImage::from_fn(32, 32, |x, _| {
        image::Rgba(if x < 16 { [0, 0, 0, 0] } else { [30, 200, 60, 255] })
    });
    let png = with_profile(&image.into(), ImageFormat::Png, &space.profile.encode().unwrap());
    let input = input_image(&png, 32).unwrap();
    assert_eq!(pixel(&input, 4, 4), [255; 3]);
    let (found, expected) = (pixel(&input, 28, 4), space.srgb([30, 200, 60]));
    assert!(found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1), "{found:?} {expected:?}");
}

#[test]
fn scaling_comes_before_the_conversion_and_orientation_after() {
    // A large image of one colour each half: no pixel in the middle of a half knows the scale.
    let image = RgbImage::from_fn(900, 300, |x, _| image::Rgb(QUADRANTS[usize::from(x >= 450)]));
    let space = &Space::all()[0];
    let profile = space.profile.encode().unwrap();
    for format in FORMATS {
        let bytes = with_profile(&DynamicImage::from(image.clone()), format, &profile);
        let input = input_image(&bytes, 32).unwrap();
        let plain = input_image(&encode(&image.clone().into(), ImageFormat::Png), 32).unwrap();
        for x in [4, 27] {
            let (found, expected) = (pixel(&input, x, 16), space.srgb(pixel(&plain, x, 16)));
            assert!(found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 4), "{found:?} {expected:?}");
        }
    }
}
