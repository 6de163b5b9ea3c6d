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

#[path = "../crates/core/src/s3/prefetch.rs"]
mod ahead;
#[path = "../crates/core/src/blocking.rs"]
mod apart;
#[path = "batch/backfill/plan.rs"]
pub mod backfill;
#[path = "../crates/core/src/s3/write_behind.rs"]
mod behind;
#[path = "batch/commit.rs"]
pub mod commit;
#[path = "batch/compact/plan.rs"]
pub mod compact;
#[path = "../crates/core/src/config.rs"]
pub mod config;
#[path = "table/current_rows.rs"]
pub mod current;
#[path = "ingest/deadline.rs"]
mod deadline;
#[path = "batch/run_local.rs"]
pub mod drive;
pub mod embed;
#[path = "../crates/core/src/error.rs"]
pub mod error;
#[path = "../crates/core/src/contract/event/mod.rs"]
pub mod event;
#[path = "batch/pca/plan.rs"]
pub mod fits;
#[path = "ingest/pipeline.rs"]
pub mod ingest;
#[path = "../crates/core/src/s3/parallel_list.rs"]
pub mod listing;
#[cfg(feature = "local")]
#[path = "../crates/embedded-s3/src/lib.rs"]
pub mod local;
#[path = "ingest/memory_budget.rs"]
mod memory;
#[path = "../crates/core/src/metrics.rs"]
pub mod metrics;
#[path = "../crates/core/src/contract/model_card.rs"]
pub mod model;
#[path = "batch/outcome.rs"]
pub mod outcome;
#[path = "../crates/core/src/contract/layout.rs"]
pub mod partition;
#[path = "../crates/core/src/contract/photo.rs"]
pub mod photo;
#[path = "table/column_chunks.rs"]
mod pieces;
#[path = "image/probe.rs"]
pub mod pixels;
#[path = "batch/plan.rs"]
pub mod plan;
#[path = "batch/pca/plot/page.rs"]
pub mod plot;
#[path = "batch/pca/moments.rs"]
mod portion;
#[cfg(feature = "cli")]
#[path = "cli/model_download.rs"]
pub mod pull;
#[path = "batch/pca/projection.rs"]
mod reduced;
#[path = "batch/pca/publish.rs"]
pub mod refit;
#[path = "table/reject.rs"]
pub mod reject;
#[path = "table/removal.rs"]
pub mod removal;
#[path = "batch/compact/rewrite.rs"]
mod rewrite;
#[path = "batch/run.rs"]
pub mod run;
#[path = "table/snapshot.rs"]
pub mod snapshot;
#[path = "../crates/core/src/s3/client.rs"]
pub mod store;
#[path = "batch/compact/delete.rs"]
mod sweep;
#[path = "table/part_reader.rs"]
pub mod table;
#[path = "batch/task.rs"]
pub mod task;
#[path = "batch/work.rs"]
pub mod work;
