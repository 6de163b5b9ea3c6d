//! Solids of revolution, bent a little, in the light of one lamp above white ground.

use super::skin::{self, Skin, Spot};
use super::{Dice, direction};

/// Linear red, green, blue; 1 is white.
pub(super) type Colour = [f32; 3];
/// To the right, up, to the viewer. The picture reaches from −1 to 1.
pub(super) type Vector = [f32; 3];

/// A solid around an axis that lies in the picture's plane. With u along the axis from −1 to 1, its radius is
/// `√(1 − u²) · girth(u)`, and the axis is bent sideways by `bend · u²`; all in units of `size`.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) axis: [f32; 2],
    skin: Skin,
    centre: [f32; 2],
    size: f32,
    /// The coefficients of 1, u, u² and u⁸: a ball, a pear's slope, a barrel's belly, a lemon's tip.
    girth: [f32; 4],
    bend: f32,
    /// Towards the viewer, by this slope, leans the pole of the skin (not the shape).
    tilt: [f32; 2],
    /// How far the skin is turned around its pole.
    spin: [f32; 2],
    shade: f32,
    ripe: f32,
    seed: u32,
}

impl Body {
    pub(super) fn new(skin: Skin, size: f32, girth: [f32; 4], dice: &mut Dice) -> Self {
        Self {
            axis: [0.0, 1.0],
            skin,
            centre: [0.0; 2],
            size: size * dice.between(0.96, 1.04),
            girth: [girth[0] * dice.between(0.97, 1.03), girth[1], girth[2], girth[3]],
            bend: 0.0,
            tilt: [1.0, 0.0],
            spin: dice.heading(),
            shade: 1.0,
            ripe: 0.5,
            seed: (dice.roll() >> 32) as u32,
        }
    }

    pub(super) fn placed(self, centre: [f32; 2]) -> Self {
        Self { centre, ..self }
    }

    pub(super) fn along(self, axis: [f32; 2]) -> Self {
        Self { axis, ..self }
    }

    pub(super) fn bent(self, bend: f32) -> Self {
        Self { bend, ..self }
    }

    pub(super) fn tilted(self, slope: f32) -> Self {
        Self { tilt: direction(1.0, slope), ..self }
    }

    /// The skin's zero meridian faces the viewer, give or take this slope.
    pub(super) fn spun(self, slope: f32) -> Self {
        Self { spin: direction(1.0, slope), ..self }
    }

    pub(super) fn ripe(self, ripe: f32) -> Self {
        Self { ripe, ..self }
    }

    pub(super) fn shaded(self, shade: f32) -> Self {
        Self { shade, ..self }
    }

    /// Where on the axis the pole of the skin is seen.
    pub(super) fn pole(&self) -> f32 {
        self.tilt[0]
    }

    /// The point of the picture at these coordinates of the body.
    pub(super) fn at(&self, u: f32, v: f32) -> [f32; 2] {
        let v = v + self.bend * u * u;
        [
            self.centre[0] + self.size * (u * self.axis[0] - v * self.axis[1]),
            self.centre[1] + self.size * (u * self.axis[1] + v * self.axis[0]),
        ]
    }

    /// The coordinates along the axis and across of this point of the picture.
    fn within(&self, point: [f32; 2]) -> [f32; 2] {
        let [x, y] = [(point[0] - self.centre[0]) / self.size, (point[1] - self.centre[1]) / self.size];
        let u = x * self.axis[0] + y * self.axis[1];
        [u, y * self.axis[0] - x * self.axis[1] - self.bend * u * u]
    }

    /// The girth and its derivative.
    fn girth(&self, u: f32) -> (f32, f32) {
        let ([a, b, c, d], u7) = (self.girth, u * u * u * u * u * u * u);
        (a + b * u + c * u * u + d * u * u7, b + 2.0 * c * u + 8.0 * d * u7)
    }

    /// Whether the body is seen at this point of the picture.
    pub(super) fn covers(&self, point: [f32; 2]) -> bool {
        let [u, v] = self.within(point);
        if u.abs() >= 1.0 {
            return false;
        }
        let (girth, _) = self.girth(u);
        girth > 0.0 && (1.0 - u * u) * girth * girth > v * v
    }

    /// The colour at a point that the body covers.
    pub(super) fn colour(&self, point: [f32; 2], light: &Light) -> Colour {
        let [u, v] = self.within(point);
        let (girth, steepness) = self.girth(u);
        let z = ((1.0 - u * u) * girth * girth - v * v).max(0.0).sqrt();
        // The gradient of v² + z² − (1 − u²) · girth², halved.
        let slope = (1.0 - u * u) * girth * steepness - u * girth * girth;
        let normal = if self.skin.is_flat() {
            [0.25 * u, 0.25 * v / girth, 1.0]
        } else {
            [-slope - 2.0 * self.bend * u * v, v, z]
        };
        let look = self.skin.look(&self.spot([u, v / girth, z / girth]));
        let (normal, bump) = (self.turned(unit(normal)), self.of_ball(look.bump));
        let normal = unit([normal[0] + bump[0], normal[1] + bump[1], normal[2] + bump[2]]);
        light.on(normal, look.colour, look.gloss).map(|channel| channel * self.shade)
    }

    /// From the body's coordinates to the picture's.
    fn turned(&self, [u, v, z]: Vector) -> Vector {
        [u * self.axis[0] - v * self.axis[1], u * self.axis[1] + v * self.axis[0], z]
    }

    /// The place on the skin of a place on the body, made a unit ball.
    fn spot(&self, [u, v, z]: Vector) -> Spot {
        let ([near, far], [cos, sin]) = (self.tilt, self.spin);
        let (latitude, depth) = (u * near + z * far, z * near - u * far);
        Spot {
            ball: [latitude, v * cos - depth * sin, depth * cos + v * sin],
            flat: [u, v],
            ripe: self.ripe,
            seed: self.seed,
        }
    }

    /// A vector of the skin's ball, in the picture's coordinates.
    fn of_ball(&self, [latitude, side, front]: Vector) -> Vector {
        let ([near, far], [cos, sin]) = (self.tilt, self.spin);
        let (v, depth) = (side * cos + front * sin, front * cos - side * sin);
        self.turned([latitude * near - depth * far, v, latitude * far + depth * near])
    }

    /// The box around it: left, bottom, right, top. Good to a hundredth.
    pub(super) fn bounds(&self) -> [f32; 4] {
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

    /// What it casts on the ground, which is at this level; nothing if it is too small.
    pub(super) fn shadow(&self, ground: f32) -> Option<Shadow> {
        let [left, bottom, right, _top] = self.bounds();
        let reach = (right - left) / 2.0;
        // What hangs above the ground casts a fainter one.
        let strength = (1.0 - 2.0 * (bottom - ground)).clamp(0.0, 1.0);
        let shadow = Shadow { middle: (left + right) / 2.0, ground, reach, strength, tint: self.skin.base() };
        self.skin.casts().then_some(shadow)
    }
}

/// The soft dark patch under a body.
pub(super) struct Shadow {
    middle: f32,
    ground: f32,
    reach: f32,
    strength: f32,
    tint: Colour,
}

impl Shadow {
    /// What of the ground's light is left here: linear, at most 1.
    fn on(&self, [x, y]: [f32; 2], light: &Light) -> Colour {
        let (x, y) = (x - self.middle, y - self.ground - 0.12 * self.reach);
        if y.abs() > 0.34 * self.reach {
            return [1.0; 3];
        }
        let wide = ellipse(x + light.from[0] * 0.25 * self.reach, y, 1.12 * self.reach, 0.34 * self.reach);
        let close = ellipse(x, y, 0.75 * self.reach, 0.17 * self.reach);
        let dark = self.strength * (0.42 * wide + 0.36 * close);
        // The fruit's own colour glows a little in its shadow.
        self.tint.map(|channel| 1.0 - dark * (1.0 - 0.35 * channel))
    }
}

/// 1 in the middle, softly down to 0 at the edge.
fn ellipse(x: f32, y: f32, width: f32, height: f32) -> f32 {
    let rest = (1.0 - x * x / (width * width) - y * y / (height * height)).max(0.0);
    rest * rest
}

/// One lamp, and the white ground that gives light back.
pub(super) struct Light {
    from: Vector,
    half: Vector,
    warmth: f32,
}

impl Light {
    /// A lamp above and in front of the picture: `plane` says from which side, `front` how far in front.
    pub(super) fn new(plane: [f32; 2], front: f32, warmth: f32) -> Self {
        let from = unit([plane[0], plane[1], front]);
        Self { from, half: unit([from[0], from[1], from[2] + 1.0]), warmth }
    }

    /// Lambert's law, a bright sky and ground, and Blinn's highlight: sharp and strong for a gloss near 1.
    fn on(&self, normal: Vector, colour: Colour, gloss: f32) -> Colour {
        let direct = skin::smooth(-0.35, 1.15, dot(normal, self.from));
        let around = 0.2 + 0.1 * normal[1].max(0.0) + 0.12 * (-normal[1]).max(0.0);
        let light = 1.12 * direct + around * (0.6 + 0.4 * normal[2]);
        let mut shine = dot(normal, self.half).max(0.0);
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

/// The ground at this point, in the deepest of the shadows.
pub(super) fn ground(point: [f32; 2], shadows: &[Shadow], light: &Light) -> Colour {
    shadows
        .iter()
        .map(|shadow| shadow.on(point, light))
        .fold([1.0; 3], |deepest, other| [0, 1, 2].map(|i| other[i].min(deepest[i])))
}

fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn unit(vector: Vector) -> Vector {
    let length = dot(vector, vector).sqrt().max(1e-6);
    vector.map(|part| part / length)
}
