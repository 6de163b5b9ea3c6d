//! The code shared by all fruitvec programs: the data contract, the S3 client, settings and
//! metrics.
//!
//! The layers, lowest first. A layer imports only layers listed before it.
//!
//! ```text
//! rejection   reasons why a photo cannot be embedded
//! error       the error type, and how callers react to each error
//! contract    photos, events, object keys, model cards, limits, records of runs and fits
//! config      settings from environment variables
//! metrics     counts and timings as CloudWatch metrics
//! blocking    CPU-bound work on blocking threads
//! s3          the client, listings, prefetch and write-behind
//! ```

pub mod blocking;
pub mod config;
pub mod contract;
pub mod error;
pub mod metrics;
pub mod rejection;
pub mod s3;
