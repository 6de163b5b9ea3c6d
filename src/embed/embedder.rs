//! The interface of the engines, and the checks that they share.

use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};
use crate::image::InputImage;
use crate::rejection::{RejectCode, Rejection};

/// Turns an input image into an embedding. Threads may share it.
pub trait Embedder: Send + Sync {
    /// Returns the model's card.
    fn card(&self) -> &ModelCard;

    /// Returns the name of the engine for the column `made_by`, such as `native avx512` or
    /// `tract 0.23`.
    fn engine(&self) -> &str;

    /// Returns the embedding of an image: `card().dimension` finite numbers.
    ///
    /// # Errors
    /// [`Error::Internal`] if the image does not have the card's
    /// side, or the engine fails. Neither is the photo's fault.
    /// [`Error::Reject`] if a number is not finite.
    fn embed(&self, image: &InputImage) -> Result<Vec<f32>>;
}

/// Checks that an embedding has the card's dimension, and that all of its numbers are finite.
pub(super) fn check_embedding(card: &ModelCard, embedding: Vec<f32>) -> Result<Vec<f32>> {
    let (found, expected) = (embedding.len(), card.dimension);
    if found != expected {
        return Err(Error::Internal(format!(
            "{}: the graph gives {found} numbers, the card says {expected}",
            card.id
        )));
    }
    // A fit fails on a row that is not finite. Parts are never modified, so one such row would make
    // every later fit fail.
    if !embedding.iter().all(|x| x.is_finite()) {
        let message = "the network returned a number that is not finite; export the image again";
        return Err(Rejection::new(RejectCode::NotFinite, message).into());
    }
    Ok(embedding)
}

/// Checks that an image has the card's side.
pub(super) fn check_side(card: &ModelCard, image: &InputImage) -> Result<()> {
    let (found, expected) = (image.side(), card.input.side);
    if found == expected {
        return Ok(());
    }
    Err(Error::Internal(format!(
        "{}: the input image is {found} pixels wide, but the model expects {expected}",
        card.id
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::model_card::DEFAULT_MODEL;

    fn card(dimension: usize) -> ModelCard {
        ModelCard { dimension, ..ModelCard::find(DEFAULT_MODEL, None).unwrap() }
    }

    #[test]
    fn an_embedding_of_the_cards_dimension_is_returned_unchanged() {
        assert_eq!(check_embedding(&card(3), vec![0.0, -1.5, f32::MAX]).unwrap(), [0.0, -1.5, f32::MAX]);
    }

    #[test]
    fn another_dimension_is_not_the_photos_fault() {
        let error = check_embedding(&card(3), vec![0.0; 2]).unwrap_err();
        assert!(matches!(&error, Error::Internal(_)), "{error}");
        assert!(error.to_string().contains("the graph gives 2 numbers, the card says 3"), "{error}");
    }

    #[test]
    fn a_number_that_is_not_finite_rejects_the_photo() {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = check_embedding(&card(2), vec![1.0, number]).unwrap_err();
            let Error::Reject(rejection) = error else { panic!("{number}: {error}") };
            assert_eq!(rejection.code, RejectCode::NotFinite);
        }
    }
}
