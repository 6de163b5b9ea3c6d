//! What no unit test sees: whole servers, whole programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs
)]

mod batch;
mod cli;
mod conformance;
mod embedded;
mod fixture;
mod golden;
mod ingest;
mod kernels;
mod painted;
mod python;
mod refit;
mod scaled;
mod split;
