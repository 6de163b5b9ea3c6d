//! Finds the orientation in an XMP packet (ISO 16684-1).

use memchr::memmem;

const NAME: &[u8] = b"tiff:Orientation";

/// Returns the value of the first `tiff:Orientation`, an attribute or an element.
///
/// Like Pillow, it searches the text, which is bounded work for any packet. Parsing XML is not.
pub(super) fn orientation(packet: &[u8]) -> Option<u8> {
    memmem::find_iter(packet, NAME).find_map(|at| value(&packet[at + NAME.len()..]))
}

/// Returns the digit after an attribute's or an element's name.
fn value(after_name: &[u8]) -> Option<u8> {
    let text = match after_name.trim_ascii_start() {
        [b'>', text @ ..] => text,
        [b'=', rest @ ..] => match rest.trim_ascii_start() {
            [b'"' | b'\'', text @ ..] => text,
            _ => return None,
        },
        _ => return None,
    };
    let digit = *text.trim_ascii_start().first()?;
    digit.is_ascii_digit().then(|| digit - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_or_an_element_is_read() {
        for packet in [
            "<rdf:Description tiff:Orientation=\"6\" tiff:Make=\"9\"/>",
            "<rdf:Description tiff:Orientation = '6'/>",
            "<tiff:Orientation>6</tiff:Orientation>",
            "<tiff:Orientation>\n  6\n</tiff:Orientation>",
            "tiff:OrientationNote=\"3\" tiff:Orientation=\"6\"",
        ] {
            assert_eq!(orientation(packet.as_bytes()), Some(6), "{packet}");
        }
    }

    #[test]
    fn anything_else_is_ignored() {
        for packet in [
            "",
            "tiff:Orientation",
            "tiff:Orientation=6",
            "tiff:Orientation=\"",
            "<tiff:Orientation>up",
            "Orientation=\"6\"",
        ] {
            assert_eq!(orientation(packet.as_bytes()), None, "{packet}");
        }
    }
}
