//! Tests the function against the embedded S3 and a scripted EMR, and tests its binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod binary;
mod change_detection;
mod events;
mod fixture;
mod lease;
