//! Faults that do no harm to the pixels, which Pillow and browsers accept.

use image::ImageFormat;

use super::fixtures::{
    LOSSY_WEBP, QUADRANTS, assert_shows, encode, input_image, png_chunk, quadrants, textured, webp,
};

/// The signature and the header of a PNG.
const PNG_START: usize = 33;

#[test]
fn a_webp_may_announce_chunks_that_it_lacks() {
    for flags in [4, 8, 12] {
        assert_shows(&webp(&quadrants(), flags, &[]), QUADRANTS, 0);
        assert_shows(&webp(&quadrants(), flags, &[(b"XMP ", b"<x/>")]), QUADRANTS, 0);
    }
}

#[test]
fn a_lossy_webp_may_announce_an_alpha_channel_that_it_lacks() {
    let header = [&b"VP8X\x0A\0\0\0\x10\0\0\0"[..], &[31, 0, 0, 31, 0, 0]].concat();
    let chunks = [b"WEBP", &header[..], &LOSSY_WEBP[12..]].concat();
    let webp = [b"RIFF", &(chunks.len() as u32).to_le_bytes()[..], &chunks].concat();
    assert_shows(&webp, QUADRANTS, 6);
}

#[test]
fn a_png_may_have_a_damaged_text_and_trailing_bytes() {
    let png = encode(&quadrants(), ImageFormat::Png);
    let mut text = png_chunk(b"tEXt", b"Comment\0of somebody");
    let last = text.len() - 1;
    text[last] ^= 1;
    let unknown = png_chunk(b"abCd", &[0xFF; 100]);
    let file = [&png[..PNG_START], &text, &unknown, &png[PNG_START..], b"trailing bytes"].concat();
    assert_shows(&file, QUADRANTS, 0);
}

/// Each is right in length and checksum.
#[test]
fn a_png_may_have_damaged_metadata() {
    let png = encode(&quadrants(), ImageFormat::Png);
    for name in [
        b"cICP", b"cHRM", b"gAMA", b"sRGB", b"iCCP", b"mDCV", b"cLLI", b"eXIf", b"acTL", b"fcTL", b"sBIT",
        b"pHYs", b"tIME",
    ] {
        for payload in [&[][..], &[1], &[0xFF; 4], &[0; 4], &[0xFF; 8], &[0xFF; 26], &[0xFF; 32]] {
            let chunk = png_chunk(name, payload);
            for repeats in 1..=2 {
                let file = [&png[..PNG_START], &chunk.repeat(repeats), &png[PNG_START..]].concat();
                // A gamma or colours that nobody can see count as absent, too.
                assert_shows(&file, QUADRANTS, 0);
            }
        }
    }
}

#[test]
fn a_png_may_lack_its_end() {
    let png = encode(&quadrants(), ImageFormat::Png);
    let end = png.len() - png_chunk(b"IEND", &[]).len();
    for file in [&png[..end], &png[..end + 4], &png[..end + 8]] {
        assert_shows(file, QUADRANTS, 0);
    }
    // One pixel is interlaced like any other image.
    let mut interlaced = encode(&textured(1, 1), ImageFormat::Png);
    let expected = input_image(&interlaced, 1).unwrap();
    interlaced.truncate(interlaced.len() - png_chunk(b"IEND", &[]).len());
    let mut header = interlaced[16..29].to_vec();
    header[12] = 1;
    interlaced.splice(8..PNG_START, png_chunk(b"IHDR", &header));
    assert_eq!(input_image(&interlaced, 1).unwrap().rgb(), expected.rgb());
}
