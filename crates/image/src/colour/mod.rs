//! Colour management: the colour space that a photo declares, and its conversion to sRGB.

mod black_point;
mod bmp;
mod cache;
mod cmyk;
mod conversion;
mod declared;
mod find;
mod heif;
mod icc;
mod jpeg;
mod png;
mod tiff;
mod webp;

pub(crate) use self::cache::conversion;
pub(crate) use self::cmyk::to_rgb as cmyk_to_rgb;
pub(crate) use self::conversion::to_srgb;
