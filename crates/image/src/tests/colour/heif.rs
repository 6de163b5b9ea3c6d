//! The colour space of a HEIC: its profile, or its code points.

use heifer::{Image, Metadata, encode_with_metadata};

use super::encoding::Space;
use crate::tests::fixtures::{HEIC_OPTIONS, QUADRANTS, assert_shows, heic, quadrants};

#[test]
fn the_profile_of_a_heic_applies() {
    let data = quadrants().to_rgba16().into_raw();
    let image = Image { width: 32, height: 32, bit_depth: 8, has_alpha: false, data };
    let image = Image { data: image.data.iter().map(|sample| sample >> 8).collect(), ..image };
    for space in Space::all() {
        let metadata = Metadata { icc_profile: Some(space.profile.encode().unwrap()), ..Metadata::default() };
        let bytes = encode_with_metadata(&image, &metadata, &HEIC_OPTIONS).unwrap();
        assert_shows(&bytes, QUADRANTS.map(|colour| space.srgb(colour)), 10);
    }
}

#[test]
fn the_code_points_of_a_heic_apply_unless_they_are_those_of_hdr() {
    let mut bytes = heic(&quadrants());
    let at = bytes.windows(4).position(|name| name == b"nclx").unwrap() + 4;
    let mut shows = |code_points: [u8; 4], expected| {
        bytes[at..at + 4].copy_from_slice(&code_points);
        assert_shows(&bytes, expected, 10);
    };
    let display_p3 = &Space::all()[0];
    shows([0, 12, 0, 13], QUADRANTS.map(|colour| display_p3.srgb(colour)));
    shows([0, 9, 0, 16], QUADRANTS);
    shows([0, 1, 0, 1], QUADRANTS);
    shows([0, 2, 0, 2], QUADRANTS);
}
