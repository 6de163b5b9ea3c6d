//! Turns photos of fruit in S3 into MobileNetV2 embeddings in Parquet, and fits a PCA to all of
//! them.
//!
//! A photo on its way through this crate, and a run over all photos:
//!
//! ```text
//! event ──▶ ingest ──▶ s3 (get) ──▶ image ──▶ embed ──▶ table ──▶ s3 (put)
//! plan  ──▶ work   ──▶ commit                                         backfill, compact, pca
//! ```
//!
//! The layers, lowest first. A layer imports only layers listed before it, which a test checks
//! (`tests/it/layers.rs`).
//!
//! ```text
//! fruitvec-core   contract, s3, error, config: what all programs share
//! fruitvec-image  bytes ──▶ upright square RGB image
//! embed           image ──▶ embedding
//! table           parts, rejects and removals in S3, and which rows are current
//! ingest          deliveries ──▶ outcomes
//! batch           a run over all photos, in stages: backfill, compact, pca
//! cli             the commands, in the binary
//! ```

pub use fruitvec_core::{blocking, config, contract, error, metrics, rejection, s3};
pub use fruitvec_image as image;
pub use fruitvec_pca::{moments, pca};

pub mod batch;
pub mod embed;
pub mod ingest;
pub mod table;
