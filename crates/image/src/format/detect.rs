//! Detects the format of a file by its first bytes.

use image::ImageFormat;

use super::rejections::{unsupported, unsupported_unless_converted};
use super::{damaged, iso_media, signatures, text, upload};
use fruitvec_core::rejection::{RejectCode, Rejection};

/// HEIC and HEIF. The crate `image` names only the other format in this container.
pub(crate) const HEIF: ImageFormat = ImageFormat::Avif;

/// The number of bytes of the start of a file that are searched for what it is.
const START: usize = 4096;

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
    if iso_media::is_heif(bytes) {
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
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    (format == ImageFormat::Png && bytes.get(12..16)? == b"IHDR").then_some((number(16)?, number(20)?))
}

/// Returns whether a PNG is one that Xcode writes into apps. Its chunks and pixels differ from
/// PNG's.
fn is_optimised_by_apple(bytes: &[u8]) -> bool {
    signatures::supported(bytes) == Some(ImageFormat::Png) && bytes.get(12..16) == Some(b"CgBI")
}

fn rejection(bytes: &[u8]) -> Rejection {
    let start = &bytes[..bytes.len().min(START)];
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
    fn only_a_png_declares_its_size_at_a_fixed_position() {
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

    #[test]
    fn an_unknown_file_is_rejected_without_its_bytes() {
        for bytes in [&b"\xA7\x13\x05\x99\0\0\0\x01"[..], b"\x01", &[0xFF; 5000], b"\xFF\xD8"] {
            let rejection = detect(bytes).unwrap_err();
            assert_eq!(rejection.code, RejectCode::NotAnImage);
            assert_eq!(rejection.message, "the file is of no known image format; send JPEG, PNG or WebP");
        }
    }
}
