//! How large a JPEG may be, and how many scans it may have.

use super::flat::{baseline, progressive};
use crate::probe::probe;
use crate::tests::fixtures::{input_image, pixel};
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::ResizeMode;
use fruitvec_core::rejection::{RejectCode, Rejection};

const YCBCR_420: &[u8] = &[0x22, 0x11, 0x11];
const YCBCR_444: &[u8] = &[0x11, 0x11, 0x11];

fn memory(bytes: &[u8]) -> Result<u64, Rejection> {
    probe(bytes, &Limits::default())?.memory(224, ResizeMode::Stretch)
}

#[test]
fn a_flat_jpeg_is_grey() {
    for jpeg in [baseline(700, 500, YCBCR_420), progressive(700, 500, YCBCR_420, 3)] {
        assert_eq!(pixel(&input_image(&jpeg, 32).unwrap(), 7, 9), [128; 3]);
    }
}

#[test]
fn a_baseline_jpeg_may_have_250_megapixels() {
    for factors in [YCBCR_420, YCBCR_444, &[0x11]] {
        let bytes = memory(&baseline(20_000, 12_500, factors)).unwrap();
        assert!(bytes < 128 << 20, "{bytes}");
    }
    let rejection = memory(&baseline(20_000, 12_501, &[0x11])).unwrap_err();
    assert_eq!(rejection.code, RejectCode::TooManyPixels);
    let message = "20000×12501 = 250020000 pixels; the limit is 250000000; send a smaller image";
    assert_eq!(rejection.message, message);
}

#[test]
fn a_progressive_jpeg_may_have_64_megapixels_within_the_memory() {
    memory(&progressive(8_000, 6_000, YCBCR_420, 4)).unwrap();
    memory(&progressive(8_000, 8_000, YCBCR_420, 4)).unwrap();
    let rejection = memory(&progressive(8_000, 8_001, YCBCR_420, 4)).unwrap_err();
    assert_eq!(rejection.code, RejectCode::TooManyPixels);
    assert!(rejection.message.contains("; save it as a baseline JPEG, or send"), "{rejection}");
    let rejection = memory(&progressive(8_000, 8_000, YCBCR_444, 4)).unwrap_err();
    assert_eq!(rejection.code, RejectCode::DecodedTooLarge);
    assert!(rejection.message.ends_with("; save it as a baseline JPEG"), "{rejection}");
}

#[test]
fn colours_in_separate_scans_are_named_as_the_reason() {
    let separate = |width, height| {
        let mut jpeg = baseline(width, height, YCBCR_420);
        let scan = jpeg.windows(2).position(|found| found == [0xFF, 0xDA]).unwrap();
        jpeg.splice(scan.., *b"\xFF\xDA\0\x08\x01\x01\0\0\x3F\0\xFF\xD9");
        jpeg
    };
    let messages =
        [separate(8_000, 8_001), separate(20_000, 12_501)].map(|jpeg| memory(&jpeg).unwrap_err().message);
    assert!(
        messages[0].ends_with("; save it with all colours in one scan, or send a smaller image"),
        "{}",
        messages[0]
    );
    assert!(messages[1].ends_with("; send a smaller image"), "{}", messages[1]);
}

#[test]
fn memory_is_checked_at_the_scale_that_is_decoded() {
    let jpeg = baseline(12_000, 9_000, YCBCR_420);
    let probed = probe(&jpeg, &Limits::default()).unwrap();
    probed.memory(224, ResizeMode::Stretch).unwrap();
    let rejection = probed.memory(4_000, ResizeMode::Stretch).unwrap_err();
    assert_eq!(rejection.code, RejectCode::DecodedTooLarge);
    assert!(rejection.message.starts_with("12000×9000 pixels take 3"), "{rejection}");
    assert!(rejection.message.ends_with("; send a smaller image"), "{rejection}");
}

#[test]
fn the_scans_of_a_progressive_jpeg_are_bounded_by_blocks() {
    // The first scan visits a million blocks of luma and half a million of chroma.
    memory(&progressive(8_000, 8_000, YCBCR_420, 13)).unwrap();
    let jpeg = progressive(8_000, 8_000, YCBCR_420, 14);
    let rejection = memory(&jpeg).unwrap_err();
    assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
    assert!(rejection.message.contains("14 scans of 8000×8000 pixels"), "{rejection}");
    assert!(rejection.message.contains("save it as a baseline JPEG"), "{rejection}");
    // Bytes that the decoder skips raise the limit. Those of a large file take longer to upload.
    let comment = [&[0xFF, 0xFE, 0xFF, 0xFF][..], &[0; 0xFFFD]].concat();
    memory(&[&jpeg[..2], &comment.repeat(16), &jpeg[2..]].concat()).unwrap();
    memory(&progressive(800, 800, YCBCR_420, 100)).unwrap();
}
