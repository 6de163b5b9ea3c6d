//! CMYK with a profile: a table from amounts of ink to colours.

use mozjpeg::{ColorSpace, Compress};

use crate::tests::fixtures::{centres, input_image};

/// The sRGB colour of each combination of inks, for the profile of a press whose inks multiply.
fn press([cyan, magenta, yellow, black]: [bool; 4]) -> [u8; 3] {
    match (cyan, magenta, yellow) {
        _ if black => [0; 3],
        (false, false, false) => [255; 3],
        (true, false, false) => [20, 160, 220],
        (false, true, false) => [220, 30, 120],
        (false, false, true) => [250, 220, 20],
        (true, true, false) => [60, 40, 120],
        (true, false, true) => [20, 150, 70],
        (false, true, true) => [210, 40, 40],
        (true, true, true) => [40; 3],
    }
}

/// Returns the CIE L*a*b* of an sRGB colour for D50, encoded in 16 bits as in version 2 of ICC.
fn lab(srgb: [u8; 3]) -> [u16; 3] {
    let linear = srgb.map(|level| {
        let v = f64::from(level) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let to_xyz = [
        [0.436_074_7, 0.385_064_9, 0.143_080_4],
        [0.222_504_5, 0.716_878_6, 0.060_616_9],
        [0.013_932_2, 0.097_104_5, 0.714_173_3],
    ];
    let roots = [0, 1, 2].map(|axis: usize| {
        let sum: f64 = to_xyz[axis].iter().zip(linear).map(|(weight, v)| weight * v).sum();
        let v = sum / [0.9642, 1.0, 0.8249][axis];
        if v > 216.0 / 24389.0 { v.cbrt() } else { (24389.0 / 27.0 * v + 16.0) / 116.0 }
    });
    let [x, y, z] = roots;
    [(116.0 * y - 16.0) * 652.8, (500.0 * (x - y) + 128.0) * 256.0, (200.0 * (y - z) + 128.0) * 256.0]
        .map(|v| v.round() as u16)
}

/// Returns a profile whose table has the colour of each combination of inks.
pub(super) fn profile(colour: impl Fn([bool; 4]) -> [u8; 3]) -> Vec<u8> {
    let mut table = b"mft2\0\0\0\0\x04\x03\x02\0".to_vec();
    // The identity matrix, and two points of each curve.
    table.extend([1, 0, 0, 0, 1, 0, 0, 0, 1_i32].iter().flat_map(|v| (v << 16).to_be_bytes()));
    let straight = [0, 0, 0xFF, 0xFF];
    table.extend([0, 2, 0, 2]);
    table.extend(straight.repeat(4));
    // The amount of black varies fastest.
    let corners = (0..16).map(|corner| [8, 4, 2, 1].map(|bit| corner & bit != 0));
    table.extend(corners.flat_map(|inks| lab(colour(inks))).flat_map(u16::to_be_bytes));
    table.extend(straight.repeat(3));
    let mut profile = vec![0; 128];
    profile[8..24].copy_from_slice(b"\x02\x10\0\0prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    profile.extend(b"\0\0\0\x01A2B0\0\0\0\x90");
    profile.extend((table.len() as u32).to_be_bytes());
    profile.extend(table);
    let length = profile.len() as u32;
    profile[..4].copy_from_slice(&length.to_be_bytes());
    profile
}

/// Encodes four quadrants of 16 × 16 pixels, inverted as by Adobe: 255 is no ink.
pub(super) fn jpeg(inks: [[bool; 4]; 4], profile: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(ColorSpace::JCS_CMYK);
    compress.set_size(32, 32);
    compress.set_quality(100.0);
    let mut started = compress.start_compress(Vec::new()).unwrap();
    let pixel = |x: usize, y: usize| inks[y / 16 * 2 + x / 16].map(|ink| if ink { 0 } else { 255 });
    let samples: Vec<u8> = (0..32).flat_map(|y| (0..32).flat_map(move |x| pixel(x, y))).collect();
    started.write_scanlines(&samples).unwrap();
    let jpeg = started.finish().unwrap();
    let length = (profile.len() as u16 + 16).to_be_bytes();
    [&jpeg[..2], b"\xFF\xE2", &length, b"ICC_PROFILE\0\x01\x01", profile, &jpeg[2..]].concat()
}

#[track_caller]
fn assert_near(found: [[u8; 3]; 4], expected: [[u8; 3]; 4], tolerance: u8) {
    let is_near =
        found.as_flattened().iter().zip(expected.as_flattened()).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(is_near, "{found:?} is not {expected:?}");
}

#[test]
fn each_combination_of_inks_has_the_colour_of_the_profile() {
    let corners: Vec<_> = (0..16).map(|corner| [8, 4, 2, 1].map(|bit| corner & bit != 0)).collect();
    let profile = profile(press);
    for inks in corners.as_chunks::<4>().0 {
        let found = centres(&input_image(&jpeg(*inks, &profile), 32).unwrap());
        assert_near(found, inks.map(press), 3);
    }
}

#[test]
fn the_darkest_ink_becomes_black() {
    let dark = |inks: [bool; 4]| if inks == [true; 4] { [40; 3] } else { [255; 3] };
    let inks = [[true; 4], [false; 4], [true; 4], [false; 4]];
    let found = centres(&input_image(&jpeg(inks, &profile(dark)), 32).unwrap());
    assert_near(found, [[0; 3], [255; 3], [0; 3], [255; 3]], 2);
}

#[test]
fn a_broken_profile_leaves_the_formula() {
    let mut broken = profile(press);
    // A table of five channels.
    broken[144 + 8] = 5;
    let inks = [[true, false, false, false], [false, true, false, false], [false; 4], [true; 4]];
    let found = centres(&input_image(&jpeg(inks, &broken), 32).unwrap());
    assert_near(found, [[0, 255, 255], [255, 0, 255], [255; 3], [0; 3]], 3);
}
