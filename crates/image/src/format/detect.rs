//! Detects the format of a file by its first bytes.

use image::ImageFormat;

use super::rejections::{unsupported, unsupported_unless_converted};
use super::{damaged, iso_media, signatures, text, upload};
use fruitvec_core::rejection::{RejectCode, Rejection};

/// HEIC and HEIF. The crate `image` names only the other format in this container.
pub(crate) const HEIF: ImageFormat = ImageFormat::Avif;

/// The number of bytes of the start of a file that are searched for what it is.
const START: usize = 4096;
/// Where the second header of a BMP starts, with its length.
const BMP_HEADER: usize = 14;
/// The length of the header of OS/2, whose sizes have 16 bits.
const OS2_HEADER_BYTES: u32 = 12;

const CONVERT_HEIC: &str = "on an iPhone set Camera > Formats to Most Compatible, \
                            on macOS run `sips -s format jpeg`, elsewhere `heif-convert`";

/// Detects the format of a file, or rejects the file.
pub(crate) fn detect(bytes: &[u8]) -> Result<ImageFormat, Rejection> {
    if bytes.is_empty() {
        return Err(Rejection::new(RejectCode::Empty, "the file has 0 bytes; upload it again"));
    }
    if is_optimised_by_apple(bytes) {
        let how = "`xcrun pngcrush -revert-iphone-optimizations` restores it";
        return Err(unsupported_unless_converted("Apple's optimised PNG (CgBI)", how));
    }
    if iso_media::is_heif(start(bytes)) {
        return Ok(HEIF);
    }
    signatures::supported(bytes).ok_or_else(|| rejection(bytes))
}

/// Rejects a format that is decoded only elsewhere than below `uploads/`.
pub(crate) fn not_for_uploads(format: ImageFormat) -> Rejection {
    if format == HEIF {
        return unsupported_unless_converted("HEIC under uploads/", CONVERT_HEIC);
    }
    let name = format.extensions_str().first().copied().unwrap_or("image").to_ascii_uppercase();
    unsupported(&format!("{name} under uploads/"))
}

/// Returns the width and height, if the format has them at a fixed position.
pub(crate) fn declared_size(format: ImageFormat, bytes: &[u8]) -> Option<(u32, u32)> {
    match format {
        ImageFormat::Png if bytes.get(12..16)? == b"IHDR" => {
            let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
            Some((number(16)?, number(20)?))
        }
        ImageFormat::Bmp => bmp_size(bytes),
        _ => None,
    }
}

/// Returns the width and height of a BMP. A negative height says that the top row comes first.
fn bmp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let short = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into());
    let long = |at: usize| Some(i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?).unsigned_abs());
    match long(BMP_HEADER)? {
        OS2_HEADER_BYTES => Some((short(18)?, short(20)?)),
        _ => Some((long(18)?, long(22)?)),
    }
}

/// Returns whether a PNG is one that Xcode writes into apps. Its chunks and pixels differ from
/// PNG's.
fn is_optimised_by_apple(bytes: &[u8]) -> bool {
    signatures::supported(bytes) == Some(ImageFormat::Png) && bytes.get(12..16) == Some(b"CgBI")
}

fn start(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(START)]
}

fn rejection(bytes: &[u8]) -> Rejection {
    let start = start(bytes);
    signatures::rejection(start)
        .or_else(|| iso_media::rejection(start))
        .or_else(|| damaged::rejection(bytes))
        .or_else(|| upload::rejection(start))
        .or_else(|| text::rejection(start))
        .unwrap_or_else(|| {
            let message = "the file is of no known image format; send JPEG, PNG or WebP";
            Rejection::new(RejectCode::NotAnImage, message)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bmp_declares_its_size_as_its_header_stores_numbers() {
        let bmp = |header: u32, size: &[u8]| {
            [b"BM\0\0\0\0\0\0\0\0\0\0\0\0", &header.to_le_bytes()[..], size].concat()
        };
        let size = |bytes: &[u8]| declared_size(ImageFormat::Bmp, bytes);
        assert_eq!(size(&bmp(12, &[7, 1, 9, 0])), Some((263, 9)));
        assert_eq!(size(&bmp(40, &[7, 1, 1, 0, 0xFE, 0xFF, 0xFF, 0xFF])), Some((65_799, 2)));
        assert_eq!(size(&bmp(124, &[0, 0, 0, 0, 1, 0, 0, 0])), Some((0, 1)));
        assert_eq!(size(&bmp(40, &[7, 1, 1, 0])), None);
    }

    #[test]
    fn a_png_declares_its_size_at_a_fixed_position() {
        let png = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\x01\0\0\0\0\x07";
        assert_eq!(declared_size(ImageFormat::Png, png), Some((256, 7)));
        assert_eq!(declared_size(ImageFormat::Png, &png[..23]), None);
        assert_eq!(declared_size(ImageFormat::Gif, png), None);
        let other_chunk = [&png[..12], b"IDAT", &png[16..]].concat();
        assert_eq!(declared_size(ImageFormat::Png, &other_chunk), None);
    }

    #[test]
    fn an_empty_file_and_apples_png_have_messages_of_their_own() {
        let empty = detect(b"").unwrap_err();
        assert_eq!(
            (empty.code, empty.message.as_str()),
            (RejectCode::Empty, "the file has 0 bytes; upload it again")
        );
        let rejection = detect(b"\x89PNG\r\n\x1A\n\0\0\0\x04CgBI\x50\0\x20\x02").unwrap_err();
        assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
        assert!(
            rejection.message.starts_with("Apple's optimised PNG (CgBI) is not supported"),
            "{rejection}"
        );
    }

    /// Otherwise a list of millions of brands would be copied.
    #[test]
    fn only_the_start_of_a_file_is_searched_for_brands() {
        let file = |brands: usize| {
            let length = 20 + 4 * brands as u32;
            [&length.to_be_bytes(), &b"ftypmp42\0\0\0\0"[..], &b"mp41".repeat(brands), b"heic"].concat()
        };
        assert_eq!(detect(&file(1000)), Ok(HEIF));
        assert_eq!(detect(&file(1100)).unwrap_err().code, RejectCode::NotAnImage);
    }

    #[test]
    fn an_unknown_file_is_rejected_without_its_bytes() {
        for bytes in [&b"\xA7\x13\x05\x99\0\0\0\x01"[..], b"\x01", &[0xFF; 5000], b"\xFF\xD8"] {
            let rejection = detect(bytes).unwrap_err();
            assert_eq!(rejection.code, RejectCode::NotAnImage);
            assert_eq!(rejection.message, "the file is of no known image format; send JPEG, PNG or WebP");
        }
    }
}
