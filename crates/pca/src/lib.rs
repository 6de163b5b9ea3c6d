//! The arithmetic of the PCA, without I/O: rows become [`moments`], moments become a fit ([`pca`]),
//! and a fit projects rows.
//!
//! This is a separate crate so that it can be optimised in every profile. Unoptimised, it would
//! slow down its tests and the demo.
//!
//! The layers, lowest first. A layer imports only layers listed before it.
//!
//! ```text
//! products, error
//! rows
//! moments
//! eigen
//! pca
//! ```

mod eigen;
mod error;
pub mod moments;
pub mod pca;
mod products;
mod rows;
#[cfg(test)]
mod samples;

pub use error::{Error, Result};

/// Sets the number of threads for all computations of this crate. By default, it uses all cores of
/// the machine.
///
/// Only the first call counts, and only before the first computation.
pub fn use_threads(threads: usize) {
    // Fails if the thread pool exists already.
    _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}
