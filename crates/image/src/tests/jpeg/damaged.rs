//! Damaged JPEGs: missing pixels are a reason to reject, harmless damage is not.

use image::ImageFormat;
use mozjpeg::ColorSpace;

use crate::tests::fixtures::{PROGRESSIVE, encode, input_image, noisy_jpeg, reject_code, textured};
use fruitvec_core::rejection::RejectCode;

/// Returns JPEGs of every kind, each with a name.
fn jpegs() -> Vec<(String, Vec<u8>)> {
    let mut jpegs = vec![
        ("a small progressive one".to_owned(), PROGRESSIVE.to_vec()),
        ("full chroma".to_owned(), encode(&textured(120, 90), ImageFormat::Jpeg)),
    ];
    for space in [ColorSpace::JCS_RGB, ColorSpace::JCS_GRAYSCALE, ColorSpace::JCS_CMYK] {
        for progressive in [false, true] {
            let name = format!("{space:?}, progressive: {progressive}");
            jpegs.push((name, noisy_jpeg(200, 150, space, progressive)));
        }
    }
    jpegs
}

/// Returns the position after the first marker of a kind.
fn after(bytes: &[u8], marker: u8) -> usize {
    bytes.windows(2).position(|found| found == [0xFF, marker]).unwrap() + 2
}

fn rgb(bytes: &[u8]) -> Vec<u8> {
    input_image(bytes, 32).unwrap().rgb().to_vec()
}

#[test]
fn a_scan_that_ends_early_is_truncated_whatever_follows() {
    let mut truncated = 0;
    for (name, jpeg) in jpegs() {
        let start = after(&jpeg, 0xDA) + 16;
        for tenths in 0..10 {
            let cut = start + (jpeg.len() - start - 2) * tenths / 10;
            for rest in [&b"\xFF\xD9"[..], &jpeg[..], b"\0\0\0\0", b"\xFF\x02\0", b""] {
                let file = [&jpeg[..cut], rest].concat();
                let rejection = input_image(&file, 32).unwrap_err();
                let what = format!("{name}, {cut} of {} bytes, then {rest:.4X?}", jpeg.len());
                // The tables between two scans may end early, too, and take up what follows.
                if rejection.code == RejectCode::Corrupt && name.contains("progressive") {
                    continue;
                }
                assert_eq!(rejection.code, RejectCode::Truncated, "{what}: {rejection}");
                assert!(rejection.message.ends_with("upload it again"), "{rejection}");
                truncated += 1;
            }
        }
    }
    assert!(truncated > 350, "{truncated} of 400");
}

#[test]
fn a_few_bytes_too_many_change_nothing() {
    for (name, jpeg) in jpegs() {
        let expected = rgb(&jpeg);
        let end = jpeg.len() - 2;
        for extra in [&b"\0"[..], b"\0\0\0\0", &[0x55; 100], b"\xFF\0\x12"] {
            for rest in [&b"\xFF\xD9"[..], b""] {
                assert_eq!(rgb(&[&jpeg[..end], extra, rest].concat()), expected, "{name}: {extra:X?}");
            }
        }
    }
}

#[test]
fn a_jpeg_whose_pixels_are_complete_needs_no_end_marker() {
    for (name, jpeg) in jpegs() {
        assert_eq!(rgb(&jpeg[..jpeg.len() - 2]), rgb(&jpeg), "{name}");
    }
}

#[test]
fn an_impossible_length_of_an_applications_segment_changes_nothing() {
    for (name, jpeg) in jpegs() {
        for (marker, length) in [(0xE1, 0), (0xEC, 1), (0xFE, 0), (0xFE, 1)] {
            let file = [&jpeg[..2], &[0xFF, marker, 0, length], &jpeg[2..]].concat();
            assert_eq!(rgb(&file), rgb(&jpeg), "{name}: {marker:X}");
        }
    }
}

#[test]
fn a_damaged_jpeg_is_embedded_or_rejected_as_damaged() {
    let mut state = 7_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut outcomes = [0; 2];
    for (name, jpeg) in jpegs() {
        for _ in 0..40 {
            let mut damaged = jpeg.clone();
            let start = after(&jpeg, 0xDA) + 16;
            let at = start + random(jpeg.len() - start);
            damaged[at] ^= 1 << random(8);
            let code = reject_code(input_image(&damaged, 32));
            let is_expected = matches!(code, None | Some(RejectCode::Truncated | RejectCode::Corrupt));
            assert!(is_expected, "{name} at {at}: {code:?}");
            outcomes[usize::from(code.is_some())] += 1;
        }
    }
    assert!(outcomes.iter().all(|count| *count > 20), "{outcomes:?}");
}
