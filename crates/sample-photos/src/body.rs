//! Bodies: solids of revolution, some of them slightly bent.

use crate::colour::Colour;
use crate::geometry::{Vector, direction, unit};
use crate::light::Light;
use crate::rng::Rng;
use crate::shadow::Shadow;
use crate::skin::Skin;
use crate::surface::SurfacePoint;

/// A solid of revolution with a skin, around an axis in the picture plane.
///
/// With u along the axis from −1 to 1, the radius is `√(1 − u²) · girth(u)`, and the axis curves
/// sideways by `bend · u²`. Both are in units of `size`.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) axis: [f32; 2],
    skin: Skin,
    centre: [f32; 2],
    size: f32,
    /// The coefficients of 1, u, u² and u⁸. They make a ball, a pear's slope, a barrel's belly, and
    /// a lemon's tip.
    girth: [f32; 4],
    bend: f32,
    /// Cosine and sine of the angle by which the skin's pole leans towards the viewer. The shape
    /// does not lean.
    tilt: [f32; 2],
    /// Cosine and sine of the skin's rotation around its pole.
    spin: [f32; 2],
    /// Scales the brightness.
    shade: f32,
    ripe: f32,
    seed: u32,
}

impl Body {
    pub(crate) fn new(skin: Skin, size: f32, girth: [f32; 4], rng: &mut Rng) -> Self {
        Self {
            axis: [0.0, 1.0],
            skin,
            centre: [0.0; 2],
            size: size * rng.between(0.96, 1.04),
            girth: [girth[0] * rng.between(0.97, 1.03), girth[1], girth[2], girth[3]],
            bend: 0.0,
            tilt: [1.0, 0.0],
            spin: rng.heading(),
            shade: 1.0,
            ripe: 0.5,
            seed: (rng.next_u64() >> 32) as u32,
        }
    }

    pub(crate) fn placed(self, centre: [f32; 2]) -> Self {
        Self { centre, ..self }
    }

    pub(crate) fn along(self, axis: [f32; 2]) -> Self {
        Self { axis, ..self }
    }

    pub(crate) fn bent(self, bend: f32) -> Self {
        Self { bend, ..self }
    }

    /// Leans the skin's pole towards the viewer by this slope.
    pub(crate) fn tilted(self, slope: f32) -> Self {
        Self { tilt: direction(1.0, slope), ..self }
    }

    /// Turns the skin's zero meridian towards the viewer, off by this slope.
    pub(crate) fn spun(self, slope: f32) -> Self {
        Self { spin: direction(1.0, slope), ..self }
    }

    pub(crate) fn ripe(self, ripe: f32) -> Self {
        Self { ripe, ..self }
    }

    pub(crate) fn shaded(self, shade: f32) -> Self {
        Self { shade, ..self }
    }

    /// Returns the position along the axis where the skin's pole appears.
    pub(crate) fn pole(&self) -> f32 {
        self.tilt[0]
    }

    /// Converts body coordinates to a point of the picture.
    pub(crate) fn at(&self, u: f32, v: f32) -> [f32; 2] {
        let v = v + self.bend * u * u;
        [
            self.centre[0] + self.size * (u * self.axis[0] - v * self.axis[1]),
            self.centre[1] + self.size * (u * self.axis[1] + v * self.axis[0]),
        ]
    }

    /// Converts a point of the picture to body coordinates: along the axis and across.
    fn to_body(&self, point: [f32; 2]) -> [f32; 2] {
        let [x, y] = [(point[0] - self.centre[0]) / self.size, (point[1] - self.centre[1]) / self.size];
        let u = x * self.axis[0] + y * self.axis[1];
        [u, y * self.axis[0] - x * self.axis[1] - self.bend * u * u]
    }

    /// Returns the girth and its derivative.
    fn girth(&self, u: f32) -> (f32, f32) {
        // Only multiplications, because `powi` might round differently between machines.
        let ([a, b, c, d], u7) = (self.girth, u * u * u * u * u * u * u);
        (a + b * u + c * u * u + d * u * u7, b + 2.0 * c * u + 8.0 * d * u7)
    }

    /// Returns whether the body covers a point of the picture.
    pub(crate) fn covers(&self, point: [f32; 2]) -> bool {
        let [u, v] = self.to_body(point);
        if u.abs() >= 1.0 {
            return false;
        }
        let (girth, _) = self.girth(u);
        // Squares on both sides save a square root for each ray.
        girth > 0.0 && (1.0 - u * u) * girth * girth > v * v
    }

    /// Returns the colour at a point that the body covers.
    pub(crate) fn colour(&self, point: [f32; 2], light: &Light) -> Colour {
        let [u, v] = self.to_body(point);
        let (girth, steepness) = self.girth(u);
        let z = ((1.0 - u * u) * girth * girth - v * v).max(0.0).sqrt();
        // The normal is half the gradient of v² + z² − (1 − u²) · girth².
        let slope = (1.0 - u * u) * girth * steepness - u * girth * girth;
        let normal = if self.skin.is_flat() {
            // Curved just enough to let the light vary across the face.
            [0.25 * u, 0.25 * v / girth, 1.0]
        } else {
            [-slope - 2.0 * self.bend * u * v, v, z]
        };
        let material = self.skin.material(&self.surface_point([u, v / girth, z / girth]));
        let (normal, bump) = (self.to_picture(unit(normal)), self.ball_to_picture(material.bump));
        let normal = unit([normal[0] + bump[0], normal[1] + bump[1], normal[2] + bump[2]]);
        light.shade(normal, material.colour, material.gloss).map(|channel| channel * self.shade)
    }

    /// Rotates a vector from body to picture coordinates.
    fn to_picture(&self, [u, v, z]: Vector) -> Vector {
        [u * self.axis[0] - v * self.axis[1], u * self.axis[1] + v * self.axis[0], z]
    }

    /// Returns the surface point for a point of the body, scaled to a unit ball.
    fn surface_point(&self, [u, v, z]: Vector) -> SurfacePoint {
        let ([near, far], [cos, sin]) = (self.tilt, self.spin);
        let (latitude, depth) = (u * near + z * far, z * near - u * far);
        SurfacePoint {
            ball: [latitude, v * cos - depth * sin, depth * cos + v * sin],
            flat: [u, v],
            ripe: self.ripe,
            seed: self.seed,
        }
    }

    /// Rotates a vector from the skin's unit ball to picture coordinates.
    fn ball_to_picture(&self, [latitude, side, front]: Vector) -> Vector {
        let ([near, far], [cos, sin]) = (self.tilt, self.spin);
        let (v, depth) = (side * cos + front * sin, front * cos - side * sin);
        self.to_picture([latitude * near - depth * far, v, latitude * far + depth * near])
    }

    /// Returns the bounding box, accurate to a hundredth: left, bottom, right, top.
    pub(crate) fn bounds(&self) -> [f32; 4] {
        (-20..=20_i8).fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |[left, bottom, right, top], step| {
            let u = f32::from(step) / 20.0;
            let radius = (1.0 - u * u).sqrt() * self.girth(u).0;
            let (one, other) = (self.at(u, radius), self.at(u, -radius));
            [
                left.min(one[0]).min(other[0]),
                bottom.min(one[1]).min(other[1]),
                right.max(one[0]).max(other[0]),
                top.max(one[1]).max(other[1]),
            ]
        })
    }

    /// Returns the shadow on the ground at this height, or `None` if the body is too small to cast
    /// one.
    pub(crate) fn shadow(&self, ground: f32) -> Option<Shadow> {
        let [left, bottom, right, _top] = self.bounds();
        let reach = (right - left) / 2.0;
        // A body above the ground casts a fainter shadow.
        let strength = (1.0 - 2.0 * (bottom - ground)).clamp(0.0, 1.0);
        let shadow =
            Shadow { middle: (left + right) / 2.0, ground, reach, strength, tint: self.skin.base_colour() };
        self.skin.casts_shadow().then_some(shadow)
    }
}
