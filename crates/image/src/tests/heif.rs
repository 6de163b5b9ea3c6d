//! HEIC photos, as phones write them.
use heifer::heifer_hevc_enc::encoder::{EncoderConfig, Planes, encode_picture};
use heifer::heifer_isobmff::boxes::HevcConfig;
use heifer::heifer_isobmff::writer::{HeifWriter, ImageSpec};
use image::DynamicImage;

use super::fixtures::{
    HEIC_OPTIONS, QUADRANTS, assert_shows, heic, input_image, quadrants, reject_code, textured,
};
use crate::header::Header;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::rejection::RejectCode;

fn position(bytes: &[u8], name: &[u8]) -> usize {
    bytes.windows(name.len()).position(|window| window == name).unwrap()
}

/// Turns the property that names the bits per sample into this one. Nothing needs it.
fn with_property(heic: &[u8], name: &[u8; 4], value: u8) -> Vec<u8> {
    let mut bytes = heic.to_vec();
    let at = position(&bytes, b"pixi");
    bytes[at..at + 5].copy_from_slice(&[name[0], name[1], name[2], name[3], value]);
    bytes
}

/// Returns a HEIC of a greyscale image in one picture, as some cameras write it. It declares this
/// size, and repeats its slice.
pub(super) fn heic_of_one_picture(image: &DynamicImage, width: u32, height: u32, slices: usize) -> Vec<u8> {
    heic_with_crop(image, (width, height), slices, None)
}

/// Returns such a HEIC with a crop to this size.
fn heic_with_crop(
    image: &DynamicImage,
    (width, height): (u32, u32),
    slices: usize,
    crop: Option<(u32, u32)>,
) -> Vec<u8> {
    let luma = image.to_luma8();
    let grey = vec![128; luma.len() / 4];
    let planes = Planes { y: luma.as_raw(), chroma: Some((&grey, &grey)) };
    let picture = encode_picture(luma.width(), luma.height(), planes, &EncoderConfig::default()).unwrap();
    let config = HevcConfig {
        profile_idc: picture.profile_idc,
        level_idc: picture.level_idc,
        chroma_format: picture.chroma_format,
        bit_depth_luma: 8,
        bit_depth_chroma: 8,
        nal_length_size: 4,
        nal_units: picture.parameter_sets.clone(),
    };
    let mut writer = HeifWriter::new();
    let slices: Vec<_> = picture.slices.iter().cycle().take(slices).cloned().collect();
    let id = writer.add_image(&ImageSpec { crop, ..ImageSpec::new(width, height, config, &slices) });
    writer.set_primary(id);
    writer.finish()
}

#[test]
fn slices_that_could_all_cover_a_large_picture_are_not_decoded() {
    let image = quadrants();
    for (slices, code) in [(7, RejectCode::Corrupt), (8, RejectCode::UnsupportedFormat)] {
        let bytes = heic_of_one_picture(&image, 4800, 4400, slices);
        assert_eq!(reject_code(input_image(&bytes, 16)), Some(code), "{slices}");
    }
}

#[test]
fn a_photo_of_one_picture_and_one_of_many_are_decoded() {
    assert_shows(&heic(&quadrants()), QUADRANTS, 8);
    let large = quadrants().resize_exact(1100, 700, image::imageops::FilterType::Nearest);
    let bytes = heic(&large);
    position(&bytes, b"grid");
    assert_shows(&bytes, QUADRANTS, 8);
    let probed = probe(&bytes, &Limits::default()).unwrap();
    let Header { width, height, .. } = *probed.header();
    assert_eq!((width, height), (1100, 700));
}

#[test]
fn the_turns_and_mirrors_of_the_container_apply() {
    let [red, green, blue, yellow] = QUADRANTS;
    let bytes = heic(&quadrants());
    for (name, value, expected) in [
        (b"irot", 1, [green, yellow, red, blue]),
        (b"irot", 2, [yellow, blue, green, red]),
        (b"irot", 3, [blue, red, yellow, green]),
        (b"imir", 0, [blue, yellow, red, green]),
        (b"imir", 1, [green, red, yellow, blue]),
    ] {
        assert_shows(&with_property(&bytes, name, value), expected, 8);
    }
    let turned = with_property(&heic(&textured(60, 40)), b"irot", 3);
    let header = *probe(&turned, &Limits::default()).unwrap().header();
    assert_eq!((header.width, header.height), (40, 60));
}

/// The coded picture has more pixels than the photo.
#[test]
fn a_photo_of_an_odd_size_is_cropped() {
    let bytes = heic(&textured(51, 37));
    let header = *probe(&bytes, &Limits::default()).unwrap().header();
    assert_eq!((header.width, header.height), (51, 37));
    input_image(&bytes, 16).unwrap();
}

#[test]
fn a_photo_cut_anywhere_is_truncated() {
    let bytes = heic(&textured(600, 300));
    for tenths in 1..10 {
        let code = reject_code(input_image(&bytes[..bytes.len() * tenths / 10], 32));
        assert_eq!(code, Some(RejectCode::Truncated), "after {tenths} tenths");
    }
    // The pixels come last.
    let bytes = heic_of_one_picture(&textured(64, 64), 64, 64, 1);
    for missing in 1..20 {
        let code = reject_code(probe(&bytes[..bytes.len() - missing], &Limits::default()));
        assert_eq!(code, Some(RejectCode::Truncated), "without {missing} bytes");
    }
}

#[test]
fn anything_may_follow_the_data_of_a_photo() {
    for image in [quadrants(), quadrants().resize_exact(1100, 700, image::imageops::FilterType::Nearest)] {
        let bytes = heic(&image);
        let after = [&b"trailing bytes"[..], b"\0", &[0; 8], &[0xFF; 100], b"\0\0\0\x0Cfreemore"];
        for after in after {
            assert_shows(&[&bytes, after].concat(), QUADRANTS, 8);
        }
        // The box of the data may also be too long.
        let mut longer = bytes.clone();
        let data = position(&bytes, b"mdat") - 4;
        longer[data..data + 4].copy_from_slice(&[0x7F; 4]);
        assert_shows(&longer, QUADRANTS, 8);
    }
}

#[test]
fn the_limits_hold_before_the_crop() {
    let image = quadrants();
    let max = u32::MAX;
    for size in [(2_500_000, 1), (1, 65_501), (8_000, 8_001), (9_217, 9_217), (max, max), (max, 1)] {
        let bytes = heic_with_crop(&image, size, 1, Some((1, 1)));
        assert_eq!(
            reject_code(probe(bytes, &Limits::default())),
            Some(RejectCode::TooManyPixels),
            "{size:?}"
        );
    }
    let bytes = heic_with_crop(&image, (32, 32), 1, Some((16, 16)));
    let Header { width, height, .. } = *probe(&bytes, &Limits::default()).unwrap().header();
    assert_eq!((width, height), (16, 16));
}

/// The decoder pads both sides to whole blocks, whichever side is the short one.
#[test]
fn a_thin_picture_takes_the_memory_of_its_blocks() {
    let bytes = |width, height| {
        let bytes = heic_of_one_picture(&quadrants(), width, height, 1);
        probe(bytes, &Limits::default()).unwrap().header().decoded_bytes
    };
    assert_eq!(bytes(65_000, 1), bytes(65_024, 64));
    assert_eq!(bytes(1, 65_000), bytes(64, 65_024));
    let code = reject_code(probe(heic_of_one_picture(&quadrants(), 5000, 5000, 1), &Limits::default()));
    assert_eq!(code, Some(RejectCode::DecodedTooLarge));
}

#[test]
fn no_side_of_a_picture_may_be_longer_than_it_declares() {
    for (width, height) in [(512, 8), (8, 512)] {
        let rejection = input_image(&heic_of_one_picture(&textured(width, height), 1, 1, 1), 16).unwrap_err();
        assert!(rejection.message.contains("larger than it declares"), "{rejection}");
    }
}

/// The decoder finds units by start codes, so it would use parameters that nobody has checked.
#[test]
fn a_unit_inside_another_is_not_decoded() {
    let image = textured(320, 320);
    let mut bytes = heic_of_one_picture(&image, 320, 320, 1);
    input_image(&bytes, 16).unwrap();
    let middle = bytes.len() - 200;
    bytes[middle..middle + 4].copy_from_slice(&[0, 0, 1, 0x42]);
    let rejection = input_image(&bytes, 16).unwrap_err();
    assert!(rejection.message.contains("a unit contains the start of another"), "{rejection}");
}

#[test]
fn transparency_is_rejected_by_name() {
    let rgba: Vec<u8> = (0..32 * 32).flat_map(|pixel| [200, 40, 30, pixel as u8]).collect();
    let bytes = heifer::encode_rgba8(32, 32, &rgba, &HEIC_OPTIONS).unwrap();
    let rejection = probe(bytes, &Limits::default()).unwrap_err();
    assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
    assert!(rejection.message.starts_with("HEIC with transparency is not supported"), "{rejection}");
}

#[test]
fn an_upload_of_heic_is_rejected_with_ways_to_convert_it() {
    let probed = probe(heic(&quadrants()), &Limits::default()).unwrap();
    let rejection = probed.check_upload_format().unwrap_err();
    assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
    for words in ["HEIC under uploads/", "Most Compatible", "sips -s format jpeg", "heif-convert"] {
        assert!(rejection.message.contains(words), "{rejection}");
    }
}

/// The parser compares items with each other. A file of 3 MB took five seconds.
#[test]
fn metadata_that_is_too_large_is_not_parsed() {
    let bytes = heic(&quadrants());
    let meta = position(&bytes, b"meta") - 4;
    let length = u32::from_be_bytes(*bytes[meta..].first_chunk().unwrap());
    let padding = vec![0; 256 << 10];
    let end = meta + length as usize;
    let mut large = [&bytes[..end], &padding, &bytes[end..]].concat();
    large[meta..meta + 4].copy_from_slice(&(length + (256 << 10)).to_be_bytes());
    assert_eq!(reject_code(probe(large, &Limits::default())), Some(RejectCode::UnsupportedFormat));
}

#[test]
fn a_file_without_a_still_image_is_rejected_by_name() {
    let rejection =
        probe(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08mdat", &Limits::default()).unwrap_err();
    assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
    assert!(rejection.message.starts_with("HEIC without a still image is not supported"), "{rejection}");
}

/// A picture in a grid can be used many times, and then costs as often.
#[test]
fn a_grid_of_one_picture_is_rejected() {
    let mut bytes = heic(&textured(1100, 300));
    let references = position(&bytes, b"dimg");
    // The item, the number of references, and the references of two bytes each.
    bytes.copy_within(references + 8..references + 10, references + 10);
    assert_eq!(reject_code(probe(bytes, &Limits::default())), Some(RejectCode::Corrupt));
}

#[test]
fn a_picture_larger_than_it_declares_is_not_decoded() {
    let mut bytes = heic(&textured(320, 320));
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|name| name == b"ispe") {
        at += found + 8;
        bytes[at..at + 8].copy_from_slice(&[0, 0, 0, 64, 0, 0, 0, 64]);
    }
    let rejection = input_image(&bytes, 16).unwrap_err();
    assert_eq!(rejection.code, RejectCode::Corrupt);
    assert!(rejection.message.contains("larger than it declares"), "{rejection}");
}
