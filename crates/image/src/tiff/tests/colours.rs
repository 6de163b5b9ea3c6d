//! Colours other than greyscale and RGB, and the pixels inside JPEG and fax streams.

use mozjpeg::{ColorSpace, Compress};

use super::builder::{Field, Tiff};
use super::layouts::{compress, decoded, from_bits};
use crate::probe::probe;
use crate::raster::Raster;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::rejection::RejectCode;

fn assert_near(raster: &Raster, expected: &[u8], tolerance: u8) {
    assert_eq!(raster.samples.len(), expected.len());
    let is_near = raster.samples.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(is_near, "{:?} is not {expected:?}", raster.samples);
}

#[test]
fn palettes_of_every_depth_are_looked_up() {
    for (bits, packed) in [(1, "010"), (2, "000111"), (4, "000000011111"), (8, "000000000000000111111111")] {
        let size: usize = 1 << bits;
        let last = if bits == 1 { 0 } else { size - 1 };
        for depth in [1, 256] {
            // Reds, greens, blues.
            let mut map = vec![0_u16; 3 * size];
            for (index, colour) in [(0, [250, 10, 20]), (1, [30, 240, 50]), (last, [250, 10, 20])] {
                for (channel, value) in colour.into_iter().enumerate() {
                    map[channel * size + index] = value * depth;
                }
            }
            let tiff = Tiff::little()
                .image((3, 1), 3, &[bits])
                .with(320, Field::Short(&map))
                .strips(1, vec![from_bits(packed)]);
            assert_near(&decoded(&tiff.bytes()), &[[250, 10, 20], [30, 240, 50], [250, 10, 20]].concat(), 0);
            let short = tiff.with(320, Field::Short(&map[1..])).bytes();
            assert_eq!(crate::tiff::decode(&short).unwrap_err().code, RejectCode::Corrupt);
        }
    }
}

#[test]
fn inks_are_inverted_and_other_inks_are_refused() {
    let tiff = Tiff::little().image((2, 1), 5, &[8; 4]).strips(1, vec![vec![0, 255, 100, 0, 0, 0, 0, 51]]);
    assert_near(&decoded(&tiff.bytes()), &[255, 0, 155, 255, 255, 255, 255, 204], 0);
    let message = crate::tiff::decode(&tiff.with(332, Field::Short(&[2])).bytes()).unwrap_err().message;
    assert!(message.contains("inks other than CMYK"), "{message}");
}

#[test]
fn ycbcr_is_converted_and_its_chroma_is_spread() {
    // Red in the digital studio range and in the full one: 81, 90, 240 and 76, 85, 255.
    let studio = Tiff::little()
        .with(532, Field::Fraction(&[(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)]));
    for (tiff, [y, cb, cr]) in [(studio, [81, 90, 240]), (Tiff::little(), [76, 85, 255])] {
        let full = tiff.clone().image((3, 1), 6, &[8; 3]).with(530, Field::Short(&[1, 1]));
        let full = full.strips(1, vec![[[y, cb, cr]; 3].concat()]);
        assert_near(&decoded(&full.bytes()), &[[255, 0, 0]; 3].concat(), 3);
        // Two by two pixels share chroma, which is the default. The image has an odd size.
        let units = [[y, y, y, y, cb, cr]; 4].concat();
        for compression in [1, 5] {
            let shared = tiff.clone().image((3, 3), 6, &[8; 3]).with(259, Field::Short(&[compression]));
            let shared = shared.strips(3, vec![compress(&units, compression)]);
            assert_near(&decoded(&shared.bytes()), &[[255, 0, 0]; 9].concat(), 3);
        }
    }
}

/// The values under D50 are those of Bruce Lindbloom's calculator.
#[test]
fn cielab_becomes_srgb() {
    let known = [
        ([100.0, 0.0, 0.0], [255, 255, 255]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
        ([54.29, 80.80, 69.89], [255, 0, 0]),
        ([87.82, -79.27, 80.99], [0, 255, 0]),
        ([29.57, 68.29, -112.03], [0, 0, 255]),
    ];
    for ([lightness, a, b], expected) in known {
        let lightness = f64::round(lightness * 2.55) as u8;
        for (photometric, offset) in [(8, 0_i16), (9, 128)] {
            let colour = |value: f64| (value.round() as i16 + offset) as u8;
            let pixel = [lightness, colour(a), colour(b)];
            let eight = Tiff::little().image((1, 1), photometric, &[8; 3]).strips(1, vec![pixel.to_vec()]);
            assert_near(&decoded(&eight.bytes()), &expected, 13);
            let sixteen = Tiff::big_endian().image((1, 1), photometric, &[16; 3]);
            let sixteen = sixteen.strips(1, vec![pixel.iter().flat_map(|sample| [*sample, 0]).collect()]);
            assert_near(&decoded(&sixteen.bytes()), &expected, 13);
        }
    }
}

/// Returns a fax image 16 pixels wide. Black is 0 in the expected pixels.
fn fax(rows: u32, compression: u16, options: u32, bits: &str) -> Tiff {
    Tiff::little()
        .image((16, rows), 0, &[1])
        .with(259, Field::Short(&[compression]))
        .with(292, Field::Long(&[options]))
        .strips(rows, vec![from_bits(bits)])
}

/// The codes are those of the tables in ITU-T T.4 and T.6.
#[test]
fn every_fax_coding_is_read() {
    let (end_of_line, white, black) = ("000000000001", 255, 0);
    // Four white, four black, eight white. Then all white, then all black.
    let runs = ["1011 011 10011", "101010", "00110101 0000010111"].map(|row| row.replace(' ', ""));
    let expected =
        [vec![white; 4], vec![black; 4], vec![white; 8], vec![white; 16], vec![black; 16]].concat();
    let on_bytes = |row: &String| format!("{row:0<width$}", width = row.len().div_ceil(8) * 8);
    let modified_huffman: String = runs.iter().map(on_bytes).collect();
    let marked: String = runs.iter().map(|row| format!("{end_of_line}{row}")).collect();
    let filled: String = runs.iter().map(|row| format!("000{end_of_line}{row}")).collect();
    let unmarked = runs.concat();
    for (compression, bits) in [(2, modified_huffman), (3, marked.clone()), (3, filled), (3, unmarked)] {
        assert_near(&decoded(&fax(3, compression, 0, &bits).bytes()), &expected, 0);
    }
    // Vertical modes. The second row is one pixel to the right and left, the third passes over it.
    let [first, ..] = &runs;
    let expected = [
        [vec![white; 4], vec![black; 4], vec![white; 8]].concat(),
        [vec![white; 5], vec![black; 2], vec![white; 9]].concat(),
        vec![white; 16],
    ]
    .concat();
    let second = format!("{}{}{}", "011", "010", "1");
    let third = format!("{}{}", "0001", "1");
    let two_dimensional = format!("{end_of_line}1{first}{end_of_line}0{second}{end_of_line}0{third}");
    assert_near(&decoded(&fax(3, 3, 1, &two_dimensional).bytes()), &expected, 0);
    // The first row of Group 4 refers to a white one.
    let group4 = format!("{}{}{}{second}{third}", "001", "1011011", "1");
    assert_near(&decoded(&fax(3, 4, 0, &group4).bytes()), &expected, 0);
    // Rows after the end of the page are white.
    let ended = format!("{group4}{}", end_of_line.repeat(2));
    let white_rows = [expected, vec![white; 32]].concat();
    assert_near(&decoded(&fax(5, 4, 0, &ended).bytes()), &white_rows, 0);
    let code = crate::tiff::decode(&fax(5, 4, 0, &group4).bytes()).unwrap_err().code;
    assert_eq!(code, RejectCode::Corrupt, "a page without an end is cut off");
}

#[test]
fn group_4_decodes_what_another_encoder_writes() {
    let width = 100_u16;
    let is_black =
        |x: u16, y: u16| u32::from(x) * 7919 % (u32::from(y) + 5) < 2 || (x / 9 + y).is_multiple_of(5);
    let mut encoder = fax::encoder::Encoder::new(fax::VecWriter::new());
    for y in 0..50 {
        let row = (0..width).map(|x| if is_black(x, y) { fax::Color::Black } else { fax::Color::White });
        encoder.encode_line(row, width).unwrap();
    }
    let strip = encoder.finish().unwrap().finish();
    let tiff = Tiff::little().image((u32::from(width), 50), 0, &[1]).with(259, Field::Short(&[4]));
    let expected: Vec<u8> =
        (0..50).flat_map(|y| (0..width).map(move |x| if is_black(x, y) { 0 } else { 255 })).collect();
    assert_near(&decoded(&tiff.strips(50, vec![strip]).bytes()), &expected, 0);
}

/// Encodes a JPEG of a colour gradient, and returns it without its tables, and the tables.
fn jpeg(space: ColorSpace, side: usize, channels: usize) -> (Vec<u8>, Vec<u8>) {
    let mut compress = Compress::new(space);
    compress.set_size(side, side);
    compress.set_quality(95.0);
    // No progressive scans.
    compress.set_fastest_defaults();
    if space == ColorSpace::JCS_RGB && channels == 3 {
        compress.set_color_space(ColorSpace::JCS_YCbCr);
    }
    let mut started = compress.start_compress(Vec::new()).unwrap();
    let pixels: Vec<u8> =
        (0..side * side * channels).map(|at| (at / channels % side * 4 + at % channels * 50) as u8).collect();
    started.write_scanlines(&pixels).unwrap();
    let jpeg = started.finish().unwrap();
    let (mut stream, mut tables, mut at) = (b"\xFF\xD8".to_vec(), b"\xFF\xD8".to_vec(), 2);
    loop {
        let marker = jpeg[at + 1];
        let length = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        match marker {
            0xDA => break,
            0xC4 | 0xDB => tables.extend(&jpeg[at..at + length]),
            _ => stream.extend(&jpeg[at..at + length]),
        }
        at += length;
    }
    stream.extend(&jpeg[at..]);
    tables.extend(b"\xFF\xD9");
    (stream, tables)
}

fn gradient(side: usize, channels: usize) -> Vec<u8> {
    (0..side * side * channels).map(|at| (at / channels % side * 4 + at % channels * 50) as u8).collect()
}

#[test]
fn jpegs_in_strips_and_tiles_use_the_shared_tables() {
    let (stream, tables) = jpeg(ColorSpace::JCS_RGB, 32, 3);
    let tiff = Tiff::little()
        .image((32, 32), 6, &[8; 3])
        .with(259, Field::Short(&[7]))
        .with(530, Field::Short(&[2, 2]))
        .with(347, Field::Bytes(&tables));
    let strip = tiff.clone().strips(32, vec![stream.clone()]);
    assert_near(&decoded(&strip.bytes()), &gradient(32, 3), 12);
    // A tile may be larger than the image. Its JPEG has the size of the tile.
    let tile = tiff.clone().image((32, 20), 6, &[8; 3]).tiles((32, 32), vec![stream.clone()]);
    assert_near(&decoded(&tile.bytes()), &gradient(32, 3)[..32 * 20 * 3], 12);
    let (grey, tables) = jpeg(ColorSpace::JCS_GRAYSCALE, 32, 1);
    let planes = Tiff::little().image((32, 32), 2, &[8; 3]).with(259, Field::Short(&[7]));
    let planes = planes.with(284, Field::Short(&[2])).with(347, Field::Bytes(&tables));
    let planes = decoded(&planes.strips(32, vec![grey.clone(), grey.clone(), grey]).bytes());
    let expected: Vec<u8> = gradient(32, 1).iter().flat_map(|grey| [*grey; 3]).collect();
    assert_near(&planes, &expected, 4);
    // A frame of another size than the tags declare would be a second, unchecked size.
    let other = tiff.image((16, 16), 6, &[8; 3]).strips(16, vec![stream]);
    assert_eq!(crate::tiff::decode(&other.bytes()).unwrap_err().code, RejectCode::Corrupt);
}

/// libjpeg paints missing blocks grey.
#[test]
fn a_jpeg_that_ends_early_is_truncated() {
    let (stream, tables) = jpeg(ColorSpace::JCS_GRAYSCALE, 32, 1);
    let cut = |length: usize| [&stream[..length], b"\xFF\xD9"].concat();
    let whole = stream.clone();
    let strips =
        Tiff::little().image((32, 64), 1, &[8]).strips(32, vec![whole.clone(), cut(stream.len() - 12)]);
    let planes = Tiff::little().image((32, 32), 2, &[8; 3]).with(284, Field::Short(&[2]));
    let planes = planes.strips(32, vec![whole.clone(), whole.clone(), cut(stream.len() - 40)]);
    for tiff in [strips, planes] {
        let file = tiff.with(259, Field::Short(&[7])).with(347, Field::Bytes(&tables)).bytes();
        let rejection = crate::tiff::decode(&file).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Truncated, "{rejection}");
        assert!(
            rejection.message.ends_with("JPEG ends before its last pixel; upload it again"),
            "{rejection}"
        );
    }
    // A tile's padding may be missing.
    let tile = Tiff::little().image((32, 8), 1, &[8]).with(259, Field::Short(&[7]));
    let tile = tile.with(347, Field::Bytes(&tables)).tiles((32, 32), vec![cut(stream.len() - 12)]);
    assert_near(&decoded(&tile.bytes()), &gradient(32, 1)[..32 * 8], 4);
}

#[test]
fn a_damaged_jpeg_is_rejected_in_plain_words() {
    let (stream, _) = jpeg(ColorSpace::JCS_GRAYSCALE, 32, 1);
    let tiff = Tiff::little().image((32, 32), 1, &[8]).with(259, Field::Short(&[7]));
    let rejection = crate::tiff::decode(&tiff.strips(32, vec![stream]).bytes()).unwrap_err();
    assert_eq!(rejection.code, RejectCode::Corrupt);
    let message = "the TIFF is invalid: a strip or tile is a damaged JPEG; export it again";
    assert_eq!(rejection.message, message);
}

#[test]
fn the_first_page_is_shown_upright_as_its_tag_says() {
    let tiff = Tiff::little().image((3, 2), 1, &[8]).with(274, Field::Short(&[6]));
    let file = tiff.strips(2, vec![vec![0, 50, 100, 150, 200, 250]]).bytes();
    let header = *probe(&file, &Limits::default()).unwrap().header();
    assert_eq!((header.width, header.height), (2, 3));
}
