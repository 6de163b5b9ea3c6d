//! A painter of fruit, so that there are photos where none can be had: a dozen kinds, every picture from its number alone.
//!
//! It reckons with `+ − × ÷` and `√` only, which IEEE 754 rounds alike everywhere: a picture has the same pixels
//! on every machine, and its file the same bytes for one version of the `image` crate.
//!
//! A crate of its own because it is optimised in every profile: unoptimised, the tests would wait for their photos.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageError, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

mod body;
mod scene;
mod skin;

use body::{Body, Colour, Light};

/// How many photos of each kind [`photos`] yields.
pub const PHOTOS_PER_KIND: u32 = 20;
/// The side of most of them, in pixels.
const SIDE: u32 = 160;
/// What a phone's camera takes, more or less.
const JPEG_QUALITY: u8 = 90;

/// Where in a pixel its four rays go, to the right and down: no two in a row or a column.
const RAYS: [[f32; 2]; 4] = [[0.375, 0.125], [0.875, 0.375], [0.125, 0.625], [0.625, 0.875]];

/// What is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "a fruit is a fruit")]
pub enum Kind {
    AppleRed,
    Apricot,
    Banana,
    Grape,
    Kiwi,
    Lemon,
    Lime,
    Orange,
    Pear,
    Plum,
    Strawberry,
    Watermelon,
}

/// Every kind, by name.
pub const KINDS: [Kind; 12] = [
    Kind::AppleRed,
    Kind::Apricot,
    Kind::Banana,
    Kind::Grape,
    Kind::Kiwi,
    Kind::Lemon,
    Kind::Lime,
    Kind::Orange,
    Kind::Pear,
    Kind::Plum,
    Kind::Strawberry,
    Kind::Watermelon,
];

impl Kind {
    /// The kind as a label, which is the name of a folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AppleRed => "Apple Red",
            Self::Apricot => "Apricot",
            Self::Banana => "Banana",
            Self::Grape => "Grape",
            Self::Kiwi => "Kiwi",
            Self::Lemon => "Lemon",
            Self::Lime => "Lime",
            Self::Orange => "Orange",
            Self::Pear => "Pear",
            Self::Plum => "Plum",
            Self::Strawberry => "Strawberry",
            Self::Watermelon => "Watermelon",
        }
    }
}

/// The picture of this number of this kind: `side` × `side` pixels, on white. The same number at another side is
/// the same picture, smaller or larger.
#[must_use]
pub fn paint(kind: Kind, number: u32, side: u32) -> RgbImage {
    picture(kind, number, side, side)
}

fn picture(kind: Kind, number: u32, width: u32, height: u32) -> RgbImage {
    let mut dice = Dice((kind as u64) << 32 | u64::from(number));
    let light = Light::new(
        direction(dice.between(-0.7, 0.7), 1.0),
        dice.between(0.75, 1.25),
        dice.between(0.94, 1.04),
    );
    let (fill, shift) = (dice.between(0.76, 0.92), [dice.between(-0.05, 0.05), dice.between(-0.03, 0.03)]);
    let bodies = scene::bodies(kind, &mut dice);
    let [left, bottom, right, top] = bodies.iter().map(Body::bounds).reduce(around).unwrap_or_default();
    let shadows: Vec<_> = bodies.iter().filter_map(|body| body.shadow(bottom)).collect();
    // Room for the shadow, too.
    let bottom = bottom - 0.1 * (right - left);
    let scale = (right - left).max(top - bottom) / fill / width.min(height) as f32;
    let middle = [(left + right) / 2.0 - shift[0], (top + bottom) / 2.0 - shift[1]];
    RgbImage::from_fn(width, height, |column, row| {
        let x = (column as f32 - width as f32 / 2.0) * scale + middle[0];
        let y = (height as f32 / 2.0 - row as f32) * scale + middle[1];
        let mut sum = [0.0_f32; 3];
        let mut seen: Option<(Option<usize>, Colour)> = None;
        // Four rays a pixel make its edges smooth. Those that meet the same thing share its colour, the costly part.
        for [right, down] in &RAYS {
            let point = [x + right * scale, y - down * scale];
            let met = bodies.iter().position(|body| body.covers(point));
            let colour = match (seen, met) {
                (Some((before, colour)), _) if before == met => colour,
                (_, Some(index)) => bodies[index].colour(point, &light),
                (_, None) => body::ground(point, &shadows, &light),
            };
            seen = Some((met, colour));
            sum = [sum[0] + colour[0], sum[1] + colour[1], sum[2] + colour[2]];
        }
        // The square root is the screen's gamma, near enough.
        Rgb(sum.map(|channel| ((channel / 4.0).clamp(0.0, 1.0).sqrt() * 255.0 + 0.5) as u8))
    })
}

/// The box around two boxes: left, bottom, right, top.
fn around(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

/// [`PHOTOS_PER_KIND`] photos of each kind: `Apple Red/007.jpg`, encoded. Most are JPEG and square; every kind has a
/// wide one, a tall one, a larger one and a PNG, and one each is of a rarer format or kind of pixel.
///
/// # Errors
///
/// [`ImageError`] if an encoder refuses a picture.
pub fn photos() -> impl Iterator<Item = Result<(String, Vec<u8>), ImageError>> {
    // A kind at a time: all cores paint, and no more than its photos are held.
    KINDS.into_iter().flat_map(|kind| {
        (0..PHOTOS_PER_KIND).into_par_iter().map(|number| photo(kind, number)).collect::<Vec<_>>()
    })
}

fn photo(kind: Kind, number: u32) -> Result<(String, Vec<u8>), ImageError> {
    let (width, height) = match number {
        4 => (200, 150),
        9 => (120, 180),
        14 => (256, 256),
        _ => (SIDE, SIDE),
    };
    let (pixels, format) = dress(picture(kind, number, width, height), kind, number);
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => {
            pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        }
        _ => pixels.write_to(&mut bytes, format),
    }?;
    let extension = format.extensions_str().first().copied().unwrap_or_default();
    Ok((format!("{}/{number:03}.{extension}", kind.name()), bytes.into_inner()))
}

/// The pixels and the format in which this photo is kept: the last but one of a kind is a PNG, the last a rarity.
fn dress(picture: RgbImage, kind: Kind, number: u32) -> (DynamicImage, ImageFormat) {
    let picture = match (number, kind) {
        (19, Kind::Apricot) => DynamicImage::from(picture).into_rgb16().into(),
        (19, Kind::Banana) => cut_out(&picture).into(),
        (19, Kind::Pear) => DynamicImage::from(picture).into_luma8().into(),
        _ => DynamicImage::from(picture),
    };
    let format = match (number, kind) {
        (18, _) | (19, Kind::Apricot | Kind::Banana) => ImageFormat::Png,
        (19, Kind::Lemon) => ImageFormat::Tiff,
        (19, Kind::Lime) => ImageFormat::Bmp,
        (19, Kind::Orange) => ImageFormat::WebP,
        (19, Kind::Plum) => ImageFormat::Gif,
        _ => ImageFormat::Jpeg,
    };
    (picture, format)
}

/// The ground made transparent, and black beneath, as drawing programs leave it: whoever drops alpha sees black.
fn cut_out(picture: &RgbImage) -> RgbaImage {
    RgbaImage::from_fn(picture.width(), picture.height(), |x, y| match picture.get_pixel(x, y).0 {
        [255, 255, 255] => Rgba([0; 4]),
        [red, green, blue] => Rgba([red, green, blue, 255]),
    })
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): a few lines, and the same numbers for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.roll() >> 40) as f32 / (1 << 24) as f32)
    }

    fn chance(&mut self, probability: f32) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// Any direction in the picture's plane.
    fn heading(&mut self) -> [f32; 2] {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            if (0.01..1.0).contains(&(x * x + y * y)) {
                return direction(x, y);
            }
        }
    }
}

/// The unit vector that points from the origin to here.
fn direction(x: f32, y: f32) -> [f32; 2] {
    let length = (x * x + y * y).sqrt();
    [x / length, y / length]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ring::digest::SHA256;

    use super::*;

    fn digest(bytes: &[u8]) -> String {
        hex::encode(&ring::digest::digest(&SHA256, bytes).as_ref()[..8])
    }

    #[test]
    fn a_picture_comes_from_its_kind_and_number_alone() {
        let mut seen = HashSet::new();
        for kind in KINDS {
            for number in 0..2 {
                let first = digest(&paint(kind, number, 32));
                assert_eq!(first, digest(&paint(kind, number, 32)), "{} {number}", kind.name());
                assert!(seen.insert(first), "{} {number} looks like another", kind.name());
            }
        }
    }

    /// Fails on a machine that rounds otherwise, and after a change of the pictures: then write the new digest here.
    #[test]
    fn the_pictures_are_those_of_every_machine() {
        let all: Vec<u8> = KINDS.into_iter().flat_map(|kind| paint(kind, 0, 32).into_raw()).collect();
        assert_eq!(digest(&all), "33532ba5b278909b");
    }

    #[test]
    fn every_fruit_lies_within_white_ground() {
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

    #[test]
    fn every_photo_has_its_own_name_and_decodes() {
        let mut names = HashSet::new();
        for photo in photos() {
            let (name, bytes) = photo.unwrap();
            let picture = image::load_from_memory(&bytes).unwrap();
            assert!(picture.width() >= 120 && picture.height() >= 120, "{name}");
            assert_eq!(
                image::guess_format(&bytes).unwrap(),
                ImageFormat::from_path(&name).unwrap(),
                "{name}"
            );
            assert!(names.insert(name));
        }
        assert_eq!(names.len(), KINDS.len() * PHOTOS_PER_KIND as usize);
        assert!(names.contains("Apple Red/007.jpg"));
    }

    #[test]
    fn the_ground_of_a_cut_out_is_black_beneath() {
        let (pixels, format) = dress(paint(Kind::Banana, 19, 32), Kind::Banana, 19);
        assert_eq!(format, ImageFormat::Png);
        assert_eq!(pixels.into_rgba8().get_pixel(0, 0).0, [0; 4]);
    }
}
