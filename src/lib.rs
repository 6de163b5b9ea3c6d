//! Photos of fruit in S3 become MobileNetV2 embeddings in Parquet, and a PCA over all of them.
//!
//! The way of a photo through this crate:
//!
//! ```text
//! event ──▶ ingest ──▶ store (get) ──▶ pixels ──▶ embed ──▶ table ──▶ store (put)      one photo
//! store ──▶ snapshot ──▶ current ──▶ moments ──▶ pca ──▶ plot ──▶ store                all of them
//! ```
//!
//! A batch [`run`] does the same for all photos at once, here or on a cluster: [`plan`] ──▶ [`task`]s ──▶ [`work`] ──▶ [`outcome`]s ──▶
//! [`commit`].
//!
//! Pure: [`event`], [`photo`], [`pixels`], [`embed`], [`table`], [`partition`], [`current`], [`moments`], [`pca`], [`plot`], [`metrics`].
//! They talk to S3: [`store`], and by it [`ingest`], [`snapshot`], [`refit`], [`reject`], [`removal`], and the phases of a batch.

pub use fruitvec_pca::{moments, pca};

mod ahead;
mod apart;
pub mod backfill;
mod behind;
pub mod commit;
pub mod compact;
pub mod config;
pub mod current;
mod deadline;
pub mod drive;
pub mod embed;
pub mod error;
pub mod event;
pub mod fits;
pub mod ingest;
pub mod listing;
#[cfg(feature = "local")]
pub mod local;
mod memory;
pub mod metrics;
pub mod model;
pub mod outcome;
pub mod partition;
pub mod photo;
mod pieces;
pub mod pixels;
pub mod plan;
pub mod plot;
mod portion;
#[cfg(feature = "cli")]
pub mod pull;
mod reduced;
pub mod refit;
pub mod reject;
pub mod removal;
mod rewrite;
pub mod run;
pub mod snapshot;
pub mod store;
mod sweep;
pub mod table;
pub mod task;
pub mod work;
