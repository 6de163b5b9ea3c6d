//! Request bodies that were stored as they were: forms, signed chunks and base64.

use memchr::memmem;

use super::rejections::not_an_image;
use fruitvec_core::rejection::Rejection;

/// How images start in base64.
const BASE64_SIGNATURES: &[(&[u8], &str)] =
    &[(b"/9j/", "a JPEG"), (b"iVBORw0KGgo", "a PNG"), (b"UklGR", "a WebP"), (b"R0lGOD", "a GIF")];
/// The shortest base64 without a known start. Shorter text could also be a word.
const BASE64_LENGTH: usize = 64;
/// The longest number of a chunk's length. Eight digits are 4 GiB.
const CHUNK_DIGITS: usize = 8;

/// Rejects a body that has the photo in an envelope.
pub(super) fn rejection(start: &[u8]) -> Option<Rejection> {
    if is_form(start) {
        return Some(not_an_image("a multipart form", "PUT the bytes of the photo alone, without a form"));
    }
    if is_chunked(start) {
        return Some(not_an_image(
            "a body in `aws-chunked` encoding",
            "PUT the raw bytes, or send `Content-Encoding: aws-chunked`",
        ));
    }
    let what = base64(start)?;
    Some(not_an_image(&what, "upload the decoded bytes"))
}

/// Returns whether a file starts with a boundary and the headers of a form's first part.
fn is_form(start: &[u8]) -> bool {
    let header = |name| memmem::find(start, name).is_some();
    start.trim_ascii_start().starts_with(b"--")
        && (header(b"\nContent-Disposition:") || header(b"\ncontent-disposition:"))
}

/// Returns whether a file starts with the length of a chunk, and its signature or the chunk.
fn is_chunked(start: &[u8]) -> bool {
    let digits = start.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = &start[digits..];
    let is_unsigned_image = || {
        let signatures: &[&[u8]] = &[b"\r\n\xFF\xD8\xFF", b"\r\n\x89PNG\r\n", b"\r\nRIFF", b"\r\nGIF8"];
        signatures.iter().any(|signature| rest.starts_with(signature))
    };
    (1..=CHUNK_DIGITS).contains(&digits) && (rest.starts_with(b";chunk-signature=") || is_unsigned_image())
}

/// Returns a description of base64 text.
fn base64(start: &[u8]) -> Option<String> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(byte);
    let text = start.trim_ascii().strip_prefix(b"\"").unwrap_or(start.trim_ascii());
    let (is_url, data) = match text.strip_prefix(b"data:") {
        Some(url) => (true, &url[memmem::find(url, b";base64,")? + b";base64,".len()..]),
        None => (false, text),
    };
    let data = data.strip_suffix(b"\"").unwrap_or(data);
    if !data.iter().all(is_base64) {
        return None;
    }
    let signature = BASE64_SIGNATURES.iter().find(|(signature, _)| data.starts_with(signature));
    let content = signature.map(|(_, content)| format!(" of {content}"));
    let is_long = data.len() >= BASE64_LENGTH && data[..BASE64_LENGTH].iter().any(u8::is_ascii_digit);
    match (is_url, content) {
        (true, content) => Some(format!("a data URL{}", content.unwrap_or_default())),
        (false, Some(content)) => Some(format!("base64 text{content}")),
        (false, None) => is_long.then(|| "base64 text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_rejects(bytes: &[u8], words: &str) {
        let message = rejection(bytes).unwrap().message;
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn a_form_is_named() {
        let part = b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\xFF\xD8\xFF";
        assert_rejects(part, "a multipart form");
        assert_rejects(&[b"\r\n", &part[..]].concat(), "a multipart form");
        assert_rejects(
            b"------WebKit\r\nContent-Type: image/png\r\ncontent-disposition: form-data",
            "PUT the bytes",
        );
        assert_eq!(rejection(b"--- a diff ---\n"), None);
    }

    #[test]
    fn a_chunked_body_is_named() {
        assert_rejects(b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9\r\n\xFF\xD8", "aws-chunked");
        assert_rejects(b"1f3a\r\n\xFF\xD8\xFF\xE0", "aws-chunked");
        assert_rejects(b"C8\r\n\x89PNG\r\n\x1A\n", "PUT the raw bytes");
        for text in [&b"10000\r\nlines"[..], b";chunk-signature=", b"123456789;chunk-signature="] {
            assert_eq!(rejection(text), None);
        }
    }

    #[test]
    fn base64_is_named_with_its_content() {
        assert_rejects(b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBD\r\nAAYEBQYFBAYG", "base64 text of a JPEG, not");
        assert_rejects(b"iVBORw0KGgoAAAANSUhEUg==\n", "base64 text of a PNG");
        assert_rejects(b"\"UklGRiIAAABXRUJQ\"", "base64 text of a WebP");
        assert_rejects(b"data:image/jpeg;base64,/9j/4AAQSkZJRg", "a data URL of a JPEG");
        assert_rejects(b"data:image/heic;base64,AAAAGGZ0eXBoZWlj", "a data URL, not");
        assert_rejects("AAAAGGZ0eXBoZWlj".repeat(5).as_bytes(), "base64 text, not");
        for text in [
            "Dear Sir or Madam",
            "data:text",
            &"word".repeat(20),
            "id,name\n1,apple\n",
            "R0lGOD lines of text",
        ] {
            assert_eq!(rejection(text.as_bytes()), None, "{text}");
        }
    }
}
