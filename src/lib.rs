//! Photos of fruit in S3 become MobileNetV2 embeddings in Parquet, and a PCA over all of them.
//!
//! The way of a photo through this crate:
//!
//! ```text
//! event ──▶ ingest ──▶ store (get) ──▶ pixels ──▶ embed ──▶ table ──▶ store (put)      one photo
//! store ──▶ snapshot ──▶ current ──▶ moments ──▶ pca ──▶ plot ──▶ store                all of them
//! ```
//!
//! Pure: [`event`], [`photo`], [`pixels`], [`embed`], [`table`], [`partition`], [`current`], [`moments`], [`pca`], [`plot`], [`metrics`].
//! They talk to S3: [`store`], and by it [`ingest`], [`snapshot`], [`refit`], [`reject`], [`removal`].

pub use fruitvec_pca::{moments, pca};

pub mod config;
pub mod current;
mod deadline;
pub mod embed;
pub mod error;
pub mod event;
pub mod ingest;
#[cfg(feature = "local")]
pub mod local;
mod memory;
pub mod metrics;
pub mod model;
pub mod partition;
pub mod photo;
pub mod pixels;
pub mod plot;
#[cfg(feature = "cli")]
pub mod pull;
mod reduced;
pub mod refit;
pub mod reject;
pub mod removal;
pub mod snapshot;
pub mod store;
pub mod table;
