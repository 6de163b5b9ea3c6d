//! TIFFs that are refused, with what to do, and within bounds of time and memory.

use super::builder::{Field, Tiff};
use super::layouts::compress;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
use fruitvec_core::rejection::{RejectCode, Rejection};

fn reject(file: &[u8]) -> Rejection {
    let probed = probe(file, &Limits::default());
    probed.and_then(|probed| probed.input_image(8, ResizeMode::Stretch, Filter::Bicubic)).unwrap_err()
}

/// Returns a readable image of 4 × 4 pixels.
fn grey() -> Tiff {
    Tiff::little().image((4, 4), 1, &[8]).strips(4, vec![vec![7; 16]])
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let cases: &[(Tiff, &str)] = &[
        (grey().with(259, Field::Short(&[6])), "old-style JPEG compression"),
        (grey().with(259, Field::Short(&[34712])), "JPEG 2000 compression"),
        (grey().with(259, Field::Short(&[50001])), "WebP compression"),
        (grey().with(259, Field::Short(&[12345])), "compression 12345"),
        (grey().with(262, Field::Short(&[4])), "a mask"),
        (grey().with(262, Field::Short(&[32803])), "a camera's sensor"),
        (grey().with(339, Field::Short(&[2])), "signed or complex samples"),
        (grey().with(258, Field::Short(&[64])), "64 bits per sample"),
        (
            Tiff::little().image((4, 4), 2, &[5, 6, 5]).strips(4, vec![vec![0; 32]]),
            "different numbers of bits",
        ),
        (grey().with(277, Field::Short(&[999])), "999 samples per pixel"),
    ];
    for (tiff, word) in cases {
        let rejection = reject(&tiff.bytes());
        assert_eq!(rejection.code, RejectCode::UnsupportedFormat, "{rejection}");
        assert!(rejection.message.contains(word), "{rejection}");
        assert!(rejection.message.ends_with("send JPEG, PNG or WebP"), "{rejection}");
    }
}

/// Heights and temperatures have no brightness, and would become a white square.
#[test]
fn measurements_are_refused() {
    let floats = |value: f32| {
        let strip = value.to_le_bytes().repeat(16);
        let tiff = Tiff::little().image((4, 4), 1, &[32]).with(339, Field::Short(&[3]));
        tiff.strips(4, vec![strip]).bytes()
    };
    for value in [-9999.0, 1500.0, f32::NAN] {
        let rejection = reject(&floats(value));
        assert_eq!(rejection.code, RejectCode::UnsupportedFormat, "{rejection}");
        assert!(rejection.message.contains("beyond the range"), "{rejection}");
    }
    assert_eq!(crate::tiff::decode(&floats(0.5)).unwrap().samples, [128; 16]);
}

#[test]
fn impossible_numbers_are_refused_before_anything_is_decoded() {
    use RejectCode::{Corrupt, DecodedTooLarge, TooManyPixels, Truncated, UnsupportedFormat};
    let huge: &[u32] = &[u32::MAX];
    let tiled = |side: u32, tile: u32| {
        Tiff::little().image((side, side), 1, &[8]).tiles((tile, tile), vec![vec![0; 16]])
    };
    let cases: &[(Tiff, &[RejectCode])] = &[
        (tiled(2000, 1), &[DecodedTooLarge]),
        (tiled(1, 65_535), &[Truncated, Corrupt]),
        (tiled(1, u32::MAX), &[DecodedTooLarge]),
        (tiled(u32::MAX, 1), &[TooManyPixels, DecodedTooLarge]),
        (grey().image((u32::MAX, u32::MAX), 2, &[8; 3]).with(278, Field::Long(huge)), &[TooManyPixels]),
        (
            tiled(u32::MAX, 1).image((u32::MAX, u32::MAX), 2, &[8; 3]).with(284, Field::Short(&[2])),
            &[DecodedTooLarge],
        ),
        (tiled(1, 0), &[Corrupt]),
        (grey().with(256, Field::Long(huge)), &[TooManyPixels, DecodedTooLarge]),
        (grey().with(257, Field::Long(&[0])), &[Corrupt]),
        (grey().with(278, Field::Long(&[0])), &[Corrupt]),
        (grey().with(278, Field::Long(&[1])), &[Corrupt]),
        (grey().with(273, Field::Long(huge)), &[Truncated]),
        (grey().with(259, Field::Short(&[5])).with(279, Field::Long(huge)), &[Corrupt, Truncated]),
        (grey().with(277, Field::Short(&[0])), &[UnsupportedFormat]),
        (grey().with(262, Field::Short(&[2])), &[Corrupt]),
        (grey().with(262, Field::Short(&[3])), &[Corrupt]),
    ];
    for (index, (tiff, codes)) in cases.iter().enumerate() {
        let rejection = reject(&tiff.bytes());
        assert!(codes.contains(&rejection.code), "{index}: {:?} {rejection}", rejection.code);
    }
}

/// A file of a few hundred bytes can claim a tile of billions of pixels, most of them padding.
#[test]
fn padding_is_not_unpacked() {
    let (side, rows) = (65_536, 65_500);
    let end_of_page = [0x00, 0x10, 0x01];
    let tiff = Tiff::little().image((1, rows), 0, &[1]).with(259, Field::Short(&[4]));
    let file = tiff.tiles((side, side), vec![end_of_page.to_vec()]).bytes();
    let header = crate::tiff::read_header(&file).unwrap();
    // The image, a row as stored, and its only pixel.
    assert_eq!(header.decoded_bytes, u64::from(rows) + u64::from(side / 8) + 1);
    assert_eq!(crate::tiff::decode(&file).unwrap().samples, vec![255; rows as usize]);
    // Of 256 samples per pixel, two are used.
    let mut kinds = [0; 255];
    kinds[254] = 2;
    let tiff = Tiff::little().image((2, 1), 1, &[8; 256]).with(338, Field::Short(&kinds));
    let pixels = [[&[9][..], &[1; 254], &[255]].concat(), [&[9][..], &[1; 254], &[0]].concat()].concat();
    let file = tiff.strips(1, vec![pixels]).bytes();
    assert_eq!(crate::tiff::read_header(&file).unwrap().decoded_bytes, 2 + 2 * 256 + 2 * 2);
    assert_eq!(crate::tiff::decode(&file).unwrap().samples, [9, 255]);
}

/// Each plane has a decoder, and that of Zstandard keeps up to 8 MiB.
#[test]
fn only_planes_that_are_used_are_decoded() {
    let mut kinds = [0; 63];
    kinds[62] = 2;
    let planes =
        [vec![compress(&[9; 16], 50000)], vec![vec![]; 62], vec![compress(&[255; 16], 50000)]].concat();
    let tiff = Tiff::little().image((4, 4), 1, &[8; 64]).with(259, Field::Short(&[50000]));
    let tiff = tiff.with(284, Field::Short(&[2])).with(338, Field::Short(&kinds));
    let file = tiff.strips(4, planes).bytes();
    let header = crate::tiff::read_header(&file).unwrap();
    assert_eq!(header.decoded_bytes >> 20, 2 * 8 + 1);
    assert_eq!(crate::tiff::decode(&file).unwrap().samples, [9; 16]);
}

#[test]
fn copies_of_the_file_count_as_memory() {
    let memory = |file: &[u8]| crate::tiff::read_header(file).unwrap().decoded_bytes;
    let plain = memory(&grey().bytes());
    let reversed = grey().with(266, Field::Short(&[2])).bytes();
    assert_eq!(memory(&reversed), plain + reversed.len() as u64);
    let jpeg = |strip: &[u8]| {
        let tiff = Tiff::little().image((16, 16), 1, &[8]).with(259, Field::Short(&[7]));
        memory(&tiff.strips(16, vec![strip.to_vec()]).bytes())
    };
    assert_eq!(jpeg(&[0; 9000]), jpeg(&[0; 1000]) + 8000);
}

#[test]
fn the_resizer_has_a_fourth_channel_for_cmyk() {
    let memory = |photometric| {
        let tiff = Tiff::little().image((100, 100), photometric, &[8; 4]).strips(100, vec![vec![0; 40_000]]);
        let probed = probe(tiff.bytes(), &Limits::default()).unwrap();
        probed.memory(8, ResizeMode::Stretch).unwrap() - probed.header().decoded_bytes
    };
    assert_eq!((memory(2), memory(5)), (3 * 8 * 100, 4 * 8 * 100));
}

/// Each row costs some time, however short it is.
#[test]
fn millions_of_narrow_rows_are_refused() {
    let tiff = |width| {
        let offsets = vec![8; (8000 / width) as usize];
        let tiff = Tiff::little().image((8000, 8000), 1, &[8]).tiles((width, 8000), vec![vec![0; 64_000]]);
        tiff.with(324, Field::Long(&offsets)).bytes()
    };
    let rejection = crate::tiff::read_header(&tiff(1)).unwrap_err();
    assert_eq!(rejection.code, RejectCode::DecodedTooLarge, "{rejection}");
    crate::tiff::read_header(&tiff(16)).unwrap();
}

/// Any count of a tag that refers to a list is harmless, also one of billions.
#[test]
fn every_field_may_claim_any_count() {
    let file = grey().bytes();
    let directory = file.len() - 4 - 12 * 8;
    for entry in 0..8 {
        let mut hostile = file.clone();
        let count = directory + 12 * entry + 4;
        hostile[count..count + 4].fill(0xFF);
        assert_eq!(reject(&hostile).code, RejectCode::Truncated, "entry {entry}");
    }
}

/// Each of these streams decodes to nothing, or to one byte, over and over.
#[test]
fn streams_without_pixels_end_soon() {
    let length = 2_000_000;
    let empty_block: &[u8] = &[0, 0, 0, 0xFF, 0xFF];
    // Four blocks with fixed codes: three bits of header, and seven for the end.
    let fixed_block: &[u8] = &[0x02, 0x08, 0x20, 0x80, 0x00];
    let streams = [
        (32773, vec![0x80; length]),
        (5, vec![0x80; length]),
        (8, [&[0x78, 0x01], &empty_block.repeat(length / 5)[..]].concat()),
        (8, [&[0x78, 0x01], &fixed_block.repeat(length / 5)[..]].concat()),
        (50000, compress(&[], 50000).repeat(length / 9)),
        (4, vec![0; length]),
        (3, vec![0; length]),
    ];
    for (compression, stream) in streams {
        let tiff = Tiff::little().image((60_000, 1000), 0, &[1]).with(259, Field::Short(&[compression]));
        let rejection = reject(&tiff.strips(1000, vec![stream]).bytes());
        assert_eq!(rejection.code, RejectCode::Corrupt, "{compression}: {rejection}");
    }
}

#[test]
fn one_row_per_strip_is_honest() {
    let strips: Vec<_> = (0..65_000_u32).map(|y| compress(&[y as u8], 8)).collect();
    let tiff = Tiff::little().image((1, 65_000), 1, &[8]).with(259, Field::Short(&[8])).strips(1, strips);
    let raster = crate::tiff::decode(&tiff.bytes()).unwrap();
    assert!(raster.samples.iter().enumerate().all(|(y, sample)| *sample == y as u8));
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let tiff = Tiff::little().image((40, 40), 2, &[8; 3]).with(259, Field::Short(&[5]));
    let file = tiff.strips(8, vec![compress(&[9; 40 * 8 * 3], 5); 5]).bytes();
    for length in (8..file.len() - 4).step_by(7) {
        assert_eq!(reject(&file[..length]).code, RejectCode::Truncated, "{length}");
    }
}

/// The offset of the next directory is not followed.
#[test]
fn a_loop_of_directories_is_harmless() {
    let mut file = grey().bytes();
    let (end, first) = (file.len() - 4, file[4..8].to_vec());
    file[end..].copy_from_slice(&first);
    assert_eq!(crate::tiff::decode(&file).unwrap().samples, [7; 16]);
}
