//! Any bytes become an input image or a rejection, within the limits and without a panic.

use image::ImageFormat;
use proptest::prelude::*;

use super::fixtures::{LOSSY_WEBP, PROGRESSIVE, encode, heic, textured};
use crate::header::Header;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};

fn valid_files() -> Vec<Vec<u8>> {
    let image = textured(24, 40);
    let mut files: Vec<_> = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ]
    .map(|format| encode(&image, format))
    .to_vec();
    files.extend([PROGRESSIVE, LOSSY_WEBP].map(<[u8]>::to_vec));
    files.push(include_bytes!("../../../../tests/photos/cmyk.tif").to_vec());
    files.push(heic(&image));
    files
}

fn assert_accepted_or_rejected(bytes: &[u8]) {
    let limits = Limits { bytes: 1 << 20, pixels: 1 << 18, decoded_bytes: 4 << 20, ..Limits::default() };
    let Ok(probed) = probe(bytes, &limits) else { return };
    let Header { width, height, decoded_bytes } = *probed.header();
    // The limits on a JPEG depend on its coding, and on the scale at which it is decoded.
    let is_jpeg = bytes.starts_with(b"\xFF\xD8\xFF");
    let is_within =
        u64::from(width) * u64::from(height) <= limits.pixels && decoded_bytes <= limits.decoded_bytes;
    assert!(is_jpeg || is_within);
    if let Ok(input) = probed.input_image(16, ResizeMode::Stretch, Filter::Bicubic) {
        assert_eq!(input.rgb().len(), 16 * 16 * 3);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_or_rejected(
        signature in prop::sample::select(vec![
            &b""[..],
            b"\xFF\xD8\xFF",
            b"\x89PNG\r\n\x1A\n",
            b"GIF89a",
            b"II*\0",
            b"MM\0*",
            b"RIFF\x10\0\0\0WEBPVP8 ",
            b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0",
            b"\0\0\0\x18ftyp",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        assert_accepted_or_rejected(&[signature, &rest].concat());
    }

    #[test]
    fn a_damaged_file_is_accepted_or_rejected(
        file in prop::sample::select(valid_files()),
        overwrites in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = file;
        for (index, value) in overwrites {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        assert_accepted_or_rejected(&bytes);
    }
}
