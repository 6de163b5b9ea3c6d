//! Pixels to embedding: networks of the MobileNet family by kernels of our own, any other by tract.

#[cfg(feature = "tract")]
mod engine;
#[cfg(feature = "tract")]
mod native;
#[cfg(feature = "tract")]
#[path = "onnx/chain.rs"]
mod onnx;
#[cfg(feature = "tract")]
#[cfg(test)]
#[path = "tests/networks.rs"]
mod tests;
#[cfg(feature = "tract")]
mod tract;

#[cfg(feature = "tract")]
pub use self::engine::{Engine, Kernels, load, load_with};
#[cfg(feature = "tract")]
pub use self::{native::Native, tract::Tract};
use crate::error::Result;
use crate::model::ModelCard;
use crate::pixels::Square;

/// Turns the square that its card asks for into an embedding. One instance serves many threads.
pub trait Embedder: Send + Sync {
    /// The card of the model.
    fn card(&self) -> &ModelCard;

    /// Who computes, for the column `made_by`: `native avx512`, `tract 0.23`.
    fn engine(&self) -> &str;

    /// `card().dimension` finite numbers.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when the square is not of the card's side or the engine fails, which is not the photo's fault;
    /// [`Error::Reject`](crate::error::Error::Reject) when a number is not finite.
    fn embed(&self, square: &Square) -> Result<Vec<f32>>;
}
