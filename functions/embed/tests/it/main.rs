//! The function as it is deployed, and the event files that it is played with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod events;
mod function;
mod runtime;
mod world;
