//! Decides between the orientations that one file declares.
//!
//! The rules are those of Pillow's `ImageOps.exif_transpose`: the EXIF tag wins over XMP, even if
//! its value is unknown. A photo is never rejected for its metadata, so what can't be read is
//! ignored.

use image::metadata::Orientation;

use super::{exif, xmp};

/// What an XMP packet in a JPEG starts with.
const XMP_SIGNATURE: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// The orientation tags of one file that were found so far. Of each kind, the first one applies.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    exif: Option<u8>,
    xmp: Option<u8>,
}

impl Tags {
    /// Reads the payload of a JPEG's APP1 segment: EXIF metadata or an XMP packet.
    pub(crate) fn add_app1(&mut self, payload: &[u8]) {
        if payload.starts_with(b"Exif\0") {
            self.add_exif(payload);
        } else if let Some(packet) = payload.strip_prefix(XMP_SIGNATURE) {
            self.add_xmp(packet);
        }
    }

    pub(super) fn add_exif(&mut self, metadata: &[u8]) {
        let Some(directory) = exif::Directory::first(metadata) else { return };
        self.exif = self.exif.or_else(|| directory.orientation());
        if let Some(packet) = directory.xmp() {
            self.add_xmp(packet);
        }
    }

    pub(super) fn add_xmp(&mut self, packet: &[u8]) {
        self.xmp = self.xmp.or_else(|| xmp::orientation(packet));
    }

    /// Returns the orientation that applies.
    pub(crate) fn orientation(&self) -> Orientation {
        self.exif.or(self.xmp).and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns EXIF metadata with one entry, a short.
    fn exif(tag: u16, value: u16) -> Vec<u8> {
        let entry = [tag, 3, 0, 1, value, 0].map(u16::to_be_bytes);
        [b"MM\0*\0\0\0\x08\0\x01", entry.as_flattened(), &[0; 4]].concat()
    }

    fn xmp(value: u8) -> Vec<u8> {
        format!("<rdf:Description tiff:Orientation=\"{value}\"/>").into_bytes()
    }

    #[test]
    fn exif_wins_over_xmp_even_with_an_unknown_value() {
        for (value, expected) in
            [(6, Orientation::Rotate90), (1, Orientation::NoTransforms), (9, Orientation::NoTransforms)]
        {
            for xmp_first in [false, true] {
                let mut tags = Tags::default();
                if xmp_first {
                    tags.add_xmp(&xmp(3));
                }
                tags.add_exif(&exif(0x0112, value));
                tags.add_xmp(&xmp(3));
                assert_eq!(tags.orientation(), expected, "{value}");
            }
        }
    }

    #[test]
    fn xmp_applies_where_exif_has_no_orientation() {
        for metadata in [exif(0x0110, 6), b"broken".to_vec(), Vec::new()] {
            let mut tags = Tags::default();
            tags.add_exif(&metadata);
            tags.add_xmp(&xmp(3));
            assert_eq!(tags.orientation(), Orientation::Rotate180);
        }
    }

    #[test]
    fn the_first_segment_with_an_orientation_applies() {
        let mut tags = Tags::default();
        for payload in [&b"http://ns.adobe.com/xmp/extension/\0"[..], b"Exif\0", b"Exif\0\0broken", b"other"]
        {
            tags.add_app1(payload);
        }
        assert_eq!(tags.orientation(), Orientation::NoTransforms);
        for value in [8, 2] {
            tags.add_app1(&[b"Exif\0\0", &exif(0x0112, value)[..]].concat());
        }
        assert_eq!(tags.orientation(), Orientation::Rotate270);
    }
}
