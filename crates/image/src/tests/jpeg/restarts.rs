//! Restart markers: those that the decoder can do without, and those whose loss leaves pixels grey.

use mozjpeg::ColorSpace;

use super::flat::with_restarts;
use crate::tests::fixtures::{input_image, noisy_jpeg, reject_code};
use fruitvec_core::rejection::RejectCode;

/// A file of 2500 blocks, with a restart marker after each ten.
fn jpeg(declared: u16) -> Vec<u8> {
    with_restarts(400, 400, 10, declared)
}

/// Returns the positions of the restart markers.
fn restarts(jpeg: &[u8]) -> Vec<usize> {
    let is_restart = |found: &[u8]| matches!(found, [0xFF, 0xD0..=0xD7]);
    jpeg.windows(2).enumerate().filter(|(_, found)| is_restart(found)).map(|(index, _)| index).collect()
}

fn code(jpeg: &[u8]) -> Option<RejectCode> {
    reject_code(input_image(jpeg, 32))
}

#[test]
fn a_restart_interval_of_the_wrong_length_is_rejected() {
    assert_eq!(code(&jpeg(10)), None);
    assert_eq!(code(&jpeg(0)), Some(RejectCode::Truncated));
    for declared in [1, 2, 5, 9, 13, 15, 20, 100, 1250, 2499, 2500, 65_535] {
        assert!(code(&jpeg(declared)).is_some(), "{declared}");
    }
    // There is one marker whatever is declared.
    for declared in [1253, 1600, 2499] {
        let jpeg = |declared| with_restarts(400, 400, 1250, declared);
        assert_eq!((code(&jpeg(1250)), code(&jpeg(declared))), (None, Some(RejectCode::Corrupt)));
    }
}

#[test]
fn a_few_damaged_intervals_change_nothing() {
    let jpeg = jpeg(10);
    let restarts = restarts(&jpeg);
    assert_eq!(restarts.len(), 249);
    for at in [0, 1, 7, 100, 240].map(|index| restarts[index]) {
        let shorter = [&jpeg[..at - 2], &jpeg[at..]].concat();
        assert_eq!(code(&shorter), None, "an interval at {at} is shorter");
        let missing = [&jpeg[..at], &jpeg[at + 5..]].concat();
        assert_eq!(code(&missing), None, "the interval after {at} is missing");
        let mut overwritten = jpeg.clone();
        overwritten[at..at + 2].fill(0);
        assert_eq!(code(&overwritten), None, "the marker at {at} is overwritten");
        let surplus = [&jpeg[..at - 1], &jpeg[at..at + 2], &jpeg[at - 1..]].concat();
        assert_eq!(code(&surplus), None, "the marker at {at} comes twice");
    }
}

#[test]
fn many_damaged_intervals_are_rejected() {
    let jpeg = jpeg(10);
    let restarts = restarts(&jpeg);
    let without = |indices: std::ops::Range<usize>| {
        let (from, to) = (restarts[indices.start], restarts[indices.end]);
        code(&[&jpeg[..from], &jpeg[to..]].concat())
    };
    for count in [8, 16, 24, 100, 200] {
        assert!(without(20..20 + count).is_some(), "{count} intervals are missing");
    }
    let mut shorter = jpeg.clone();
    for at in restarts.iter().rev().take(35) {
        shorter.drain(at - 1..*at);
    }
    assert_eq!(code(&shorter), Some(RejectCode::Corrupt));
}

#[test]
fn a_restart_marker_without_an_interval_ends_the_pixels() {
    let mut damaged = 0;
    for space in [ColorSpace::JCS_RGB, ColorSpace::JCS_GRAYSCALE, ColorSpace::JCS_CMYK] {
        for progressive in [false, true] {
            let jpeg = noisy_jpeg(200, 150, space, progressive);
            let start = jpeg.windows(2).position(|found| found == [0xFF, 0xDA]).unwrap();
            let stuffed = (start..jpeg.len()).filter(|at| jpeg[*at..].starts_with(&[0xFF, 0]));
            for at in stuffed.step_by(3).take(20) {
                let mut broken = jpeg.clone();
                broken[at + 1] = 0xD0 + (at % 8) as u8;
                let what = format!("{space:?}, progressive: {progressive}, at {at} of {}", jpeg.len());
                match input_image(&broken, 32) {
                    // The byte was the last of a scan, and had no data.
                    Ok(image) => assert_eq!(image, input_image(&jpeg, 32).unwrap(), "{what}"),
                    Err(rejection) => assert_eq!(rejection.code, RejectCode::Truncated, "{what}"),
                }
                damaged += usize::from(code(&broken).is_some());
            }
        }
    }
    assert!(damaged > 30, "{damaged}");
}
