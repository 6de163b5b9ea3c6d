//! Files full of data that produces no pixels.
//!
//! The decoders would accept them, and take seconds instead of milliseconds.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{DynamicImage, ImageFormat};

use crate::probe::probe;
use crate::tests::fixtures::{encode, input_image, png_chunk, quadrants, reject_code, textured};
use crate::watch::Watch;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
use fruitvec_core::rejection::RejectCode;

/// More than any tolerance.
const FLOOD: usize = 1 << 20;

/// Returns a greyscale PNG of 600 × 600 pixels, with `flood` at the start or the end of its stream.
fn png(flood: &[u8], at_end: bool) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&[0; 601 * 600]).unwrap();
    let stream = encoder.finish().unwrap();
    // Before the first block, or after the last row, in a stream whose last block is empty.
    let stream = if at_end {
        let mut stored = ZlibEncoder::new(Vec::new(), Compression::none());
        stored.write_all(&[0; 601 * 600]).unwrap();
        stored.flush().unwrap();
        [stored.get_ref(), flood, &[1, 0, 0, 0xFF, 0xFF]].concat()
    } else {
        [&stream[..2], flood, &stream[2..]].concat()
    };
    let header = [&600_u32.to_be_bytes()[..], &600_u32.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let chunks = [png_chunk(b"IHDR", &header), png_chunk(b"IDAT", &stream), png_chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1A\n", &chunks.concat()[..]].concat()
}

#[test]
fn a_png_may_not_spend_more_bytes_on_its_pixels_than_they_have() {
    let empty_block = [0, 0, 0, 0xFF, 0xFF];
    for at_end in [false, true] {
        input_image(&png(&empty_block.repeat(100), at_end), 16).unwrap();
        let rejection = input_image(&png(&empty_block.repeat(FLOOD / 5), at_end), 16).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Corrupt, "{at_end}");
        assert!(rejection.message.contains("need far fewer"), "{rejection}");
    }
}

#[test]
fn a_gif_may_not_consist_of_clear_codes() {
    let mut gif =
        encode(&DynamicImage::from(textured(600, 600).to_luma8()).to_rgba8().into(), ImageFormat::Gif);
    input_image(&gif, 16).unwrap();
    let sub_block =
        gif.windows(10).position(|bytes| bytes.starts_with(b",\0\0\0\0\x58\x02\x58\x02")).unwrap();
    // The frame has 256 colours of its own, or uses those of the screen.
    let flags = gif[sub_block + 9];
    let colours = if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let start = sub_block + 10 + colours;
    assert_eq!(gif[start], 8, "codes start at nine bits");
    // Eight times the code 256 in nine bits.
    let clears = [0x00, 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80];
    let block = [&[252][..], &clears.repeat(28)].concat();
    gif.splice(start + 1..start + 1, block.repeat(FLOOD / 253));
    let rejection = input_image(&gif, 16).unwrap_err();
    assert_eq!(rejection.code, RejectCode::Corrupt);
    assert!(rejection.message.contains("need far fewer"), "{rejection}");
}

#[test]
fn a_stopped_decoder_says_that_it_took_too_long() {
    for format in [ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Png, ImageFormat::WebP] {
        let watch = Watch::default();
        let file = encode(&quadrants(), format);
        let probed = probe(&file, &Limits::default()).unwrap().stopped_by(watch.clone());
        let decode = || probed.input_image(16, ResizeMode::Stretch, Filter::Bicubic);
        decode().unwrap();
        watch.stop();
        assert_eq!(reject_code(decode()), Some(RejectCode::TooSlow), "{format:?}");
    }
}
