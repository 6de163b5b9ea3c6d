//! Lighting: one lamp, plus diffuse light from the sky and the white ground.

use crate::colour::Colour;
use crate::geometry::{Vector, dot, unit};
use crate::noise::smoothstep;

/// The lamp of a picture.
pub(crate) struct Light {
    /// The direction to the lamp.
    pub(crate) direction: Vector,
    /// The direction halfway between the lamp and the viewer.
    halfway: Vector,
    /// The red gain. Blue gets the opposite gain.
    warmth: f32,
}

impl Light {
    /// Creates a lamp above and in front of the picture.
    ///
    /// `plane` is its direction in the picture plane, and `front` its distance in front.
    pub(crate) fn new(plane: [f32; 2], front: f32, warmth: f32) -> Self {
        let direction = unit([plane[0], plane[1], front]);
        Self { direction, halfway: unit([direction[0], direction[1], direction[2] + 1.0]), warmth }
    }

    /// Shades a surface by Lambert's law, ambient light, and a Blinn highlight.
    ///
    /// A gloss near 1 makes the highlight sharp and strong.
    pub(crate) fn shade(&self, normal: Vector, colour: Colour, gloss: f32) -> Colour {
        let direct = smoothstep(-0.35, 1.15, dot(normal, self.direction));
        let around = 0.2 + 0.1 * normal[1].max(0.0) + 0.12 * (-normal[1]).max(0.0);
        let light = 1.12 * direct + around * (0.6 + 0.4 * normal[2]);
        // Squaring repeatedly raises the highlight to the 16th power.
        // `powi` might round differently between machines.
        let mut shine = dot(normal, self.halfway).max(0.0);
        for _ in 0..4 {
            shine *= shine;
        }
        let wide = shine;
        let sharp = shine * shine * shine * shine;
        let rim = (1.0 - normal[2]) * (1.0 - normal[2]) * (1.0 - normal[2]);
        let shine = gloss * (0.16 * wide + 0.75 * gloss * sharp * sharp + 0.05 * rim);
        let tint = [self.warmth, 1.0, 2.0 - self.warmth];
        [0, 1, 2].map(|i| (colour[i] * light + shine) * tint[i])
    }
}
