//! Profiles that are broken, hostile or huge count as none.

use image::ImageFormat;
use moxcms::ColorProfile;
use proptest::prelude::*;

use super::cmyk;
use super::encoding::{Space, with_profile};
use crate::tests::fixtures::{QUADRANTS, assert_shows, input_image, quadrants};

/// The offset of the entry of a tag in a profile's table.
fn entry(profile: &[u8], name: &[u8; 4]) -> usize {
    profile.windows(4).position(|bytes| bytes == name).unwrap()
}

#[test]
fn a_broken_profile_counts_as_none() {
    let valid = Space::all()[1].profile.encode().unwrap();
    let without_colorant = {
        let mut profile = valid.clone();
        let at = entry(&profile, b"gXYZ");
        profile[at] = b'x';
        profile
    };
    let tag_outside = {
        let mut profile = valid.clone();
        let at = entry(&profile, b"rTRC");
        profile[at + 4..at + 8].copy_from_slice(&u32::MAX.to_be_bytes());
        profile
    };
    let too_many_tags = {
        let mut profile = valid.clone();
        profile[128..132].copy_from_slice(&u32::MAX.to_be_bytes());
        profile
    };
    let truncated = valid[..valid.len() / 2].to_vec();
    for profile in [
        vec![0],
        vec![0; 128],
        b"not a profile".repeat(100),
        without_colorant,
        tag_outside,
        too_many_tags,
        truncated,
    ] {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let tolerance = if format == ImageFormat::Jpeg { 4 } else { 0 };
            assert_shows(&with_profile(&quadrants(), format, &profile), QUADRANTS, tolerance);
        }
    }
}

#[test]
fn a_broken_text_spoils_no_profile() {
    let space = &Space::all()[0];
    let mut profile = space.profile.encode().unwrap();
    for name in [b"desc", b"cprt"] {
        let at = entry(&profile, name);
        profile[at + 4..at + 12].copy_from_slice(&[0xFF; 8]);
    }
    let png = with_profile(&quadrants(), ImageFormat::Png, &profile);
    assert_shows(&png, QUADRANTS.map(|colour| space.srgb(colour)), 1);
}

/// A megabyte of tags that all refer to the same large table would take minutes to read.
#[test]
fn a_tag_is_read_once_however_often_it_is_listed() {
    let space = &Space::all()[2];
    let profile = space.profile.encode().unwrap();
    let count = u32::from_be_bytes(*profile[128..].first_chunk().unwrap()) as usize;
    let (table, data) = profile[132..].split_at(12 * count);
    let moved = |entry: &[u8], by: usize| {
        let offset = u32::from_be_bytes(*entry[4..].first_chunk().unwrap()) + by as u32;
        [&entry[..4], &offset.to_be_bytes(), &entry[8..]].concat()
    };
    for repeats in [5, 100_000] {
        let by = 12 * count * (repeats - 1);
        let entries: Vec<u8> =
            table.chunks(12).flat_map(|entry| moved(entry, by)).collect::<Vec<_>>().repeat(repeats);
        let mut repeated =
            [&profile[..128], &((count * repeats) as u32).to_be_bytes(), &entries, data].concat();
        let length = repeated.len() as u32;
        repeated[..4].copy_from_slice(&length.to_be_bytes());
        let png = with_profile(&quadrants(), ImageFormat::Png, &repeated);
        let expected = if repeats == 5 { QUADRANTS.map(|colour| space.srgb(colour)) } else { QUADRANTS };
        assert_shows(&png, expected, 1);
    }
}

/// Returns profiles, and whether each is for CMYK.
fn profiles() -> Vec<(Vec<u8>, bool)> {
    let mut profiles: Vec<_> = Space::all().iter().map(|space| space.profile.encode().unwrap()).collect();
    profiles
        .extend([ColorProfile::new_srgb(), ColorProfile::new_lab()].map(|profile| profile.encode().unwrap()));
    let mut profiles: Vec<_> = profiles.into_iter().map(|profile| (profile, false)).collect();
    profiles.push((cmyk::profile(|inks| if inks[3] { [9; 3] } else { [200; 3] }), true));
    profiles
}

/// Returns an image for which a profile is meant, as a file with that profile.
fn file(profile: &[u8], is_cmyk: bool) -> Vec<u8> {
    if is_cmyk {
        cmyk::jpeg([[true; 4]; 4], profile)
    } else {
        with_profile(&quadrants(), ImageFormat::Png, profile)
    }
}

proptest! {
    #[test]
    fn a_damaged_profile_rejects_no_photo(
        (profile, is_cmyk) in prop::sample::select(profiles()),
        overwrites in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut profile = profile;
        for (index, value) in overwrites {
            let at = index.index(profile.len());
            profile[at] = value;
        }
        if let Some(length) = length {
            profile.truncate(length.index(profile.len()).max(1));
        }
        let photo = file(&profile, is_cmyk);
        prop_assert_eq!(input_image(&photo, 8).unwrap().rgb().len(), 8 * 8 * 3);
    }
}
