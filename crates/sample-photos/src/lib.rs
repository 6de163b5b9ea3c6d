//! Synthetic photos of a dozen kinds of fruit, for the demo and the tests.
//!
//! A picture depends only on its kind and number. Painting uses only `+ − × ÷` and `√`, which IEEE
//! 754 rounds the same way everywhere. So a picture has the same pixels on every machine, and its
//! file has the same bytes for any one version of the `image` crate.
//!
//! This is a separate crate so that it can be optimised in every profile. Unoptimised, it would
//! slow down every test that needs photos.

mod body;
mod colour;
mod dataset;
mod geometry;
mod kind;
mod light;
mod noise;
mod painting;
mod rng;
mod scene;
mod shadow;
mod skin;
mod surface;

pub use dataset::photos;
pub use kind::{KINDS, Kind, PHOTOS_PER_KIND};
pub use painting::paint;
