//! The skins of fruit: colour, gloss and bumps at a spot on a unit ball.

use super::body::{Colour, Vector};

/// What a body is covered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skin {
    Apple,
    Apricot,
    Banana,
    Grape,
    Kiwi,
    KiwiCut,
    Lemon,
    Lime,
    Orange,
    Pear,
    Plum,
    Strawberry,
    Watermelon,
    Leaf,
    Stalk,
    Wood,
}

/// A place on a skin.
pub(super) struct Spot {
    /// On the unit ball: towards the stem, then around it.
    pub(super) ball: Vector,
    /// On the body as it is seen: along its axis and across, −1 to 1.
    pub(super) flat: [f32; 2],
    /// From 0, hardly ripe, to 1.
    pub(super) ripe: f32,
    /// Tells one fruit's blemishes from another's.
    pub(super) seed: u32,
}

/// How a spot looks.
pub(super) struct Look {
    pub(super) colour: Colour,
    /// 0 is cloth, 1 is glass.
    pub(super) gloss: f32,
    /// What is added to the normal, in the ball's coordinates.
    pub(super) bump: Vector,
}

const PALE: Colour = hex(0xF2_E6_B0);
const BROWN: Colour = hex(0x5A_3A_1E);
const GREEN: Colour = hex(0x5C_9A_2B);

impl Skin {
    /// Whether it is a cut or a leaf rather than a rounded body.
    pub(super) fn is_flat(self) -> bool {
        matches!(self, Self::KiwiCut | Self::Leaf)
    }

    /// Whether the body is large enough for a shadow of its own.
    pub(super) fn casts(self) -> bool {
        !matches!(self, Self::KiwiCut | Self::Leaf | Self::Stalk | Self::Wood)
    }

    /// The colour that one would name.
    pub(super) fn base(self) -> Colour {
        match self {
            Self::Apple => hex(0xC4_16_22),
            Self::Apricot => hex(0xF2_9A_3C),
            Self::Banana => hex(0xF4_CC_2A),
            Self::Grape => hex(0x52_2A_66),
            Self::Kiwi => hex(0x86_66_36),
            Self::KiwiCut => hex(0x8C_B8_2C),
            Self::Lemon => hex(0xF6_DC_30),
            Self::Lime => hex(0x72_AE_22),
            Self::Orange => hex(0xF2_84_12),
            Self::Pear => hex(0xC6_C8_48),
            Self::Plum => hex(0x54_20_4E),
            Self::Strawberry => hex(0xD2_16_24),
            Self::Watermelon => hex(0x7A_B2_4A),
            Self::Leaf => hex(0x4E_8C_2E),
            Self::Stalk => hex(0x86_96_3C),
            Self::Wood => BROWN,
        }
    }

    pub(super) fn look(self, spot: &Spot) -> Look {
        match self {
            Self::Apple => apple(spot),
            Self::Apricot => apricot(spot),
            Self::Banana => banana(spot),
            Self::Grape => grape(spot),
            Self::Kiwi => kiwi(spot),
            Self::KiwiCut => kiwi_cut(spot),
            Self::Lemon => citrus(spot, self.base(), hex(0xC8_CC_34), 0.55),
            Self::Lime => citrus(spot, self.base(), hex(0xA8_C4_34), 0.65),
            Self::Orange => citrus(spot, self.base(), hex(0xF4_A0_20), 0.6),
            Self::Pear => pear(spot),
            Self::Plum => plum(spot),
            Self::Strawberry => strawberry(spot),
            Self::Watermelon => watermelon(spot),
            Self::Leaf => leaf(spot),
            Self::Stalk => plain(mix(self.base(), BROWN, smooth(0.7, 1.0, spot.flat[0])), 0.2),
            Self::Wood => plain(mix(BROWN, GREEN, 0.2 * spot.ripe), 0.15),
        }
    }
}

fn plain(colour: Colour, gloss: f32) -> Look {
    Look { colour, gloss, bump: [0.0; 3] }
}

fn apple(spot: &Spot) -> Look {
    let latitude = spot.ball[0];
    let streak = spot.streaks(5.0, 0.9) * 0.5 + spot.streaks(26.0, 2.0) * 0.5;
    let mut colour = mix(Skin::Apple.base(), hex(0x7E_08_18), smooth(0.45, 0.8, spot.noise(1.6)));
    let blush = smooth(0.5, 0.85, streak + 0.1 * latitude + 0.16 * (0.4 - spot.ripe));
    colour = mix(colour, hex(0xF0_94_44), 0.7 * blush);
    colour = mix(colour, PALE, 0.6 * spot.dots(13.0, 0.1));
    colour = mix(colour, hex(0xB8_B0_48), smooth(0.84, 0.99, latitude + 0.1 * streak - 0.04));
    colour = mix(colour, BROWN, 0.8 * smooth(0.965, 1.0, latitude));
    Look { colour, gloss: 0.85, bump: spot.dimple(0.78, 1.3) }
}

fn apricot(spot: &Spot) -> Look {
    let blush = smooth(0.3, 1.1, spot.ball[1] + 0.5 * spot.noise(2.0) + 0.5 * spot.ripe - 0.3);
    let mut colour = mix(Skin::Apricot.base(), hex(0xD8_4A_28), 0.85 * blush);
    colour = mix(colour, hex(0xC2_3C_22), 0.5 * blush * smooth(0.55, 0.75, spot.noise(11.0)));
    colour = mix(colour, hex(0xFA_D0_90), 0.25 * spot.noise(40.0));
    spot.with_suture(colour, hex(0xC8_6A_24), 0.12)
}

fn plum(spot: &Spot) -> Look {
    let mut colour =
        mix(Skin::Plum.base(), hex(0x8E_24_3C), smooth(0.3, 0.9, spot.noise(1.5) * 0.6 + 0.4 * spot.ripe));
    let bloom = smooth(0.3, 0.85, spot.noise(2.6) * 0.7 + spot.noise(9.0) * 0.3);
    colour = mix(colour, hex(0x9A_90_C4), 0.42 * bloom);
    Look { gloss: 0.75 - 0.45 * bloom, ..spot.with_suture(colour, hex(0x2A_0C_2C), 0.0) }
}

fn banana(spot: &Spot) -> Look {
    let [along, across] = spot.flat;
    let mut colour = mix(hex(0xE0_C8_3A), hex(0xF6_C4_20), spot.ripe);
    colour = mix(colour, hex(0x9C_B0_3A), (0.9 - 0.7 * spot.ripe) * smooth(0.55, 1.0, along.abs()));
    // The edges between its faces.
    let edge = (1.0 - (across - 0.25).abs() * 9.0).max(0.0) + (1.0 - (across + 0.55).abs() * 9.0).max(0.0);
    colour = mix(colour, hex(0xB0_84_1C), 0.45 * edge);
    let fleck = smooth(0.67 - 0.08 * spot.ripe, 0.73, spot.noise(8.0) * 0.65 + spot.noise(21.0) * 0.35);
    colour = mix(colour, hex(0x6E_42_18), 0.8 * fleck);
    colour = mix(colour, hex(0x3A_26_17), smooth(0.93, 0.97, -along));
    Look { colour, gloss: 0.35, bump: [0.0; 3] }
}

fn grape(spot: &Spot) -> Look {
    let bloom = smooth(0.35, 0.8, spot.noise(2.2));
    let colour = mix(hex(0x3A_1A_5C), hex(0x6A_1C_50), spot.ripe);
    let colour = mix(colour, hex(0x8E_8C_C8), 0.42 * bloom);
    Look { colour, gloss: 0.9 - 0.4 * bloom, bump: [0.0; 3] }
}

fn kiwi(spot: &Spot) -> Look {
    let fuzz = spot.noise(34.0);
    let mut colour =
        mix(hex(0x6A_4C_26), hex(0xA2_82_4C), smooth(0.25, 0.8, 0.5 * fuzz + 0.5 * spot.noise(4.0)));
    colour = mix(colour, hex(0x3E_2A_17), smooth(0.95, 0.99, spot.ball[0].abs()));
    Look { colour, gloss: 0.0, bump: spot.rough(26.0, 0.5) }
}

fn kiwi_cut(spot: &Spot) -> Look {
    let [u, v] = spot.flat;
    let radius = (u * u + v * v).sqrt();
    let angle = turn(u, v);
    let ray = wave(angle * 34.0 + 2.0 * spot.noise(3.0));
    let mut colour = mix(hex(0xA4_CC_3C), hex(0x66_98_1C), smooth(0.2, 0.75, radius) * (0.65 + 0.35 * ray));
    colour = mix(colour, hex(0xF0_EE_C4), 1.0 - smooth(0.16, 0.34, radius + 0.05 * ray));
    // Two rings of seeds, each the narrow drop that points to the middle.
    for (ring, count, phase) in [(0.40, 23.0, 0.0), (0.52, 27.0, 0.5)] {
        let place = angle * count + phase;
        let (across, along) = ((place - place.floor() - 0.5) * 6.3 * radius / count, radius - ring);
        let seed = 1.0 - (across * across / 0.0006 + along * along / 0.0028);
        colour = mix(colour, hex(0x1C_16_10), smooth(0.0, 0.4, seed));
    }
    colour = mix(colour, hex(0xC6_D8_78), smooth(0.88, 0.94, radius));
    colour = mix(colour, hex(0x6A_4C_26), smooth(0.955, 0.975, radius));
    plain(colour, 0.25)
}

fn citrus(spot: &Spot, colour: Colour, other: Colour, gloss: f32) -> Look {
    let latitude = spot.ball[0];
    let mut colour =
        mix(colour, other, 0.7 * smooth(0.3, 0.9, 0.6 * spot.noise(1.7) + 0.4 * (1.0 - spot.ripe)));
    colour = mix(colour, mix(colour, BROWN, 0.3), spot.dots(24.0, 0.3));
    colour = mix(colour, GREEN, 0.7 * smooth(0.982, 0.99, latitude));
    colour = mix(colour, BROWN, smooth(0.991, 0.995, latitude));
    let (pores, dimple) = (spot.rough(21.0, 0.28), spot.dimple(0.95, 0.22));
    Look { colour, gloss, bump: [0, 1, 2].map(|i| pores[i] + dimple[i]) }
}

fn pear(spot: &Spot) -> Look {
    let mut colour = mix(hex(0xA8_BC_3C), hex(0xDA_C6_4A), spot.ripe);
    let blush = smooth(0.35, 1.3, spot.ball[1] + 0.5 * spot.noise(2.0));
    colour = mix(colour, hex(0xC8_6A_30), 0.55 * blush);
    colour = mix(colour, hex(0x86_6A_2A), 0.75 * spot.dots(15.0, 0.17));
    colour = mix(colour, hex(0x8A_6A_30), 0.6 * smooth(0.9, 1.0, spot.ball[0].abs() + 0.1 * spot.noise(9.0)));
    Look { colour, gloss: 0.4, bump: [0.0; 3] }
}

fn strawberry(spot: &Spot) -> Look {
    let latitude = spot.ball[0];
    let mut colour = mix(Skin::Strawberry.base(), hex(0xA0_08_1C), smooth(0.4, 0.8, spot.noise(2.0)));
    colour = mix(colour, hex(0xF2_C0_8A), (0.7 - 0.5 * spot.ripe) * smooth(0.6, 0.95, latitude));
    // Seeds in rows around the fruit, every other row shifted by half a place.
    let row = ((1.0 - latitude) * 5.2).floor();
    let middle = 1.0 - (row + 0.5) / 5.2;
    let girth = (1.0 - middle * middle).max(0.04).sqrt();
    let count = (girth * 15.0).floor().max(3.0);
    let place = turn(spot.ball[1], spot.ball[2]) * count + 0.5 * (row - 2.0 * (row / 2.0).floor());
    let (across, along) = ((place - place.floor() - 0.5) * 6.3 * girth / count, latitude - middle);
    let distance = across * across / 0.0020 + along * along / 0.0052;
    let pit = smooth(2.9, 0.8, distance);
    colour = mix(colour, hex(0x86_04_14), 0.75 * pit);
    colour = mix(colour, hex(0xF4_D2_66), smooth(1.0, 0.6, distance));
    Look { colour, gloss: 0.8, bump: [-3.0 * along * pit, 0.0, 0.0] }
}

fn watermelon(spot: &Spot) -> Look {
    let [latitude, b, c] = spot.ball;
    let jagged = 0.55 * (spot.noise(5.0) - 0.5) + 0.4 * (spot.noise(14.0) - 0.5);
    let stripe = wave(turn(b, c) * 9.0 + jagged);
    let mut colour = mix(hex(0x9C_C4_5C), hex(0x6A_A0_40), spot.noise(9.0));
    colour = mix(colour, hex(0x1E_4C_22), smooth(0.42, 0.62, stripe));
    colour = mix(colour, hex(0x12_34_18), 0.6 * smooth(0.8, 1.0, stripe));
    colour = mix(colour, hex(0xC8_C0_70), 0.8 * smooth(0.96, 0.99, latitude));
    Look { colour, gloss: 0.6, bump: [0.0; 3] }
}

fn leaf(spot: &Spot) -> Look {
    let [along, across] = spot.flat;
    let rib = (1.0 - across.abs() * 14.0).max(0.0);
    let vein = smooth(0.75, 1.0, wave((along - 0.5 * across.abs()) * 4.5));
    let colour = mix(hex(0x3C_7A_26), hex(0x76_AE_3E), 0.5 + 0.5 * across);
    plain(mix(colour, hex(0xA8_CC_70), 0.6 * rib + 0.25 * vein), 0.35)
}

impl Spot {
    /// Clouds: 0 to 1, about 0.5.
    fn noise(&self, fineness: f32) -> f32 {
        noise(self.ball.map(|part| part * fineness + 40.0), self.seed)
    }

    /// Streaks from pole to pole.
    fn streaks(&self, around: f32, along: f32) -> f32 {
        let [latitude, b, c] = self.ball;
        let radius = (b * b + c * c).sqrt().max(0.05);
        noise([latitude * along + 40.0, b / radius * around + 40.0, c / radius * around + 40.0], self.seed)
    }

    /// Speckles of this radius, one to a cell: 1 in the middle of one.
    fn dots(&self, fineness: f32, radius: f32) -> f32 {
        let point = self.ball.map(|part| part * fineness + 40.0);
        let cell = point.map(f32::floor);
        let place =
            |salt| radius + (1.0 - 2.0 * radius) * hash(cell.map(|part| part as u32), self.seed ^ salt);
        let away =
            [point[0] - cell[0] - place(1), point[1] - cell[1] - place(2), point[2] - cell[2] - place(3)];
        let distance = away.iter().map(|part| part * part).sum::<f32>().sqrt();
        smooth(radius, 0.4 * radius, distance)
    }

    /// Bumps without a pattern.
    fn rough(&self, fineness: f32, strength: f32) -> Vector {
        let height = self.noise(fineness);
        [0, 1, 2].map(|i| {
            let mut beside = self.ball;
            beside[i] += 0.3 / fineness;
            strength * (height - noise(beside.map(|part| part * fineness + 40.0), self.seed))
        })
    }

    /// The hollow around the stem, beginning at this latitude.
    fn dimple(&self, from: f32, depth: f32) -> Vector {
        let [latitude, b, c] = self.ball;
        let radius = (b * b + c * c).sqrt().max(0.02);
        let slope = -depth * smooth(from, 0.5 + 0.5 * from, latitude) / radius;
        [0.0, b * slope, c * slope]
    }

    /// The seam from the stem to the tip, along the meridian that faces the viewer.
    fn with_suture(&self, colour: Colour, seam: Colour, gloss: f32) -> Look {
        let [latitude, side, front] = self.ball;
        let near = if front > 0.0 { smooth(0.16, 0.0, side.abs()) } else { 0.0 };
        let line = if front > 0.0 { smooth(0.04, 0.0, side.abs()) } else { 0.0 };
        let hollow = self.dimple(0.9, 0.2);
        let colour = mix(colour, seam, 0.4 * line.max(smooth(0.97, 1.0, latitude)));
        Look { colour, gloss, bump: [0.0, hollow[1] - 2.4 * side * near, hollow[2]] }
    }
}

/// sRGB digits as linear light, with the square for the gamma.
const fn hex(digits: u32) -> Colour {
    let [_, red, green, blue] = digits.to_be_bytes();
    let (red, green, blue) = (red as f32 / 255.0, green as f32 / 255.0, blue as f32 / 255.0);
    [red * red, green * green, blue * blue]
}

fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * share)
}

/// From 0 at `low` to 1 at `high`, which may be the smaller of the two.
pub(super) fn smooth(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// 0 to 1 and back, once a unit.
fn wave(x: f32) -> f32 {
    let t = (2.0 * (x - x.floor()) - 1.0).abs();
    t * t * (3.0 - 2.0 * t)
}

/// The angle of a point as a share of the full turn, to about a thousandth: good enough for seeds and stripes, and
/// unlike `atan2` the same on every machine.
fn turn(x: f32, y: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let t = ax.min(ay) / ax.max(ay).max(1e-6);
    let eighth = t * (0.125 + 0.0434 * (1.0 - t));
    let quarter = if ay > ax { 0.25 - eighth } else { eighth };
    let half = if x < 0.0 { 0.5 - quarter } else { quarter };
    if y < 0.0 { 1.0 - half } else { half }
}

/// Values on a lattice, smoothly joined.
fn noise(point: Vector, seed: u32) -> f32 {
    let cell = point.map(f32::floor);
    let [x, y, z] = [0, 1, 2].map(|i| smooth(0.0, 1.0, point[i] - cell[i]));
    let cell = cell.map(|part| part as u32);
    let corner = |dx, dy, dz| hash([cell[0] + dx, cell[1] + dy, cell[2] + dz], seed);
    let edge = |dy, dz| corner(0, dy, dz) + (corner(1, dy, dz) - corner(0, dy, dz)) * x;
    let face = |dz| edge(0, dz) + (edge(1, dz) - edge(0, dz)) * y;
    face(0) + (face(1) - face(0)) * z
}

/// A number from 0 to 1 for each cell of a lattice. Most of the painting is spent here.
fn hash([x, y, z]: [u32; 3], seed: u32) -> f32 {
    let mixed = |bits: u32, part: u32| {
        let bits = (bits ^ part).wrapping_mul(0x9E37_79B1);
        bits ^ (bits >> 15)
    };
    let bits = mixed(mixed(mixed(seed, x), y), z);
    (bits.wrapping_mul(0x85EB_CA6B) >> 8) as f32 / (1 << 24) as f32
}
