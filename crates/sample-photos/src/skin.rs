//! The skins of fruit: colour, gloss and bumps at each point of a surface.

use crate::colour::{Colour, hex, mix};
use crate::geometry::angle_in_turns;
use crate::noise::{smoothstep, wave};
use crate::surface::{Material, SurfacePoint};

/// The surface of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skin {
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

const PALE: Colour = hex(0xF2_E6_B0);
const BROWN: Colour = hex(0x5A_3A_1E);
const GREEN: Colour = hex(0x5C_9A_2B);

impl Skin {
    /// Returns whether this is a cut face or a leaf, rather than a rounded body.
    pub(crate) fn is_flat(self) -> bool {
        matches!(self, Self::KiwiCut | Self::Leaf)
    }

    /// Returns whether the body is large enough to cast a shadow.
    pub(crate) fn casts_shadow(self) -> bool {
        !matches!(self, Self::KiwiCut | Self::Leaf | Self::Stalk | Self::Wood)
    }

    /// Returns the main colour.
    pub(crate) fn base_colour(self) -> Colour {
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

    /// Returns the material at a point.
    pub(crate) fn material(self, point: &SurfacePoint) -> Material {
        match self {
            Self::Apple => apple(point),
            Self::Apricot => apricot(point),
            Self::Banana => banana(point),
            Self::Grape => grape(point),
            Self::Kiwi => kiwi(point),
            Self::KiwiCut => kiwi_cut(point),
            Self::Lemon => citrus(point, self.base_colour(), hex(0xC8_CC_34), 0.55),
            Self::Lime => citrus(point, self.base_colour(), hex(0xA8_C4_34), 0.65),
            Self::Orange => citrus(point, self.base_colour(), hex(0xF4_A0_20), 0.6),
            Self::Pear => pear(point),
            Self::Plum => plum(point),
            Self::Strawberry => strawberry(point),
            Self::Watermelon => watermelon(point),
            Self::Leaf => leaf(point),
            Self::Stalk => {
                Material::smooth(mix(self.base_colour(), BROWN, smoothstep(0.7, 1.0, point.flat[0])), 0.2)
            }
            Self::Wood => Material::smooth(mix(BROWN, GREEN, 0.2 * point.ripe), 0.15),
        }
    }
}

fn apple(point: &SurfacePoint) -> Material {
    let latitude = point.ball[0];
    let streak = point.streaks(5.0, 0.9) * 0.5 + point.streaks(26.0, 2.0) * 0.5;
    let mut colour = mix(Skin::Apple.base_colour(), hex(0x7E_08_18), smoothstep(0.45, 0.8, point.noise(1.6)));
    let blush = smoothstep(0.5, 0.85, streak + 0.1 * latitude + 0.16 * (0.4 - point.ripe));
    colour = mix(colour, hex(0xF0_94_44), 0.7 * blush);
    colour = mix(colour, PALE, 0.6 * point.speckles(13.0, 0.1));
    colour = mix(colour, hex(0xB8_B0_48), smoothstep(0.84, 0.99, latitude + 0.1 * streak - 0.04));
    colour = mix(colour, BROWN, 0.8 * smoothstep(0.965, 1.0, latitude));
    Material { colour, gloss: 0.85, bump: point.dimple(0.78, 1.3) }
}

fn apricot(point: &SurfacePoint) -> Material {
    let blush = smoothstep(0.3, 1.1, point.ball[1] + 0.5 * point.noise(2.0) + 0.5 * point.ripe - 0.3);
    let mut colour = mix(Skin::Apricot.base_colour(), hex(0xD8_4A_28), 0.85 * blush);
    colour = mix(colour, hex(0xC2_3C_22), 0.5 * blush * smoothstep(0.55, 0.75, point.noise(11.0)));
    colour = mix(colour, hex(0xFA_D0_90), 0.25 * point.noise(40.0));
    point.with_suture(colour, hex(0xC8_6A_24), 0.12)
}

fn plum(point: &SurfacePoint) -> Material {
    let mut colour = mix(
        Skin::Plum.base_colour(),
        hex(0x8E_24_3C),
        smoothstep(0.3, 0.9, point.noise(1.5) * 0.6 + 0.4 * point.ripe),
    );
    let bloom = smoothstep(0.3, 0.85, point.noise(2.6) * 0.7 + point.noise(9.0) * 0.3);
    colour = mix(colour, hex(0x9A_90_C4), 0.42 * bloom);
    // The waxy bloom is matt.
    Material { gloss: 0.75 - 0.45 * bloom, ..point.with_suture(colour, hex(0x2A_0C_2C), 0.0) }
}

fn banana(point: &SurfacePoint) -> Material {
    let [along, across] = point.flat;
    let mut colour = mix(hex(0xE0_C8_3A), hex(0xF6_C4_20), point.ripe);
    colour = mix(colour, hex(0x9C_B0_3A), (0.9 - 0.7 * point.ripe) * smoothstep(0.55, 1.0, along.abs()));
    // Two edges where the flat faces of the fruit meet.
    let edge = (1.0 - (across - 0.25).abs() * 9.0).max(0.0) + (1.0 - (across + 0.55).abs() * 9.0).max(0.0);
    colour = mix(colour, hex(0xB0_84_1C), 0.45 * edge);
    let fleck =
        smoothstep(0.67 - 0.08 * point.ripe, 0.73, point.noise(8.0) * 0.65 + point.noise(21.0) * 0.35);
    colour = mix(colour, hex(0x6E_42_18), 0.8 * fleck);
    colour = mix(colour, hex(0x3A_26_17), smoothstep(0.93, 0.97, -along));
    Material::smooth(colour, 0.35)
}

fn grape(point: &SurfacePoint) -> Material {
    let bloom = smoothstep(0.35, 0.8, point.noise(2.2));
    let colour = mix(hex(0x3A_1A_5C), hex(0x6A_1C_50), point.ripe);
    let colour = mix(colour, hex(0x8E_8C_C8), 0.42 * bloom);
    Material::smooth(colour, 0.9 - 0.4 * bloom)
}

fn kiwi(point: &SurfacePoint) -> Material {
    let fuzz = point.noise(34.0);
    let mut colour =
        mix(hex(0x6A_4C_26), hex(0xA2_82_4C), smoothstep(0.25, 0.8, 0.5 * fuzz + 0.5 * point.noise(4.0)));
    colour = mix(colour, hex(0x3E_2A_17), smoothstep(0.95, 0.99, point.ball[0].abs()));
    Material { colour, gloss: 0.0, bump: point.roughness(26.0, 0.5) }
}

fn kiwi_cut(point: &SurfacePoint) -> Material {
    let [u, v] = point.flat;
    let radius = (u * u + v * v).sqrt();
    let angle = angle_in_turns(u, v);
    let ray = wave(angle * 34.0 + 2.0 * point.noise(3.0));
    let mut colour =
        mix(hex(0xA4_CC_3C), hex(0x66_98_1C), smoothstep(0.2, 0.75, radius) * (0.65 + 0.35 * ray));
    colour = mix(colour, hex(0xF0_EE_C4), 1.0 - smoothstep(0.16, 0.34, radius + 0.05 * ray));
    // Two rings of seeds: narrow drops that point to the centre.
    for (ring, count, phase) in [(0.40, 23.0, 0.0), (0.52, 27.0, 0.5)] {
        let place = angle * count + phase;
        let (across, along) = ((place - place.floor() - 0.5) * 6.3 * radius / count, radius - ring);
        let seed = 1.0 - (across * across / 0.0006 + along * along / 0.0028);
        colour = mix(colour, hex(0x1C_16_10), smoothstep(0.0, 0.4, seed));
    }
    colour = mix(colour, hex(0xC6_D8_78), smoothstep(0.88, 0.94, radius));
    colour = mix(colour, hex(0x6A_4C_26), smoothstep(0.955, 0.975, radius));
    Material::smooth(colour, 0.25)
}

fn citrus(point: &SurfacePoint, colour: Colour, other: Colour, gloss: f32) -> Material {
    let latitude = point.ball[0];
    let mut colour =
        mix(colour, other, 0.7 * smoothstep(0.3, 0.9, 0.6 * point.noise(1.7) + 0.4 * (1.0 - point.ripe)));
    colour = mix(colour, mix(colour, BROWN, 0.3), point.speckles(24.0, 0.3));
    colour = mix(colour, GREEN, 0.7 * smoothstep(0.982, 0.99, latitude));
    colour = mix(colour, BROWN, smoothstep(0.991, 0.995, latitude));
    let (pores, dimple) = (point.roughness(21.0, 0.28), point.dimple(0.95, 0.22));
    Material { colour, gloss, bump: [0, 1, 2].map(|i| pores[i] + dimple[i]) }
}

fn pear(point: &SurfacePoint) -> Material {
    let mut colour = mix(hex(0xA8_BC_3C), hex(0xDA_C6_4A), point.ripe);
    let blush = smoothstep(0.35, 1.3, point.ball[1] + 0.5 * point.noise(2.0));
    colour = mix(colour, hex(0xC8_6A_30), 0.55 * blush);
    colour = mix(colour, hex(0x86_6A_2A), 0.75 * point.speckles(15.0, 0.17));
    colour = mix(
        colour,
        hex(0x8A_6A_30),
        0.6 * smoothstep(0.9, 1.0, point.ball[0].abs() + 0.1 * point.noise(9.0)),
    );
    Material::smooth(colour, 0.4)
}

fn strawberry(point: &SurfacePoint) -> Material {
    let latitude = point.ball[0];
    let mut colour =
        mix(Skin::Strawberry.base_colour(), hex(0xA0_08_1C), smoothstep(0.4, 0.8, point.noise(2.0)));
    colour = mix(colour, hex(0xF2_C0_8A), (0.7 - 0.5 * point.ripe) * smoothstep(0.6, 0.95, latitude));
    // Rows of seeds around the fruit. Every other row is shifted by half the spacing.
    let row = ((1.0 - latitude) * 5.2).floor();
    let middle = 1.0 - (row + 0.5) / 5.2;
    let girth = (1.0 - middle * middle).max(0.04).sqrt();
    let count = (girth * 15.0).floor().max(3.0);
    let place =
        angle_in_turns(point.ball[1], point.ball[2]) * count + 0.5 * (row - 2.0 * (row / 2.0).floor());
    let (across, along) = ((place - place.floor() - 0.5) * 6.3 * girth / count, latitude - middle);
    let distance = across * across / 0.0020 + along * along / 0.0052;
    let pit = smoothstep(2.9, 0.8, distance);
    colour = mix(colour, hex(0x86_04_14), 0.75 * pit);
    colour = mix(colour, hex(0xF4_D2_66), smoothstep(1.0, 0.6, distance));
    Material { colour, gloss: 0.8, bump: [-3.0 * along * pit, 0.0, 0.0] }
}

fn watermelon(point: &SurfacePoint) -> Material {
    let [latitude, b, c] = point.ball;
    let jagged = 0.55 * (point.noise(5.0) - 0.5) + 0.4 * (point.noise(14.0) - 0.5);
    let stripe = wave(angle_in_turns(b, c) * 9.0 + jagged);
    let mut colour = mix(hex(0x9C_C4_5C), hex(0x6A_A0_40), point.noise(9.0));
    colour = mix(colour, hex(0x1E_4C_22), smoothstep(0.42, 0.62, stripe));
    colour = mix(colour, hex(0x12_34_18), 0.6 * smoothstep(0.8, 1.0, stripe));
    colour = mix(colour, hex(0xC8_C0_70), 0.8 * smoothstep(0.96, 0.99, latitude));
    Material::smooth(colour, 0.6)
}

fn leaf(point: &SurfacePoint) -> Material {
    let [along, across] = point.flat;
    let rib = (1.0 - across.abs() * 14.0).max(0.0);
    let vein = smoothstep(0.75, 1.0, wave((along - 0.5 * across.abs()) * 4.5));
    let colour = mix(hex(0x3C_7A_26), hex(0x76_AE_3E), 0.5 + 0.5 * across);
    Material::smooth(mix(colour, hex(0xA8_CC_70), 0.6 * rib + 0.25 * vein), 0.35)
}
