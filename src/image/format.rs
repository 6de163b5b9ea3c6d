//! Which format a file is, by its first bytes.

use image::ImageFormat;

use crate::reject::{RejectCode, Rejection};

/// Formats that are decoded here, by their signature.
const DECODED: &[(&[u8], ImageFormat)] = &[
    (b"\xFF\xD8\xFF", ImageFormat::Jpeg),
    (b"\x89PNG\r\n\x1A\n", ImageFormat::Png),
    (b"GIF87a", ImageFormat::Gif),
    (b"GIF89a", ImageFormat::Gif),
    (b"II*\0", ImageFormat::Tiff),
    (b"MM\0*", ImageFormat::Tiff),
];

/// Formats that are only known by name, by their signature.
const NAMED: &[(&[u8], &str)] = &[
    (b"\xFF\x0A", "JPEG XL"),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"%PDF-", "PDF"),
    (b"\0\0\x01\0", "Windows icon (ICO)"),
    (b"DDS ", "DirectDraw (DDS)"),
    (b"qoif", "QOI"),
    (b"farbfeld", "farbfeld"),
    (b"#?RADIANCE", "Radiance (HDR)"),
    (b"\x76\x2F\x31\x01", "OpenEXR"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw (RAF)"),
    (b"IIRO", "Olympus raw (ORF)"),
    (b"IIRS", "Olympus raw (ORF)"),
    (b"MMOR", "Olympus raw (ORF)"),
    (b"IIU\0", "Panasonic raw (RW2)"),
    (b"FOVb", "Sigma raw (X3F)"),
];

/// Brands of ISO media files (HEIF and relatives), the most telling first: `mif1` may hold either codec.
const BRANDS: &[(&[u8; 4], &str)] = &[
    (b"avif", "AVIF"),
    (b"avis", "AVIF"),
    (b"crx ", "Canon raw (CR3)"),
    (b"heic", "HEIC"),
    (b"heix", "HEIC"),
    (b"heim", "HEIC"),
    (b"heis", "HEIC"),
    (b"hevc", "HEIC"),
    (b"hevx", "HEIC"),
    (b"hevm", "HEIC"),
    (b"hevs", "HEIC"),
    (b"mif1", "HEIF"),
    (b"mif2", "HEIF"),
    (b"msf1", "HEIF"),
];

/// Sizes of the header that follows the 14 bytes of a BMP's file header.
const BMP_HEADERS: &[u32] = &[12, 16, 40, 52, 56, 64, 108, 124];

/// A picture of a format that is not decoded here.
pub(super) fn unsupported(name: &str) -> Rejection {
    let message = format!("{name} is not decoded here; send JPEG, PNG or WebP");
    Rejection::new(RejectCode::UnsupportedFormat, message)
}

/// The format that these bytes begin.
pub(super) fn sniff(bytes: &[u8]) -> Result<ImageFormat, Rejection> {
    if bytes.is_empty() {
        return Err(Rejection::new(RejectCode::Empty, "0 bytes; upload it again"));
    }
    if let Some(format) = decoded(bytes) {
        return Ok(format);
    }
    Err(match name(bytes) {
        Some(name) => unsupported(name),
        None => not_an_image(bytes),
    })
}

/// Width and height where they stand at a fixed place, so that a bomb is refused even if nothing follows its
/// header.
pub(super) fn claimed_size(format: ImageFormat, bytes: &[u8]) -> Option<(u32, u32)> {
    let at = |from: usize| Some(u32::from_be_bytes(*bytes.get(from..)?.first_chunk()?));
    (format == ImageFormat::Png && bytes.get(12..16)? == b"IHDR").then_some((at(16)?, at(20)?))
}

fn decoded(bytes: &[u8]) -> Option<ImageFormat> {
    if let Some((_, format)) = DECODED.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(*format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(ImageFormat::WebP);
    }
    // Two letters are too few to tell a BMP from a text about cars.
    let header = bytes.get(14..18)?.first_chunk()?;
    let is_bmp = bytes.starts_with(b"BM") && BMP_HEADERS.contains(&u32::from_le_bytes(*header));
    is_bmp.then_some(ImageFormat::Bmp)
}

fn name(bytes: &[u8]) -> Option<&'static str> {
    let signed = NAMED.iter().find(|(signature, _)| bytes.starts_with(signature)).map(|(_, name)| *name);
    signed.or_else(|| media_brand(bytes)).or_else(|| portable_map(bytes)).or_else(|| svg(bytes))
}

/// The picture format that an ISO media file's `ftyp` box names as its brand or as one that it is compatible
/// with.
fn media_brand(bytes: &[u8]) -> Option<&'static str> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let brands = bytes.get(4..)?.strip_prefix(b"ftyp")?;
    let (brands, _) = brands.split_at(length.saturating_sub(8).min(brands.len()));
    let holds = |brand: &[u8; 4]| brands.chunks_exact(4).any(|found| found == brand);
    BRANDS.iter().find(|(brand, _)| holds(brand)).map(|(_, name)| *name)
}

fn portable_map(bytes: &[u8]) -> Option<&'static str> {
    let [b'P', b'1'..=b'7', space, ..] = bytes else { return None };
    space.is_ascii_whitespace().then_some("PNM")
}

fn svg(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(1024)];
    let is_markup = start.trim_ascii_start().starts_with(b"<") || start.starts_with(b"\xEF\xBB\xBF<");
    (is_markup && start.windows(4).any(|word| word == b"<svg")).then_some("SVG")
}

fn not_an_image(bytes: &[u8]) -> Rejection {
    let start = &bytes[..bytes.len().min(512)];
    let printable = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    let what = if start.iter().all(printable) {
        "it looks like text".to_owned()
    } else {
        format!("it begins with the bytes {}", hex::encode(&start[..start.len().min(8)]))
    };
    Rejection::new(
        RejectCode::NotAnImage,
        format!("no picture format is known by this content: {what}; send JPEG, PNG or WebP"),
    )
}
