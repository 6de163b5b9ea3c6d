//! Points on a fruit's surface, and the patterns that skins combine.

use crate::colour::{Colour, mix};
use crate::geometry::Vector;
use crate::noise::{hash, noise, smoothstep};

/// Moves points of the unit ball to positive lattice coordinates, for any fineness up to 40.
const LATTICE_ORIGIN: f32 = 40.0;

/// How a surface looks at one point.
pub(crate) struct Material {
    pub(crate) colour: Colour,
    /// From 0 (matt as cloth) to 1 (shiny as glass).
    pub(crate) gloss: f32,
    /// The offset that bumps add to the normal, in the coordinates of the unit ball.
    pub(crate) bump: Vector,
}

impl Material {
    /// Creates a material without bumps.
    pub(crate) fn smooth(colour: Colour, gloss: f32) -> Self {
        Self { colour, gloss, bump: [0.0; 3] }
    }
}

/// A point on a body's surface.
pub(crate) struct SurfacePoint {
    /// The point on the unit ball: first the latitude, towards the stem.
    pub(crate) ball: Vector,
    /// The point on the visible outline: along the body's axis and across, −1 to 1.
    pub(crate) flat: [f32; 2],
    /// From 0 (barely ripe) to 1.
    pub(crate) ripe: f32,
    /// Gives each fruit its own blemishes.
    pub(crate) seed: u32,
}

impl SurfacePoint {
    /// Returns cloudy noise from 0 to 1, 0.5 on average.
    pub(crate) fn noise(&self, fineness: f32) -> f32 {
        noise(self.ball.map(|part| part * fineness + LATTICE_ORIGIN), self.seed)
    }

    /// Returns streaks that run from pole to pole, as noise from 0 to 1.
    pub(crate) fn streaks(&self, around: f32, along: f32) -> f32 {
        let [latitude, b, c] = self.ball;
        // Not zero, because the point is divided by it.
        let radius = (b * b + c * c).sqrt().max(0.05);
        noise(
            [
                latitude * along + LATTICE_ORIGIN,
                b / radius * around + LATTICE_ORIGIN,
                c / radius * around + LATTICE_ORIGIN,
            ],
            self.seed,
        )
    }

    /// Returns speckles of this radius, one per lattice cell: 1 at the centre of one, 0 outside.
    pub(crate) fn speckles(&self, fineness: f32, radius: f32) -> f32 {
        let point = self.ball.map(|part| part * fineness + LATTICE_ORIGIN);
        let cell = point.map(f32::floor);
        // Each speckle stays within its cell, so a point needs to look at one cell only.
        let place =
            |salt| radius + (1.0 - 2.0 * radius) * hash(cell.map(|part| part as u32), self.seed ^ salt);
        let offset =
            [point[0] - cell[0] - place(1), point[1] - cell[1] - place(2), point[2] - cell[2] - place(3)];
        let distance = offset.iter().map(|part| part * part).sum::<f32>().sqrt();
        smoothstep(radius, 0.4 * radius, distance)
    }

    /// Returns the bump of an irregular surface, from the gradient of the noise.
    pub(crate) fn roughness(&self, fineness: f32, strength: f32) -> Vector {
        let height = self.noise(fineness);
        [0, 1, 2].map(|i| {
            let mut neighbour = self.ball;
            // A difference approximates the gradient well enough.
            neighbour[i] += 0.3 / fineness;
            strength * (height - noise(neighbour.map(|part| part * fineness + LATTICE_ORIGIN), self.seed))
        })
    }

    /// Returns the bump of the hollow around the stem, which starts at latitude `from`.
    pub(crate) fn dimple(&self, from: f32, depth: f32) -> Vector {
        let [latitude, b, c] = self.ball;
        let radius = (b * b + c * c).sqrt().max(0.02);
        let slope = -depth * smoothstep(from, 0.5 + 0.5 * from, latitude) / radius;
        [0.0, b * slope, c * slope]
    }

    /// Adds the seam that runs from stem to tip on the side facing the viewer.
    pub(crate) fn with_suture(&self, colour: Colour, seam: Colour, gloss: f32) -> Material {
        let [latitude, side, front] = self.ball;
        let near = if front > 0.0 { smoothstep(0.16, 0.0, side.abs()) } else { 0.0 };
        let line = if front > 0.0 { smoothstep(0.04, 0.0, side.abs()) } else { 0.0 };
        let hollow = self.dimple(0.9, 0.2);
        let colour = mix(colour, seam, 0.4 * line.max(smoothstep(0.97, 1.0, latitude)));
        Material { colour, gloss, bump: [0.0, hollow[1] - 2.4 * side * near, hollow[2]] }
    }
}
