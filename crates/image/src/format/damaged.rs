//! Images whose bytes were changed on their way, and files without content.

use super::rejections::not_an_image;
use fruitvec_core::rejection::{RejectCode, Rejection};

/// How the signatures of images look after a program took their bytes for text, and the format that
/// the file had. U+FFFD replaces bytes that are not UTF-8; Latin-1 turns them into other letters.
const AS_TEXT: &[(&[u8], &str)] = &[
    (b"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "JPEG"),
    (b"\xEF\xBF\xBDPNG\r", "PNG"),
    (b"\xC3\xBF\xC3\x98\xC3\xBF", "JPEG"),
    (b"\xC2\x89PNG\r", "PNG"),
    (b"???\xEF\xBF\xBD\0\x10JFIF", "JPEG"),
    (b"????\0\x10JFIF", "JPEG"),
    (b"?PNG\r\n", "PNG"),
];

/// How the signature of a PNG looks after its line ends were converted, which it exists to detect.
const CONVERTED_LINE_ENDS: &[&[u8]] = &[b"\x89PNG\n\x1A\n", b"\x89PNG\r\r\n\x1A\r\n", b"\x89PNG\r\n\x1A\r\n"];

/// Rejects an image that was damaged as a whole.
pub(super) fn rejection(bytes: &[u8]) -> Option<Rejection> {
    if let Some((_, format)) = AS_TEXT.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(as_text(format));
    }
    // The length of a RIFF file comes before its form, and usually has bytes that are not UTF-8.
    if bytes.starts_with(b"RIFF") && bytes.get(..24).is_some_and(is_webp_as_text) {
        return Some(as_text("WebP"));
    }
    if CONVERTED_LINE_ENDS.iter().any(|signature| bytes.starts_with(signature)) {
        let message = "the PNG's line ends were converted on its way; transfer it in binary mode";
        return Some(Rejection::new(RejectCode::NotAnImage, message));
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Some(not_an_image(
            "nothing but zeros",
            "the disk or the upload lost its content; upload it again",
        ));
    }
    None
}

fn is_webp_as_text(start: &[u8]) -> bool {
    let is_part = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    is_part(b"\xEF\xBF\xBD") && is_part(b"WEBP")
}

fn as_text(format: &str) -> Rejection {
    let message = format!(
        "the file was a {format} until its bytes were converted to text on upload; upload it as binary \
         (in API Gateway, add its type to the binary media types)"
    );
    Rejection::new(RejectCode::NotAnImage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_became_text_is_named() {
        let jpeg = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01";
        let png = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR";
        let webp = b"RIFF\x9A\x80\0\0WEBPVP8 \x84\x60\0\0\0\0";
        for (bytes, format) in [(&jpeg[..], "a JPEG"), (png, "a PNG"), (webp, "a WebP")] {
            let replaced = String::from_utf8_lossy(bytes).into_owned();
            let message = rejection(replaced.as_bytes()).unwrap().message;
            assert!(message.contains(format) && message.contains("binary media types"), "{message}");
        }
        for (bytes, format) in [(&jpeg[..], "a JPEG"), (png, "a PNG")] {
            let latin_1: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            assert!(rejection(latin_1.as_bytes()).unwrap().message.contains(format));
            let ascii: Vec<u8> =
                bytes.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect();
            assert!(rejection(&ascii).unwrap().message.contains(format));
        }
    }

    #[test]
    fn a_png_shows_that_its_line_ends_were_converted() {
        let png = "\u{89}PNG\r\n\x1A\n\0\0\0\x0DIHDR";
        for (from, to) in [("\r\n", "\n"), ("\n", "\r\n")] {
            let latin_1: Vec<u8> = png.replace(from, to).chars().map(|c| c as u8).collect();
            assert!(rejection(&latin_1).unwrap().message.contains("line ends"), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn zeros_are_named_only_if_there_is_nothing_else() {
        assert!(rejection(&[0; 100_000]).unwrap().message.contains("nothing but zeros"));
        let mut bytes = [0; 100_000];
        bytes[99_999] = 1;
        assert_eq!(rejection(&bytes), None);
    }
}
