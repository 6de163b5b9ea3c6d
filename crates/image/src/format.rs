//! Detects the format of a file by its first bytes.

use image::ImageFormat;

use fruitvec_core::rejection::{RejectCode, Rejection};

/// The signatures of supported formats.
const SUPPORTED: &[(&[u8], ImageFormat)] = &[
    (b"\xFF\xD8\xFF", ImageFormat::Jpeg),
    (b"\x89PNG\r\n\x1A\n", ImageFormat::Png),
    (b"GIF87a", ImageFormat::Gif),
    (b"GIF89a", ImageFormat::Gif),
    (b"II*\0", ImageFormat::Tiff),
    (b"MM\0*", ImageFormat::Tiff),
];

/// The signatures of unsupported formats, which are rejected by name.
const UNSUPPORTED: &[(&[u8], &str)] = &[
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

/// The brands of image formats in ISO media files, the most specific first. `mif1` allows any
/// codec.
const HEIF_BRANDS: &[(&[u8; 4], &str)] = &[
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

/// The sizes that the header after a BMP's file header can have.
const BMP_HEADERS: &[u32] = &[12, 16, 40, 52, 56, 64, 108, 124];
/// The length of the file header of a BMP.
const BMP_FILE_HEADER: usize = 14;

/// Detects the format of a file, or rejects the file.
pub(crate) fn detect(bytes: &[u8]) -> Result<ImageFormat, Rejection> {
    if bytes.is_empty() {
        return Err(Rejection::new(RejectCode::Empty, "the file has 0 bytes; upload it again"));
    }
    if let Some(format) = supported_format(bytes) {
        return Ok(format);
    }
    Err(match unsupported_name(bytes) {
        Some(name) => unsupported(name),
        None => not_an_image(bytes),
    })
}

/// Rejects an image of an unsupported format.
pub(crate) fn unsupported(name: &str) -> Rejection {
    let message = format!("{name} is not supported; send JPEG, PNG or WebP");
    Rejection::new(RejectCode::UnsupportedFormat, message)
}

/// Returns the width and height, if the format has them at a fixed position.
pub(crate) fn declared_size(format: ImageFormat, bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    (format == ImageFormat::Png && bytes.get(12..16)? == b"IHDR").then_some((number(16)?, number(20)?))
}

fn supported_format(bytes: &[u8]) -> Option<ImageFormat> {
    if let Some((_, format)) = SUPPORTED.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(*format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(ImageFormat::WebP);
    }
    // A BMP's signature is only two letters, which could also start a text about cars. The size of
    // the second header makes the match certain.
    let header = bytes.get(BMP_FILE_HEADER..)?.first_chunk()?;
    let is_bmp = bytes.starts_with(b"BM") && BMP_HEADERS.contains(&u32::from_le_bytes(*header));
    is_bmp.then_some(ImageFormat::Bmp)
}

fn unsupported_name(bytes: &[u8]) -> Option<&'static str> {
    let signature = UNSUPPORTED.iter().find(|(signature, _)| bytes.starts_with(signature));
    let name = signature.map(|(_, name)| *name);
    name.or_else(|| heif_name(bytes)).or_else(|| pnm_name(bytes)).or_else(|| svg_name(bytes))
}

/// Returns the name of the image format that the `ftyp` box of an ISO media file declares, as its
/// main brand or as a compatible one.
fn heif_name(bytes: &[u8]) -> Option<&'static str> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let brands = bytes.get(4..)?.strip_prefix(b"ftyp")?;
    let (brands, _) = brands.split_at(length.saturating_sub(8).min(brands.len()));
    let is_declared = |brand: &[u8; 4]| brands.chunks_exact(4).any(|found| found == brand);
    HEIF_BRANDS.iter().find(|(brand, _)| is_declared(brand)).map(|(_, name)| *name)
}

fn pnm_name(bytes: &[u8]) -> Option<&'static str> {
    let [b'P', b'1'..=b'7', space, ..] = bytes else { return None };
    space.is_ascii_whitespace().then_some("PNM")
}

fn svg_name(bytes: &[u8]) -> Option<&'static str> {
    // The root element can follow an XML declaration and comments.
    let start = &bytes[..bytes.len().min(1024)];
    let is_markup = start.trim_ascii_start().starts_with(b"<") || start.starts_with(b"\xEF\xBB\xBF<");
    (is_markup && start.windows(4).any(|window| window == b"<svg")).then_some("SVG")
}

fn not_an_image(bytes: &[u8]) -> Rejection {
    let start = &bytes[..bytes.len().min(512)];
    let is_printable = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    let content = if start.iter().all(is_printable) {
        "looks like text".to_owned()
    } else {
        format!("starts with the bytes {}", hex::encode(&start[..start.len().min(8)]))
    };
    Rejection::new(
        RejectCode::NotAnImage,
        format!("unknown image format: the file {content}; send JPEG, PNG or WebP"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an `ftyp` box with these brands; the first is the main brand.
    fn ftyp(brands: &[[u8; 4]]) -> Vec<u8> {
        let (main, compatible) = brands.split_first().unwrap();
        let length = 16 + 4 * compatible.len() as u32;
        let head = [length.to_be_bytes(), *b"ftyp", *main, [0; 4]];
        [head.as_flattened(), compatible.as_flattened()].concat()
    }

    #[test]
    fn every_signature_is_detected() {
        for (signature, format) in SUPPORTED {
            assert_eq!(detect(signature).unwrap(), *format);
        }
        for (signature, name) in UNSUPPORTED {
            let rejection = detect(signature).unwrap_err();
            assert_eq!(rejection, unsupported(name));
        }
        for (brand, name) in HEIF_BRANDS {
            assert_eq!(detect(&ftyp(&[**brand])).unwrap_err(), unsupported(name));
        }
    }

    #[test]
    fn a_compatible_brand_can_be_more_specific_than_the_main_one() {
        assert_eq!(heif_name(&ftyp(&[*b"mif1", *b"miaf", *b"avif"])), Some("AVIF"));
        assert_eq!(heif_name(&ftyp(&[*b"mif1", *b"miaf"])), Some("HEIF"));
        assert_eq!(heif_name(&ftyp(&[*b"isom", *b"mp41"])), None);
    }

    #[test]
    fn brands_after_the_ftyp_box_are_ignored() {
        let video = [&ftyp(&[*b"isom"])[..], b"heic"].concat();
        assert_eq!(heif_name(&video), None);
    }

    #[test]
    fn a_bmp_needs_a_known_header_size() {
        let bmp = |size: u32| [b"BM\0\0\0\0\0\0\0\0\0\0\0\0", &size.to_le_bytes()[..]].concat();
        for size in BMP_HEADERS {
            assert_eq!(detect(&bmp(*size)).unwrap(), ImageFormat::Bmp);
        }
        assert_eq!(detect(&bmp(41)).unwrap_err().code, RejectCode::NotAnImage);
    }

    #[test]
    fn a_riff_file_is_an_image_only_with_the_webp_form() {
        assert_eq!(detect(b"RIFF\x04\0\0\0WEBP").unwrap(), ImageFormat::WebP);
        assert_eq!(detect(b"RIFF\x04\0\0\0WAVE").unwrap_err().code, RejectCode::NotAnImage);
    }

    #[test]
    fn only_a_png_declares_its_size_at_a_fixed_position() {
        let png = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\x01\0\0\0\0\x07";
        assert_eq!(declared_size(ImageFormat::Png, png), Some((256, 7)));
        assert_eq!(declared_size(ImageFormat::Png, &png[..23]), None);
        assert_eq!(declared_size(ImageFormat::Gif, png), None);
        let other_chunk = [&png[..12], b"IDAT", &png[16..]].concat();
        assert_eq!(declared_size(ImageFormat::Png, &other_chunk), None);
    }
}
