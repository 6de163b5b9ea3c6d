//! Turns input images into embeddings.
//!
//! [`Native`] runs networks of the MobileNet family on the kernels of this project. [`Tract`] runs
//! any other network.

mod embedder;
mod engine;
mod guard;
pub mod model_file;
mod native;
mod onnx;
#[cfg(test)]
mod tests;
mod tract;
mod work;

pub use self::embedder::Embedder;
pub use self::engine::{Engine, Isa, load, load_with};
pub use self::native::Native;
pub use self::tract::Tract;
