//! Maps errors of the PCA's arithmetic to errors of this library.

use fruitvec_pca as pca;

use crate::error::Error;

/// Maps an error of the arithmetic to one of this library.
pub(super) fn pca_error(error: pca::Error) -> Error {
    match error {
        pca::Error::NoRows => Error::NothingToDo(error.to_string()),
        pca::Error::Components { .. } => Error::Config(error.to_string()),
        pca::Error::Damaged { object, reason } => Error::Schema { object, reason },
        pca::Error::Arguments(reason) => Error::Internal(reason),
    }
}
