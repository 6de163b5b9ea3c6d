//! Every orientation is turned upright, wherever a format stores it.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{DynamicImage, ImageFormat};

use super::fixtures::{
    QUADRANTS, assert_shows, centres, encode, input_image, png_chunk, quadrants, textured, webp,
};
use crate::header::Header;
use crate::probe::probe;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};

/// The side of [`quadrants`].
const SIDE: u32 = 32;
/// The pixels of a TIFF start right after its header.
const TIFF_HEADER: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    fn bytes<const N: usize>(self, mut big_endian: [u8; N]) -> [u8; N] {
        if self == Self::Little {
            big_endian.reverse();
        }
        big_endian
    }

    fn short(self, number: u16) -> [u8; 2] {
        self.bytes(number.to_be_bytes())
    }

    fn long(self, number: u32) -> [u8; 4] {
        self.bytes(number.to_be_bytes())
    }

    /// Returns the header of a TIFF whose directory is at `offset`.
    fn header(self, offset: u32) -> Vec<u8> {
        let name = if self == Self::Little { b"II" } else { b"MM" };
        [name, &self.short(42)[..], &self.long(offset)].concat()
    }

    fn directory(self, entries: &[Entry]) -> Vec<u8> {
        let mut bytes = self.short(entries.len() as u16).to_vec();
        for Entry { tag, count, value } in entries {
            let (kind, value) = match *value {
                Value::Short(value) => (3, [self.short(value), [0; 2]].concat()),
                Value::Long(value) => (4, self.long(value).to_vec()),
                Value::BytesAt(offset) => (1, self.long(offset).to_vec()),
            };
            bytes.extend([self.short(*tag), self.short(kind)].as_flattened());
            bytes.extend(self.long(*count));
            bytes.extend(value);
        }
        bytes.extend([0; 4]);
        bytes
    }

    /// Returns EXIF metadata with this orientation.
    fn exif(self, orientation: Value) -> Vec<u8> {
        [self.header(8), self.directory(&[Entry { tag: 274, count: 1, value: orientation }])].concat()
    }
}

#[derive(Clone, Copy)]
enum Value {
    Short(u16),
    Long(u32),
    BytesAt(u32),
}

#[derive(Clone, Copy)]
struct Entry {
    tag: u16,
    count: u32,
    value: Value,
}

/// Returns a JPEG with this APP1 segment.
fn jpeg(image: &DynamicImage, payload: &[u8]) -> Vec<u8> {
    let jpeg = encode(image, ImageFormat::Jpeg);
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xFF\xE1", &length, payload, &jpeg[2..]].concat()
}

/// Returns a PNG with this chunk, before or after the pixels.
fn png(image: &DynamicImage, name: &[u8; 4], payload: &[u8], after_pixels: bool) -> Vec<u8> {
    let png = encode(image, ImageFormat::Png);
    // The signature and the header take 33 bytes, the end 12.
    let at = if after_pixels { png.len() - 12 } else { 33 };
    [&png[..at], &png_chunk(name, payload), &png[at..]].concat()
}

/// Returns an uncompressed TIFF of [`quadrants`] with one tag more. Its value may be in `appendix`.
fn tiff(order: ByteOrder, tag: u16, value: &dyn Fn(u32) -> (u32, Value), appendix: &[u8]) -> Vec<u8> {
    let pixels = quadrants().into_bytes();
    let appendix_at = TIFF_HEADER + pixels.len() as u32;
    let entry = |tag, count, value| Entry { tag, count, value };
    let (count, value) = value(appendix_at);
    let mut entries = vec![
        entry(256, 1, Value::Long(SIDE)),
        entry(257, 1, Value::Long(SIDE)),
        entry(258, 1, Value::Short(8)),
        entry(259, 1, Value::Short(1)),
        entry(262, 1, Value::Short(2)),
        entry(273, 1, Value::Long(TIFF_HEADER)),
        entry(277, 1, Value::Short(3)),
        entry(278, 1, Value::Long(SIDE)),
        entry(279, 1, Value::Long(pixels.len() as u32)),
        entry(tag, count, value),
    ];
    entries.sort_by_key(|entry| entry.tag);
    let directory_at = appendix_at + appendix.len() as u32;
    [order.header(directory_at), pixels, appendix.to_vec(), order.directory(&entries)].concat()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns a profile as ImageMagick writes it: 36 bytes a line.
fn profile(kind: &str, profile: &[u8]) -> Vec<u8> {
    let lines: Vec<String> = profile.chunks(36).map(hex::encode).collect();
    format!("\n{kind}\n{:8}\n{}\n", profile.len(), lines.join("\n")).into_bytes()
}

fn xmp_attribute(orientation: u8) -> Vec<u8> {
    format!("<x:xmpmeta><rdf:Description tiff:Orientation=\"{orientation}\"/></x:xmpmeta>").into_bytes()
}

fn xmp_element(orientation: u8) -> Vec<u8> {
    format!("<x:xmpmeta><tiff:Orientation>{orientation}</tiff:Orientation></x:xmpmeta>").into_bytes()
}

/// Returns files with this orientation in EXIF metadata, and their names.
fn exif_files(image: &DynamicImage, exif: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let prefixed = [b"Exif\0\0", exif].concat();
    let raw = profile("exif", &prefixed);
    let app1 = profile("generic", &prefixed);
    let text = |keyword: &[u8], rest: &[u8]| [keyword, b"\0", rest].concat();
    let exif_text = text(b"Raw profile type exif", &raw);
    let app1_text = text(b"Raw profile type APP1", &app1);
    let compressed = text(b"Raw profile type exif", &[b"\0", &zlib(&raw)[..]].concat());
    let compressed_app1 = text(b"Raw profile type APP1", &[b"\0", &zlib(&app1)[..]].concat());
    vec![
        ("JPEG", jpeg(image, &prefixed)),
        ("JPEG, prefixed twice", jpeg(image, &[b"Exif\0\0", &prefixed[..]].concat())),
        ("WebP", webp(image, 8, &[(b"EXIF", exif)])),
        ("WebP, prefixed", webp(image, 8, &[(b"EXIF", &prefixed)])),
        ("PNG", png(image, b"eXIf", exif, false)),
        ("PNG, prefixed", png(image, b"eXIf", &prefixed, false)),
        ("PNG, after the pixels", png(image, b"eXIf", exif, true)),
        ("PNG, raw profile", png(image, b"tEXt", &exif_text, false)),
        ("PNG, raw profile APP1", png(image, b"tEXt", &app1_text, true)),
        ("PNG, compressed raw profile", png(image, b"zTXt", &compressed, true)),
        ("PNG, compressed raw profile APP1", png(image, b"zTXt", &compressed_app1, false)),
    ]
}

/// Returns files with an orientation in this XMP packet only, and their names.
fn xmp_files(image: &DynamicImage, xmp: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = |compressed: u8, text: &[u8]| {
        [&b"XML:com.adobe.xmp\0"[..], &[compressed, 0], b"en\0translated\0", text].concat()
    };
    vec![
        ("JPEG, XMP", jpeg(image, &[b"http://ns.adobe.com/xap/1.0/\0", xmp].concat())),
        ("WebP, XMP", webp(image, 4, &[(b"XMP ", xmp)])),
        ("PNG, XMP", png(image, b"iTXt", &text(0, xmp), false)),
        ("PNG, compressed XMP", png(image, b"iTXt", &text(1, &zlib(xmp)), true)),
    ]
}

/// Returns files of every kind with this orientation.
fn files(image: &DynamicImage, orientation: u8) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = Vec::new();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for value in [Value::Short(orientation.into()), Value::Long(orientation.into())] {
            files.extend(exif_files(image, &order.exif(value)));
        }
    }
    for xmp in [xmp_attribute(orientation), xmp_element(orientation)] {
        files.extend(xmp_files(image, &xmp));
    }
    files
}

fn tiff_files(orientation: u8) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = Vec::new();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for value in [Value::Short(orientation.into()), Value::Long(orientation.into())] {
            files.push(("TIFF", tiff(order, 274, &|_| (1, value), &[])));
        }
        for xmp in [xmp_attribute(orientation), xmp_element(orientation)] {
            let packet_at = |offset| (xmp.len() as u32, Value::BytesAt(offset));
            files.push(("TIFF, XMP", tiff(order, 700, &packet_at, &xmp)));
        }
    }
    files
}

/// Returns what an orientation makes of [`QUADRANTS`].
fn turned(orientation: u8) -> [[u8; 3]; 4] {
    let [red, green, blue, yellow] = QUADRANTS;
    match orientation {
        2 => [green, red, yellow, blue],
        3 => [yellow, blue, green, red],
        4 => [blue, yellow, red, green],
        5 => [red, blue, green, yellow],
        6 => [blue, red, yellow, green],
        7 => [yellow, green, blue, red],
        8 => [green, yellow, red, blue],
        _ => QUADRANTS,
    }
}

#[test]
fn every_orientation_is_turned_upright_in_every_format() {
    for orientation in 0..=9 {
        let files = [files(&quadrants(), orientation), tiff_files(orientation)].concat();
        assert_eq!(files.len(), 60);
        for (name, bytes) in files {
            let found = centres(&input_image(&bytes, SIDE).unwrap());
            let expected = turned(orientation);
            let differences = found.as_flattened().iter().zip(expected.as_flattened());
            // JPEG is lossy.
            let is_turned = differences.map(|(a, b)| a.abs_diff(*b)).all(|difference| difference <= 6);
            assert!(is_turned, "{name}, orientation {orientation}: {found:?} is not {expected:?}");
        }
    }
}

#[test]
fn the_header_has_the_upright_width_and_height() {
    let image = textured(60, 40);
    for (orientation, expected) in [(1, (60, 40)), (4, (60, 40)), (5, (40, 60)), (6, (40, 60)), (8, (40, 60))]
    {
        for (name, bytes) in files(&image, orientation) {
            let probed = probe(bytes, &Limits::default()).unwrap();
            let Header { width, height, .. } = *probed.header();
            assert_eq!((width, height), expected, "{name}, orientation {orientation}");
            probed.input_image(32, ResizeMode::Crop { shorter_side: 36 }, Filter::Bilinear).unwrap();
        }
    }
}

#[test]
fn a_chunk_that_no_flag_of_a_webp_announces_is_ignored() {
    let exif = ByteOrder::Little.exif(Value::Short(6));
    assert_shows(&webp(&quadrants(), 0, &[(b"EXIF", &exif)]), QUADRANTS, 0);
    assert_shows(&webp(&quadrants(), 0, &[(b"XMP ", &xmp_element(6))]), QUADRANTS, 0);
}

#[test]
fn damaged_metadata_does_not_matter() {
    let intact = ByteOrder::Big.exif(Value::Short(6));
    let too_far = ByteOrder::Little.header(u32::MAX);
    for metadata in [&b""[..], b"MM", &intact[..15], &too_far, &[0xFF; 40]] {
        for (name, bytes) in [exif_files(&quadrants(), metadata), xmp_files(&quadrants(), metadata)].concat()
        {
            assert_shows(&bytes, QUADRANTS, if name.starts_with("JPEG") { 6 } else { 0 });
        }
    }
}

/// Inflating such texts to their end would take minutes.
#[test]
fn only_a_megabyte_of_a_pngs_text_is_inflated() {
    let padding = vec![b' '; 2 << 20];
    let packet = |parts: &[&[u8]]| {
        let payload = [&b"XML:com.adobe.xmp\0\x01\0\0\0"[..], &zlib(&parts.concat())].concat();
        png_chunk(b"iTXt", &payload)
    };
    let shows = |packets: &[Vec<u8>], expected| {
        let png = encode(&quadrants(), ImageFormat::Png);
        assert_shows(&[&png[..33], &packets.concat(), &png[33..]].concat(), expected, 0);
    };
    let orientation = &xmp_element(6)[..];
    shows(&[packet(&[orientation, &padding])], turned(6));
    shows(&[packet(&[&padding, orientation])], QUADRANTS);
    shows(&[packet(&[&padding]), packet(&[orientation])], QUADRANTS);
    shows(&[packet(&[&padding[..1000]]), packet(&[orientation])], turned(6));
}
