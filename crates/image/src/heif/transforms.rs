//! The crop and the orientation of a HEIC photo, which are properties of its container.

use heifer::heifer_isobmff::boxes::Property;
use image::metadata::Orientation;

/// A rectangle of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crop {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What to do with a decoded picture: first the crop, then the orientation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transforms {
    pub(super) crop: Crop,
    pub(super) orientation: Orientation,
}

impl Transforms {
    /// Reads the transforms of a picture of this size. Returns `None` if a crop has no area, or
    /// comes after a turn.
    pub(super) fn read<'a>(
        (width, height): (u32, u32),
        properties: impl Iterator<Item = &'a Property>,
    ) -> Option<Self> {
        let mut crop = Crop { left: 0, top: 0, width, height };
        // The picture is mirrored left to right if `mirrored`, and then turned clockwise.
        let (mut mirrored, mut quarters) = (false, 0_u8);
        for property in properties {
            match *property {
                Property::CleanAperture { width: w, height: h, horiz_offset: x, vert_offset: y } => {
                    let untouched = Crop { left: 0, top: 0, width, height };
                    if crop != untouched || mirrored || quarters != 0 {
                        return None;
                    }
                    let (left, width) = aperture(width, w, x)?;
                    let (top, height) = aperture(height, h, y)?;
                    crop = Crop { left, top, width, height };
                }
                Property::Rotation(anticlockwise) => quarters = (quarters + 4 - anticlockwise % 4) % 4,
                Property::Mirror(top_to_bottom) => {
                    mirrored = !mirrored;
                    // A mirror reverses the direction of the turns before it.
                    quarters = (if top_to_bottom { 6 } else { 4 } - quarters) % 4;
                }
                _ => {}
            }
        }
        let exif = if mirrored { [2, 7, 4, 5] } else { [1, 6, 3, 8] };
        let orientation = Orientation::from_exif(exif[usize::from(quarters)])?;
        Some(Self { crop, orientation })
    }
}

/// Returns the start and the length of a crop along one side, whose centre is offset from that of
/// the picture (ISO/IEC 14496-12, section 12.1.4).
fn aperture(side: u32, (length, of): (u32, u32), (offset, per): (i32, u32)) -> Option<(u32, u32)> {
    if of == 0 || per == 0 {
        return None;
    }
    let length = f64::from(length) / f64::from(of);
    let centre = f64::from(offset) / f64::from(per) + (f64::from(side) - 1.0) / 2.0;
    let start = (centre - (length - 1.0) / 2.0).round().max(0.0);
    let length = length.round().min(f64::from(side) - start);
    (length >= 1.0).then_some((start as u32, length as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orientation(properties: &[Property]) -> u8 {
        Transforms::read((60, 40), properties.iter()).unwrap().orientation.to_exif()
    }

    #[test]
    fn turns_and_mirrors_add_up() {
        use Property::{Mirror, Rotation};
        for (quarters, exif) in [(0, 1), (1, 8), (2, 3), (3, 6)] {
            assert_eq!(orientation(&[Rotation(quarters)]), exif);
        }
        assert_eq!(orientation(&[Mirror(false)]), 2);
        assert_eq!(orientation(&[Mirror(true)]), 4);
        // Turned anticlockwise, and then mirrored left to right, the rows become the columns.
        assert_eq!(orientation(&[Rotation(1), Mirror(false)]), 7);
        assert_eq!(orientation(&[Rotation(1), Mirror(true)]), 5);
        assert_eq!(orientation(&[Mirror(true), Mirror(false)]), 3);
        assert_eq!(orientation(&[Mirror(false), Rotation(1), Rotation(3)]), 2);
    }

    #[test]
    fn a_crop_is_centred_and_stays_inside() {
        let clap = |w, h, x, y| {
            let property = Property::CleanAperture { width: w, height: h, horiz_offset: x, vert_offset: y };
            Transforms::read((60, 40), [&property].into_iter()).map(|transforms| transforms.crop)
        };
        let crop = |left, top, width, height| Some(Crop { left, top, width, height });
        assert_eq!(clap((58, 1), (40, 1), (0, 1), (0, 1)), crop(1, 0, 58, 40));
        assert_eq!(clap((118, 2), (39, 1), (-1, 2), (1, 2)), crop(0, 1, 59, 39));
        assert_eq!(clap((1000, 1), (40, 1), (0, 1), (0, 1)), crop(0, 0, 60, 40));
        for (w, x) in [((0, 1), (0, 1)), ((60, 0), (0, 1)), ((60, 1), (0, 0)), ((10, 1), (500, 1))] {
            assert_eq!(clap(w, (40, 1), x, (0, 1)), None, "{w:?} {x:?}");
        }
    }
}
