//! The function against the embedded S3, with an EMR that does what a test wants; and its binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod binary;
mod events;
mod fixture;
mod lease;
mod look;
