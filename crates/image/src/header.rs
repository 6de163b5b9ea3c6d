//! The size of an image, and the memory to decode it.

use image::metadata::Orientation;

/// The size and memory that an image's header declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Width in pixels, after EXIF orientation.
    pub width: u32,
    /// Height in pixels, after EXIF orientation.
    pub height: u32,
    /// Peak memory to decode the whole image, in bytes: the decoded pixels, and the buffers that
    /// this format's decoder keeps in addition.
    ///
    /// It excludes the file, the resizer's strip of 3 × side × height bytes, and metadata of at
    /// most 4 MiB plus twice the file.
    pub decoded_bytes: u64,
}

impl Header {
    /// Converts between the size as stored and the size after EXIF orientation, in either
    /// direction.
    pub(crate) fn oriented(self, orientation: Orientation) -> Self {
        // EXIF orientations 5 to 8 include a turn by 90°.
        if orientation.to_exif() < 5 {
            return self;
        }
        Self { width: self.height, height: self.width, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_swaps_width_and_height() {
        let stored = Header { width: 60, height: 40, decoded_bytes: 7200 };
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let upright = stored.oriented(orientation);
            let expected = if exif < 5 { (60, 40) } else { (40, 60) };
            assert_eq!((upright.width, upright.height), expected, "orientation {exif}");
            assert_eq!(upright.oriented(orientation), stored, "orientation {exif}");
        }
    }
}
