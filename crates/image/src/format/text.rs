//! Text: web pages, errors of S3, pointers of Git LFS, and others.

use std::str;

use super::markup;
use super::rejections::not_an_image;
use fruitvec_core::rejection::Rejection;

const SEND_A_PHOTO: &str = "send JPEG, PNG or WebP";
const BYTE_ORDER_MARKS: &[&[u8]] = &[b"\xFF\xFE", b"\xFE\xFF"];

/// Rejects a text file by what it is.
pub(super) fn rejection(start: &[u8]) -> Option<Rejection> {
    if BYTE_ORDER_MARKS.iter().any(|mark| start.starts_with(mark)) && is_utf16_text(start) {
        return Some(not_an_image("UTF-16 text", SEND_A_PHOTO));
    }
    let text = text(start)?;
    let trimmed = text.trim_start_matches('\u{FEFF}').trim_start();
    if trimmed.starts_with("version https://git-lfs.github.com/spec/") {
        return Some(not_an_image(
            "a Git LFS pointer",
            "run `git lfs pull` and upload the photo that it fetches",
        ));
    }
    if trimmed.starts_with('<') {
        return Some(markup::rejection(trimmed));
    }
    let what = if is_json(trimmed) { "JSON" } else { "text" };
    Some(not_an_image(what, SEND_A_PHOTO))
}

/// Returns the start of a file as text, or `None` if it is not UTF-8 or has control characters.
fn text(start: &[u8]) -> Option<&str> {
    let text = match str::from_utf8(start) {
        Ok(text) => text,
        // The start may end inside a character.
        Err(error) if error.error_len().is_none() => str::from_utf8(&start[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || c.is_whitespace();
    (!text.is_empty() && text.chars().all(is_text)).then_some(text)
}

/// Returns whether half of the bytes are zero, as in UTF-16 text of Western languages.
fn is_utf16_text(start: &[u8]) -> bool {
    let (units, _) = start[2..].as_chunks::<2>();
    !units.is_empty() && units.iter().all(|unit| unit.contains(&0) && *unit != [0, 0])
}

/// Returns whether a text starts like a JSON object or array.
fn is_json(text: &str) -> bool {
    let mut tokens = text.chars().filter(|c| !c.is_whitespace());
    match (tokens.next(), tokens.next()) {
        (Some('{'), second) => matches!(second, Some('"' | '}')),
        (Some('['), second) => matches!(second, Some('"' | '{' | '[' | ']' | '0'..='9')),
        _ => false,
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
    fn every_kind_of_text_is_named() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n";
        assert_rejects(pointer, "a Git LFS pointer, not an image; run `git lfs pull`");
        assert_rejects(b"\xEF\xBB\xBF{\"message\": \"Forbidden\"}", "JSON");
        assert_rejects(b"[ { \"id\": 1 } ]", "JSON");
        assert_rejects(b"[1, 2]", "JSON");
        assert_rejects(b"{}", "JSON");
        assert_rejects("Sehr geehrte Damen und Herren, {…}\n".as_bytes(), "the file is text,");
        assert_rejects(b"[section]\nkey = value\n", "the file is text,");
        assert_rejects(b"\xFF\xFEH\0i\0\r\0\n\0", "UTF-16 text");
        assert_rejects(b"\xFE\xFF\0H\0i", "UTF-16 text");
        assert_rejects(b"\n <html>", "an HTML page");
    }

    #[test]
    fn a_text_may_be_cut_inside_a_character() {
        assert_rejects(&"Grüße".as_bytes()[..3], "text");
    }

    #[test]
    fn bytes_that_are_not_text_are_left_to_others() {
        for bytes in [&b""[..], b"a\0b", b"\xE4\xF6\xFC", b"\xFF\xFE", b"\xFF\xFE\0\0", b"\xFF\xFEab"] {
            assert_eq!(rejection(bytes), None, "{bytes:?}");
        }
    }
}
