//! Integration tests: real servers, processes and files instead of single functions.
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
mod earlier_data;
mod embedded_s3;
mod fuzz;
mod golden_embeddings;
mod hostile_images;
mod hostile_models;
mod ingest;
mod jpeg_scaling;
mod layers;
mod native_engine;
mod pca;
mod photo_cases;
mod python;
mod s3_conformance;
mod support;
