//! Photos in other colour spaces become sRGB.

mod broken;
mod cmyk;
mod encoding;
mod heif;
mod png_chunks;
mod profiles;
