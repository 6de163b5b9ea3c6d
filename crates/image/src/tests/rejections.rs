//! Files that are rejected, and the reject codes.

use image::ImageFormat;

use super::fixtures::{
    LOSSY_WEBP, PROGRESSIVE, QUADRANTS, assert_shows, encode, input_image, quadrants, reject_code, textured,
};
use crate::catch_panic::catch_panic;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::rejection::{RejectCode, Rejection};

#[test]
fn a_file_that_is_not_decoded_is_rejected_by_name() {
    let cases: &[(&[u8], RejectCode, &str)] = &[
        (b"", RejectCode::Empty, "0 bytes"),
        (b"Dear Sir or Madam, ...\n", RejectCode::NotAnImage, "the file is text"),
        (b"BMW and other brands of cars", RejectCode::NotAnImage, "the file is text"),
        (b"P1 is where we park", RejectCode::UnsupportedFormat, "PNM"),
        (b"\x7FELF\x02\x01\x01\0\0", RejectCode::NotAnImage, "a program"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", RejectCode::UnsupportedFormat, "AVIF"),
        (b"\0\0\0\x14ftypisom\0\0\x02\0isom", RejectCode::NotAnImage, "an MP4 video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", RejectCode::UnsupportedFormat, "CR3"),
        (b"\xFF\x0A\xFA\x7F", RejectCode::UnsupportedFormat, "JPEG XL"),
        (b"%PDF-1.7", RejectCode::UnsupportedFormat, "PDF"),
        (b"<?xml version='1.0'?>\n<svg xmlns='...'/>", RejectCode::UnsupportedFormat, "SVG"),
        (b"II*\0\x10\0\0\0CR\x02\0", RejectCode::UnsupportedFormat, "CR2"),
        (b"\x1F\x8B\x08\0", RejectCode::NotAnImage, "gzip data"),
        (b"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", RejectCode::NotAnImage, "converted to text"),
        (b"--x\r\nContent-Disposition: form-data", RejectCode::NotAnImage, "a multipart form"),
        (b"\0\0\0\0", RejectCode::NotAnImage, "nothing but zeros"),
        (b"\x01\x02", RejectCode::NotAnImage, "no known image format"),
    ];
    for (bytes, code, word) in cases {
        let rejection = probe(bytes, &Limits::default()).unwrap_err();
        assert_eq!((rejection.code, rejection.message.contains(word)), (*code, true), "{rejection}");
        assert!(!rejection.message.contains('\n'), "{rejection}");
        if *code == RejectCode::UnsupportedFormat {
            assert!(rejection.message.contains("send JPEG, PNG or WebP"), "{rejection}");
        }
    }
}

#[test]
fn a_raw_file_does_not_pass_as_its_preview() {
    let entry = |tag: u16, value: u32| {
        [&tag.to_le_bytes()[..], &4_u16.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    for (tag, value, word) in [(254, 1, "preview"), (50706, 0x0401, "DNG")] {
        let tiff = [b"II*\0\x08\0\0\0\x01\0", &entry(tag, value)[..]].concat();
        let rejection = probe(tiff, &Limits::default()).unwrap_err();
        assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
        assert!(rejection.message.contains(word), "{rejection}");
    }
}

#[test]
fn an_image_cut_anywhere_is_truncated() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let image = textured(64, 64);
    let formats = [Jpeg, Png, Gif, Bmp, Tiff, WebP];
    let mut files: Vec<(String, Vec<u8>)> =
        formats.map(|format| (format!("{format:?}"), encode(&image, format))).to_vec();
    files.push(("progressive JPEG".to_owned(), PROGRESSIVE.to_vec()));
    files.push(("lossy WebP".to_owned(), LOSSY_WEBP.to_vec()));
    for (name, bytes) in files {
        input_image(&bytes, 32).unwrap();
        for tenths in 1..10 {
            let cut = bytes.len() * tenths / 10;
            let code = reject_code(input_image(&bytes[..cut], 32));
            assert_eq!(code, Some(RejectCode::Truncated), "{name} after {cut} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_jpeg_ends_at_its_marker_whatever_follows() {
    let jpeg = encode(&quadrants(), ImageFormat::Jpeg);
    assert_shows(&[&jpeg[..], b"trailing bytes"].concat(), QUADRANTS, 6);
    assert_eq!(reject_code(input_image(&jpeg[..jpeg.len() / 2], 32)), Some(RejectCode::Truncated));
}

#[test]
fn a_jpeg_without_an_image_is_corrupt() {
    let code = |bytes: &[u8]| reject_code(probe(bytes, &Limits::default()));
    assert_eq!(code(b"\xFF\xD8\xFF\xD9"), Some(RejectCode::Corrupt));
    assert_eq!(code(b"\xFF\xD8\xFF\xDB\0\0"), Some(RejectCode::Corrupt));
    assert_eq!(code(b"\xFF\xD8\xFF"), Some(RejectCode::Truncated));
}

#[test]
fn a_png_with_a_wrong_checksum_is_corrupt() {
    let mut png = encode(&textured(64, 64), ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0x55;
    assert_eq!(reject_code(input_image(&png, 32)), Some(RejectCode::Corrupt));
}

#[test]
fn a_decompression_bomb_is_rejected_by_its_header() {
    let size = 60_000_u32;
    let png =
        [b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", &size.to_be_bytes()[..], &size.to_be_bytes(), b"\x08\x02\0\0\0"]
            .concat();
    let mut bmp = encode(&quadrants(), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&size.to_le_bytes());
    bmp[22..26].copy_from_slice(&size.to_le_bytes());
    let mut gif = encode(&quadrants(), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0xFF; 4]);
    let mut jpeg = encode(&quadrants(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|marker| marker == b"\xFF\xC0").unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    for bomb in [&png, &bmp, &gif, &jpeg] {
        assert_eq!(reject_code(probe(bomb, &Limits::default())), Some(RejectCode::TooManyPixels));
    }
    let message = probe(png, &Limits::default()).unwrap_err().message;
    assert!(message.contains("60000×60000 = 3600000000 pixels; the limit is 64000000"), "{message}");
}

#[test]
fn a_gif_frame_larger_than_its_screen_gets_the_memory_of_the_screen() {
    let mut gif = encode(&quadrants(), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[4, 0, 4, 0]);
    assert_eq!(reject_code(input_image(&gif, 32)), Some(RejectCode::DecodedTooLarge));
}

#[test]
fn a_jpeg_with_too_many_scans_is_rejected() {
    let count_scans = |bytes: &[u8]| bytes.windows(2).filter(|marker| marker == b"\xFF\xDA").count();
    let first = PROGRESSIVE.windows(2).position(|marker| marker == b"\xFF\xDA").unwrap();
    // A scan without data takes about ten bytes, yet the decoder walks through the whole image.
    let empty_scan = &PROGRESSIVE[first..first + 2 + usize::from(PROGRESSIVE[first + 3])];
    let end = PROGRESSIVE.len() - 2;
    let with_empty_scans =
        |count| [&PROGRESSIVE[..end], &empty_scan.repeat(count), &PROGRESSIVE[end..]].concat();
    let missing = 100 - count_scans(PROGRESSIVE);
    assert_eq!(count_scans(&with_empty_scans(missing)), 100);
    probe(with_empty_scans(missing), &Limits::default()).unwrap();
    let rejection = probe(with_empty_scans(missing + 1), &Limits::default()).unwrap_err();
    assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
    assert!(rejection.message.starts_with("JPEG with more than 100 scans is not supported"), "{rejection:?}");
}

#[test]
fn the_caller_sets_the_limits() {
    let png = encode(&textured(64, 64), ImageFormat::Png);
    let generous =
        Limits { bytes: png.len() as u64, pixels: 4096, decoded_bytes: 4096 * 3, ..Limits::default() };
    probe(&png, &generous).unwrap();
    let cases = [
        (Limits { bytes: generous.bytes - 1, ..generous }, RejectCode::TooManyBytes),
        (Limits { pixels: 4095, ..generous }, RejectCode::TooManyPixels),
        (Limits { decoded_bytes: 4096 * 3 - 1, ..generous }, RejectCode::DecodedTooLarge),
    ];
    for (limits, code) in cases {
        assert_eq!(reject_code(probe(&png, &limits)), Some(code));
    }
}

#[test]
fn a_panic_in_a_decoder_becomes_a_rejection_without_its_message() {
    let number = 7;
    let step = || -> Result<(), Rejection> { panic!("index {number} is out of range") };
    let rejection = catch_panic(step).unwrap_err();
    assert_eq!(rejection.code, RejectCode::Panicked);
    assert_eq!(rejection.message, "the decoder panicked; export the image again, and report it");
}

/// Returns a greyscale TIFF of one row per strip, in which all strips share one compressed stream.
fn tiff_with_shared_stream(compression: u32, rows: u32, stream: &[u8], byte_count: u32) -> Vec<u8> {
    const LONG: u16 = 4;
    let entries: [(u16, u32, u32); 9] = [
        (256, 1, 16),
        (257, 1, rows),
        (258, 1, 8),
        (259, 1, compression),
        (262, 1, 1),
        (273, rows, 8 + stream.len() as u32),
        (277, 1, 1),
        (278, 1, 1),
        (279, rows, 8 + stream.len() as u32 + 4 * rows),
    ];
    let lists = [vec![8; rows as usize], vec![byte_count; rows as usize]].concat();
    let mut bytes = b"II*\0".to_vec();
    bytes.extend((8 + stream.len() as u32 + 8 * rows).to_le_bytes());
    bytes.extend(stream);
    bytes.extend(lists.iter().flat_map(|number: &u32| number.to_le_bytes()));
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), LONG.to_le_bytes()].as_flattened());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].as_flattened());
    }
    bytes.extend([0; 4]);
    bytes
}

/// Empty stored blocks, which are valid deflate and produce nothing.
fn empty_deflate(bytes: usize) -> Vec<u8> {
    [&[0x78, 0x01][..], &[0, 0, 0, 0xFF, 0xFF].repeat(bytes / 5)].concat()
}

/// Such a file of 100 KB took minutes, since each strip went through the whole stream.
#[test]
fn a_tiff_whose_strips_share_one_stream_is_rejected_before_it_is_decoded() {
    let no_operations = [0x80; 100_000];
    let streams = [(8, &empty_deflate(100_000)[..]), (32773, &no_operations[..]), (5, &[0x80; 100_000][..])];
    for (compression, stream) in streams {
        let file = tiff_with_shared_stream(compression, 4000, stream, stream.len() as u32);
        let rejection = probe(file, &Limits::default()).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Corrupt, "{compression}: {rejection}");
        assert!(rejection.message.contains("in 4000 strips"), "{rejection}");
    }
}

/// The decoder reads a deflate stream to its end, whatever the byte count says.
#[test]
fn a_strip_is_not_read_beyond_its_byte_count() {
    let file = tiff_with_shared_stream(8, 4000, &empty_deflate(1_000_000), 12);
    let code = reject_code(input_image(&file, 16));
    assert!(matches!(code, Some(RejectCode::Truncated | RejectCode::Corrupt)), "{code:?}");
}
