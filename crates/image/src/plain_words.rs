//! The cause of a decoder's error in words for people.

use std::error::Error;

/// Returns the first cause of an error in parentheses, after a space, or nothing.
///
/// Most decoders describe errors in words. Others print their own types or bytes of the file, which
/// means nothing to people.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut first = error;
    while let Some(cause) = first.source() {
        first = cause;
    }
    let text = first.to_string();
    if is_plain(&text) { format!(" ({})", text.trim_end_matches('.')) } else { String::new() }
}

/// Returns whether a text consists of words, abbreviations and numbers.
pub(crate) fn is_plain(text: &str) -> bool {
    let is_word = |word: &str| {
        let word = word.trim_matches(['.', ',', ';', ':', '(', ')']);
        let is_name = word.chars().all(|c| c.is_ascii_uppercase());
        let is_number = word.chars().all(|c| c.is_ascii_digit());
        let rest = word.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(word);
        let is_lowercase = rest.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '\''));
        is_name || is_number || is_lowercase
    };
    !text.is_empty() && text.lines().count() == 1 && text.split_whitespace().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn words_are_kept_and_everything_else_is_left_out() {
        for text in ["Corrupt bitstream.", "LZW: invalid code, after 12 rows", "the image doesn't end"] {
            assert!(is_plain(text), "{text}");
        }
        for text in [
            "",
            "expected 0x1A2B",
            "Invalid VP8 magic: [0, 1]",
            "BadHeader",
            "FormatError(Bad)",
            "color type `L1`",
            "two\nlines",
            "crate::Error",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn the_first_cause_counts() {
        let first = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(cause(&image::ImageError::IoError(first)), " (unexpected end of file)");
    }
}
