//! The arithmetic of the PCA, and no I/O: rows become [`moments`], moments become a fit ([`pca`]), and a fit projects rows.
//!
//! A crate of its own because it is optimised in every profile: unoptimised, its tests and the demo would crawl.

pub mod moments;
pub mod pca;
mod products;

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing to fit.
    #[error("there are no embeddings to fit a PCA to")]
    NoRows,

    /// There can't be that many components.
    #[error("{asked} components of rows of {dimension} numbers; ask for 1 to {dimension}")]
    Components {
        /// How many were asked for.
        asked: usize,
        /// Numbers in a row.
        dimension: usize,
    },

    /// An object does not hold moments, or not those of such rows.
    #[error("{object}: {reason}")]
    Damaged {
        /// The object's name.
        object: String,
        /// What was expected and what was found.
        reason: String,
    },

    /// The arguments do not belong together: a bug of the caller.
    #[error("{0}")]
    Arguments(String),
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Lets all that is computed here use so many threads; otherwise those that the machine has. Only the first call counts, and only before
/// anything was computed.
pub fn use_threads(threads: usize) {
    // It fails when the threads are there already.
    _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}
