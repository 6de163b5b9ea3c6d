//! Pixels to embedding.

#[cfg(feature = "tract")]
mod tract;

#[cfg(feature = "tract")]
use std::path::Path;
#[cfg(feature = "tract")]
use std::sync::Arc;

#[cfg(feature = "tract")]
pub use self::tract::Tract;

use crate::error::Result;
use crate::model::ModelCard;
use crate::pixels::Square;

/// Turns the square that its card asks for into an embedding. One instance serves many threads.
pub trait Embedder: Send + Sync {
    /// The card of the model.
    fn card(&self) -> &ModelCard;

    /// Who computes, for the column `made_by`: `tract 0.23`.
    fn engine(&self) -> &str;

    /// `card().dimension` finite numbers.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when the square is not of the card's side or the engine fails, which is not the photo's fault;
    /// [`Error::Reject`](crate::error::Error::Reject) when a number is not finite.
    fn embed(&self, square: &Square) -> Result<Vec<f32>>;
}

/// The embedder of a card, its file found, verified, optimised and probed.
///
/// # Errors
/// [`Error::Model`](crate::error::Error::Model) when the file is missing or not the card's, or does not give what the card says.
#[cfg(feature = "tract")]
pub fn load(card: &ModelCard, models_dir: Option<&Path>) -> Result<Arc<dyn Embedder>> {
    let file = card.read(models_dir)?;
    Ok(Arc::new(Tract::load(card, &file)?))
}
