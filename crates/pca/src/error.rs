//! Errors.

/// Why a computation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The moments have no rows.
    #[error("there are no embeddings to fit a PCA to")]
    NoRows,

    /// The number of components is 0 or exceeds the dimension.
    #[error("can't fit {asked} components to rows of {dimension} numbers; ask for 1 to {dimension}")]
    Components {
        /// The requested number of components.
        asked: usize,
        /// The length of a row.
        dimension: usize,
    },

    /// An object does not contain valid moments, or the moments are for rows of another length.
    #[error("{object}: {reason}")]
    Damaged {
        /// The name of the object.
        object: String,
        /// The mismatch: the found and the expected value.
        reason: String,
    },

    /// The arguments don't match each other. This is a bug in the caller.
    #[error("{0}")]
    Arguments(String),
}

/// The result of a computation that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;
