//! Shadows on the white ground.

use crate::colour::Colour;
use crate::light::Light;

/// The soft dark patch under a body.
pub(crate) struct Shadow {
    /// The horizontal centre of the body.
    pub(crate) middle: f32,
    /// The height of the ground.
    pub(crate) ground: f32,
    /// Half the width of the body.
    pub(crate) reach: f32,
    /// From 0 for a body high above the ground to 1 for one that touches it.
    pub(crate) strength: f32,
    /// The colour of the body.
    pub(crate) tint: Colour,
}

impl Shadow {
    /// Returns the fraction of the ground's light that reaches a point.
    fn transmitted(&self, [x, y]: [f32; 2], light: &Light) -> Colour {
        let (x, y) = (x - self.middle, y - self.ground - 0.12 * self.reach);
        if y.abs() > 0.34 * self.reach {
            return [1.0; 3];
        }
        let wide =
            ellipse(x + light.direction[0] * 0.25 * self.reach, y, 1.12 * self.reach, 0.34 * self.reach);
        let close = ellipse(x, y, 0.75 * self.reach, 0.17 * self.reach);
        let dark = self.strength * (0.42 * wide + 0.36 * close);
        // Light that bounces off the fruit tints its shadow a little.
        self.tint.map(|channel| 1.0 - dark * (1.0 - 0.35 * channel))
    }
}

/// Returns the colour of the ground at a point. Where shadows overlap, the deepest one counts.
pub(crate) fn ground(point: [f32; 2], shadows: &[Shadow], light: &Light) -> Colour {
    shadows
        .iter()
        .map(|shadow| shadow.transmitted(point, light))
        .fold([1.0; 3], |deepest, other| [0, 1, 2].map(|i| other[i].min(deepest[i])))
}

/// Falls smoothly from 1 at the centre to 0 at the edge.
fn ellipse(x: f32, y: f32, width: f32, height: f32) -> f32 {
    let rest = (1.0 - x * x / (width * width) - y * y / (height * height)).max(0.0);
    rest * rest
}
