//! Photos of fruit in S3 become MobileNetV2 embeddings in Parquet, and a PCA over all of them.
//!
//! The way of a photo through this crate:
//!
//! ```text
//! event ──▶ ingest ──▶ store (get) ──▶ pixels ──▶ embed ──▶ table ──▶ store (put)      one photo
//! store ──▶ current ──▶ moments ──▶ pca ──▶ plot                                       all of them
//! ```

pub mod error;
pub mod moments;
pub mod pca;
pub mod photo;
pub mod reject;
