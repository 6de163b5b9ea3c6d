//! Ingests photos: turns deliveries into rows, rejects and removals in S3.

mod claim;
mod config;
mod deadline;
mod dedup;
mod embed_job;
mod memory_budget;
pub mod notification_loop;
mod outcome;
mod pipeline;
mod retry;

pub use self::config::{Config, engine};
pub use self::outcome::{DeliveryOutcome, StageTimings};
pub use self::pipeline::Ingest;
pub use self::retry::ingest_with_retries;
