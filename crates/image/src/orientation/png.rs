//! Finds the metadata of a PNG (Portable Network Graphics, third edition, section 11.3).

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::tags::Tags;

/// The length of the signature.
const SIGNATURE: usize = 8;
/// The limit on all inflated text of a file, and on the text of a profile. An XMP packet or a
/// profile takes a few kilobytes.
const MAX_INFLATED: u64 = 1 << 20;

/// Reads the chunk `eXIf`, the EXIF profiles that ImageMagick writes as text, and the XMP packet.
///
/// Pillow reads the chunk first, wherever it is.
pub(super) fn read(bytes: &[u8], tags: &mut Tags) {
    let chunks = || Chunks(bytes.get(SIGNATURE..).unwrap_or_default());
    for (_, payload) in chunks().filter(|(name, _)| *name == b"eXIf") {
        tags.add_exif(payload);
    }
    let mut inflatable = MAX_INFLATED;
    for (name, payload) in chunks() {
        let Some((keyword, text)) = split_text(name, payload) else { continue };
        match keyword {
            b"Raw profile type exif" => tags.add_exif(&profile(&text.read(&mut inflatable))),
            b"Raw profile type APP1" => tags.add_app1(&profile(&text.read(&mut inflatable))),
            b"XML:com.adobe.xmp" => tags.add_xmp(&text.read(&mut inflatable)),
            _ => {}
        }
    }
}

/// The names and payloads of the chunks.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let (payload, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest.get(size_of::<u32>()..).unwrap_or_default();
        Some((name, payload))
    }
}

/// The text of a chunk.
enum Text<'a> {
    Plain(&'a [u8]),
    Compressed(&'a [u8]),
}

impl<'a> Text<'a> {
    /// Returns the text, of which at most `inflatable` bytes are inflated. Damaged text ends early.
    fn read(self, inflatable: &mut u64) -> Cow<'a, [u8]> {
        match self {
            Self::Plain(text) => text.into(),
            Self::Compressed(stream) => {
                let mut text = Vec::new();
                let _damaged = ZlibDecoder::new(stream).take(*inflatable).read_to_end(&mut text);
                *inflatable -= text.len() as u64;
                text.into()
            }
        }
    }
}

/// Splits a text chunk into its keyword and its text.
fn split_text<'a>(name: &[u8; 4], payload: &'a [u8]) -> Option<(&'a [u8], Text<'a>)> {
    let (keyword, rest) = split_at_zero(payload)?;
    let text = match name {
        b"tEXt" => Text::Plain(rest),
        b"zTXt" => Text::Compressed(rest.get(1..)?),
        b"iTXt" => {
            let ([compressed, _method], rest) = rest.split_first_chunk()?;
            let (_language, rest) = split_at_zero(rest)?;
            let (_translated_keyword, text) = split_at_zero(rest)?;
            if *compressed == 0 { Text::Plain(text) } else { Text::Compressed(text) }
        }
        _ => return None,
    };
    Some((keyword, text))
}

fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at_checked(memchr::memchr(0, bytes)?)?;
    Some((before, after.get(1..)?))
}

/// Decodes a profile: an empty line, its name, its length, and lines of hexadecimal digits.
///
/// Returns nothing for a text of fewer lines.
fn profile(text: &[u8]) -> Vec<u8> {
    let text = &text[..text.len().min(MAX_INFLATED as usize)];
    let lines = text.splitn(4, |byte| *byte == b'\n').nth(3).unwrap_or_default();
    let digits: Vec<u8> = lines.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    // A damaged profile can end with half a byte.
    hex::decode(&digits[..digits.len() & !1]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_up_to_the_limit() {
        let text = |bytes: usize| [&b"\nexif\n 9\n"[..], &b"4D".repeat(bytes)].concat();
        assert_eq!(profile(&text(1000)), [b'M'; 1000]);
        assert!(profile(&text(1 << 20)).len() < 1 << 19);
    }
}
