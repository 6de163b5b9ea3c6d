//! Tests of the whole path from the bytes of a photo to an input image.
//!
//! They encode their images themselves, except for those in `tests/photos`.

mod bounds;
mod colour;
mod fixtures;
mod formats;
mod geometry;
mod heif;
mod jpeg;
mod jpeg_scale;
mod leniency;
#[cfg(target_os = "linux")]
mod memory;
mod messages;
mod orientation;
mod properties;
mod rejections;
