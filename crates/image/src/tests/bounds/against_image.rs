//! Our use of the decoders, which differs from that of the crate `image`, gives the same pixels.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbaImage};
use proptest::prelude::*;

use crate::tests::fixtures::{LOSSY_WEBP, encode, input_image, png_chunk, textured};

/// The side of all images. An image of the input's size is not resized.
const SIDE: u32 = 37;
/// First column and row, and the steps, of each pass of an interlaced PNG.
const ADAM7: [[u32; 4]; 7] =
    [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/// Returns a PNG of random samples.
fn png(colour: u8, depth: u8, interlaced: bool, transparent: bool, noise: &[u8]) -> Vec<u8> {
    let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(colour)];
    let passes: &[[u32; 4]] = if interlaced { &ADAM7 } else { &[[0, 0, 1, 1]] };
    let mut noise = noise.iter().cycle();
    let mut raw = Vec::new();
    for [left, top, across, down] in passes {
        let (columns, rows) = ((SIDE - left).div_ceil(*across), (SIDE - top).div_ceil(*down));
        for row in 0..rows {
            raw.push((row % 5) as u8);
            let bytes = (columns * channels * u32::from(depth)).div_ceil(8);
            raw.extend(noise.by_ref().take(bytes as usize));
        }
    }
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    pixels.write_all(&raw).unwrap();
    let size = SIDE.to_be_bytes();
    let header = [&size[..], &size, &[depth, colour, 0, 0, u8::from(interlaced)]].concat();
    let mut file = [b"\x89PNG\r\n\x1A\n", &png_chunk(b"IHDR", &header)[..]].concat();
    if colour == 3 {
        let entries = 3 << depth;
        file.extend(png_chunk(b"PLTE", &noise.by_ref().take(entries).copied().collect::<Vec<_>>()));
    }
    if transparent {
        let length = if colour == 3 { 2 } else { 2 * channels as usize };
        file.extend(png_chunk(b"tRNS", &vec![0; length]));
    }
    file.extend(png_chunk(b"IDAT", &pixels.finish().unwrap()));
    file.extend(png_chunk(b"IEND", &[]));
    file
}

/// Decodes with `image`, and blends over white.
fn expected(file: &[u8], format: ImageFormat) -> Vec<u8> {
    let image = image::load_from_memory_with_format(file, format).unwrap();
    let upper = |sample: u16| f64::from(sample >> 8);
    let blend = |c: u16, a: u16| (upper(c) * upper(a) + 255.0 * (255.0 - upper(a))) / 255.0;
    let pixels = image.to_rgba16();
    pixels.pixels().flat_map(|pixel| [0, 1, 2].map(|at| blend(pixel[at], pixel[3]).round() as u8)).collect()
}

#[track_caller]
fn assert_same(file: &[u8], format: ImageFormat) {
    assert_eq!(input_image(file, SIDE).unwrap().rgb(), expected(file, format));
}

/// Returns an image of the common size whose pixels differ, some of them transparent.
fn transparent() -> DynamicImage {
    let mut image = textured(SIDE, SIDE).to_rgba8();
    image.enumerate_pixels_mut().for_each(|(x, y, pixel)| pixel[3] = (5 * x + 9 * y) as u8);
    image.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_png_of_any_kind_has_the_same_pixels(
        (colour, depth) in prop::sample::select(vec![
            (0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8),
            (4, 16), (6, 8), (6, 16),
        ]),
        interlaced: bool,
        transparent: bool,
        noise in prop::collection::vec(any::<u8>(), 1..2000),
    ) {
        let file = png(colour, depth, interlaced, transparent && colour < 4, &noise);
        let input = input_image(&file, SIDE).unwrap();
        prop_assert_eq!(input.rgb(), expected(&file, ImageFormat::Png));
    }
}

#[test]
fn a_gif_has_the_same_pixels_wherever_its_frame_is() {
    let mut file = encode(&transparent(), ImageFormat::Gif);
    assert_same(&file, ImageFormat::Gif);
    // The interlaced flag reorders the rows.
    let frame = file.windows(10).position(|bytes| bytes.starts_with(b",\0\0\0\0") && bytes[5] == SIDE as u8);
    let flags = frame.unwrap() + 9;
    file[flags] |= 0x40;
    assert_same(&file, ImageFormat::Gif);
    for (width, height, left, top) in [(20, 9, 3, 5), (37, 10, 0, 27), (5, 37, 32, 0), (37, 37, 4, 4)] {
        let small = textured(width, height).to_rgba8();
        let mut file = Vec::new();
        GifEncoder::new(&mut file)
            .encode_frame(Frame::from_parts(small, left, top, image::Delay::from_numer_denom_ms(1, 1)))
            .unwrap();
        file[6..10].copy_from_slice(&[SIDE as u8, 0, SIDE as u8, 0]);
        assert_same(&file, ImageFormat::Gif);
    }
}

#[test]
fn a_still_webp_has_the_same_pixels() {
    let opaque: DynamicImage = RgbaImage::from(textured(SIDE, SIDE).to_rgba8()).into();
    for image in [textured(SIDE, SIDE), transparent(), opaque] {
        assert_same(&encode(&image, ImageFormat::WebP), ImageFormat::WebP);
    }
    let expected = expected(LOSSY_WEBP, ImageFormat::WebP);
    assert_eq!(input_image(LOSSY_WEBP, 32).unwrap().rgb(), expected);
}

/// Returns a chunk of a WebP.
fn chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut chunk = [&name[..], &(payload.len() as u32).to_le_bytes(), payload].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

#[test]
fn the_first_frame_of_an_animated_webp_has_the_same_pixels() {
    let still = encode(&transparent(), ImageFormat::WebP);
    let side = [SIDE as u8 - 1, 0, 0];
    for (left, canvas) in [(0, SIDE as u8 - 1), (2, SIDE as u8 + 6)] {
        let place = [[left, 0, 0], [left, 0, 0], side, side, [9, 0, 0]].concat();
        let frame = chunk(b"ANMF", &[&place[..], &[0], &still[12..]].concat());
        let extended = chunk(b"VP8X", &[&[0x12, 0, 0, 0][..], &[canvas, 0, 0], &[canvas, 0, 0]].concat());
        let body = [&b"WEBP"[..], &extended, &chunk(b"ANIM", &[0; 6]), &frame, &frame].concat();
        let file = [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat();
        let (found, expected) =
            (input_image(&file, u32::from(canvas) + 1).unwrap(), expected(&file, ImageFormat::WebP));
        // The other decoder rounds once more, because it blends over a transparent canvas.
        let is_near =
            found.rgb().iter().zip(&expected).all(|(found, expected)| found.abs_diff(*expected) <= 1);
        assert!(is_near && found.rgb().len() == expected.len(), "at {left}");
    }
}
