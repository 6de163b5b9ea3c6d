//! Painting: a scene becomes pixels.

use image::{Rgb, RgbImage};

use crate::body::Body;
use crate::colour::Colour;
use crate::geometry::direction;
use crate::kind::Kind;
use crate::light::Light;
use crate::rng::Rng;
use crate::scene;
use crate::shadow::{Shadow, ground};

/// Where the four rays of a pixel hit it: right and down. No two share a row or a column.
const RAYS: [[f32; 2]; 4] = [[0.375, 0.125], [0.875, 0.375], [0.125, 0.625], [0.625, 0.875]];

/// Paints picture `number` of a kind, with `side` × `side` pixels, on white.
///
/// The same number at another size is the same picture, scaled.
#[must_use]
pub fn paint(kind: Kind, number: u32, side: u32) -> RgbImage {
    paint_rectangle(kind, number, side, side)
}

/// Paints picture `number` of a kind, not necessarily square.
pub(crate) fn paint_rectangle(kind: Kind, number: u32, width: u32, height: u32) -> RgbImage {
    // Every later draw depends on the order of these.
    let mut rng = Rng::new((kind as u64) << 32 | u64::from(number));
    let light =
        Light::new(direction(rng.between(-0.7, 0.7), 1.0), rng.between(0.75, 1.25), rng.between(0.94, 1.04));
    let (fill, shift) = (rng.between(0.76, 0.92), [rng.between(-0.05, 0.05), rng.between(-0.03, 0.03)]);
    let bodies = scene::bodies(kind, &mut rng);
    let [left, bottom, right, top] = bodies.iter().map(Body::bounds).reduce(union).unwrap_or_default();
    let shadows = bodies.iter().filter_map(|body| body.shadow(bottom)).collect();
    let picture = Picture { bodies, shadows, light };
    // Leave room for the shadow.
    let bottom = bottom - 0.1 * (right - left);
    let scale = (right - left).max(top - bottom) / fill / width.min(height) as f32;
    let middle = [(left + right) / 2.0 - shift[0], (top + bottom) / 2.0 - shift[1]];
    RgbImage::from_fn(width, height, |column, row| {
        let x = (column as f32 - width as f32 / 2.0) * scale + middle[0];
        let y = (height as f32 / 2.0 - row as f32) * scale + middle[1];
        picture.pixel([x, y], scale)
    })
}

/// Everything that determines the colour of a point.
struct Picture {
    bodies: Vec<Body>,
    shadows: Vec<Shadow>,
    light: Light,
}

impl Picture {
    /// Averages four rays. `scale` is the width of a pixel.
    fn pixel(&self, [x, y]: [f32; 2], scale: f32) -> Rgb<u8> {
        let mut sum = [0.0_f32; 3];
        let mut last: Option<(Option<usize>, Colour)> = None;
        // Several rays per pixel smooth the edges. Shading is the costly part, so consecutive rays
        // that hit the same body share one colour.
        for [right, down] in &RAYS {
            let point = [x + right * scale, y - down * scale];
            let hit = self.bodies.iter().position(|body| body.covers(point));
            let colour = match (last, hit) {
                (Some((before, colour)), _) if before == hit => colour,
                (_, Some(index)) => self.bodies[index].colour(point, &self.light),
                (_, None) => ground(point, &self.shadows, &self.light),
            };
            last = Some((hit, colour));
            sum = [sum[0] + colour[0], sum[1] + colour[1], sum[2] + colour[2]];
        }
        // The square root approximates the sRGB curve, as squaring does in `colour::hex`.
        Rgb(sum.map(|channel| ((channel / 4.0).clamp(0.0, 1.0).sqrt() * 255.0 + 0.5) as u8))
    }
}

/// Returns the bounding box of two boxes: left, bottom, right, top.
fn union(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ring::digest::SHA256;

    use super::*;
    use crate::kind::{KINDS, PHOTOS_PER_KIND};

    fn digest(bytes: &[u8]) -> String {
        hex::encode(&ring::digest::digest(&SHA256, bytes).as_ref()[..8])
    }

    #[test]
    fn a_picture_depends_only_on_its_kind_and_number() {
        let mut seen = HashSet::new();
        for kind in KINDS {
            for number in 0..2 {
                let first = digest(&paint(kind, number, 32));
                assert_eq!(first, digest(&paint(kind, number, 32)), "{} {number}", kind.name());
                assert!(seen.insert(first), "{} {number} looks like another", kind.name());
            }
        }
    }

    /// Fails on a machine that rounds differently. After a deliberate change of the pictures,
    /// update the digest.
    #[test]
    fn pictures_have_the_same_pixels_on_every_machine() {
        let all: Vec<u8> = KINDS.into_iter().flat_map(|kind| paint(kind, 0, 32).into_raw()).collect();
        assert_eq!(digest(&all), "33532ba5b278909b");
    }

    #[test]
    fn every_fruit_is_surrounded_by_white_ground() {
        for kind in KINDS {
            for number in 0..PHOTOS_PER_KIND {
                let picture = paint(kind, number, 48);
                let coloured =
                    picture.pixels().filter(|pixel| pixel.0.iter().any(|channel| *channel < 160)).count();
                assert!(coloured > 48 * 48 / 14, "{} {number}: {coloured}", kind.name());
                for (x, y) in [(0, 0), (47, 0), (0, 47), (47, 47)] {
                    assert_eq!(picture.get_pixel(x, y).0, [255; 3], "{} {number} at {x}, {y}", kind.name());
                }
            }
        }
    }
}
