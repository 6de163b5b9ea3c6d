//! Turns the bytes of a photo into the upright square RGB image that a model expects.
//!
//! It takes two steps, between which a caller can reserve memory. [`probe()`] reads the header and
//! rejects files that are too large, corrupt or of another format, before anything is decoded.
//! [`ProbedImage::input_image`] then decodes and resizes the image.
//!
//! ```text
//! bytes ──▶ probe ──▶ ProbedImage ──▶ decode ──▶ Raster ──▶ resize ──▶ colour ──▶ InputImage
//!           format,                   jpeg at a Scale,                 to sRGB
//!           jpeg::segments,           others in full
//!           heif, tiff
//! ```
//!
//! The result matches Pillow's `convert('RGB').resize(…)`, except that transparent images are
//! blended over white. An image with a colour profile matches Pillow's conversion to sRGB by
//! `ImageCms`.

mod blend;
mod catch_panic;
mod colour;
mod decode;
mod decoder_error;
#[cfg(debug_assertions)]
mod fault_injection;
mod fidelity;
mod format;
mod gif;
mod header;
mod heif;
mod input_image;
mod jpeg;
mod orientation;
mod plain_words;
mod png;
mod probe;
mod raster;
mod resize;
mod scale;
mod source;
#[cfg(test)]
mod tests;
mod tiff;
mod watch;
mod webp;

pub use self::catch_panic::catch_panic;
pub use self::header::Header;
pub use self::input_image::InputImage;
pub use self::probe::{ProbedImage, probe};
pub use self::watch::Watch;
