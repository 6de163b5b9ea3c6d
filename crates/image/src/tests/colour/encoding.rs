//! Files with a profile, and the conversion to sRGB by published constants.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ImageEncoder, ImageFormat, RgbImage};
use moxcms::ColorProfile;

/// An RGB colour space: its profile, its conversion to linear sRGB, and its curve.
pub(super) struct Space {
    pub(super) name: &'static str,
    pub(super) profile: ColorProfile,
    /// From linear light to linear sRGB, rounded to four digits as in the literature.
    to_srgb: [[f64; 3]; 3],
    linear: fn(f64) -> f64,
}

impl Space {
    /// Returns Display P3, Adobe RGB and ProPhoto RGB.
    pub(super) fn all() -> [Self; 3] {
        [
            Self {
                name: "Display P3",
                profile: ColorProfile::new_display_p3(),
                to_srgb: [[1.2249, -0.2249, 0.0], [-0.0420, 1.0420, 0.0], [-0.0196, -0.0786, 1.0983]],
                linear: |v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) },
            },
            Self {
                name: "Adobe RGB",
                profile: ColorProfile::new_adobe_rgb(),
                to_srgb: [[1.3984, -0.3984, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]],
                linear: |v| v.powf(563.0 / 256.0),
            },
            Self {
                name: "ProPhoto RGB",
                profile: ColorProfile::new_pro_photo_rgb(),
                to_srgb: [[2.0341, -0.7273, -0.3068], [-0.2288, 1.2317, -0.0029], [-0.0086, -0.1533, 1.1619]],
                linear: |v| v.powf(1.8),
            },
        ]
    }

    /// Converts a colour to sRGB.
    pub(super) fn srgb(&self, colour: [u8; 3]) -> [u8; 3] {
        let linear = colour.map(|sample| (self.linear)(f64::from(sample) / 255.0));
        self.to_srgb.map(|row| {
            let v: f64 = row.iter().zip(linear).map(|(weight, sample)| weight * sample).sum();
            let encoded = if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
            (encoded * 255.0).round() as u8
        })
    }
}

/// Returns an image that has a different random colour at each pixel.
pub(super) fn random_colours(side: u32) -> RgbImage {
    let mut state = 7_u64;
    RgbImage::from_fn(side, side, |_, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        image::Rgb([state >> 56, state >> 48, state >> 40].map(|bits| bits as u8))
    })
}

/// Encodes an image with an embedded profile, without loss except in JPEG.
pub(super) fn with_profile(image: &DynamicImage, format: ImageFormat, profile: &[u8]) -> Vec<u8> {
    fn encode(image: &DynamicImage, mut encoder: impl ImageEncoder, profile: &[u8]) {
        encoder.set_icc_profile(profile.to_vec()).unwrap();
        image.write_with_encoder(encoder).unwrap();
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => encode(image, JpegEncoder::new_with_quality(&mut bytes, 100), profile),
        ImageFormat::Png => encode(image, PngEncoder::new(&mut bytes), profile),
        ImageFormat::Tiff => encode(image, TiffEncoder::new(&mut bytes), profile),
        ImageFormat::WebP => encode(image, WebPEncoder::new_lossless(&mut bytes), profile),
        _ => panic!("{format:?} has no profiles here"),
    }
    bytes.into_inner()
}
