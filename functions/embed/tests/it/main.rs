//! Tests the function as a deployed program, and the event files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod events;
mod function;
mod runtime;
mod world;
