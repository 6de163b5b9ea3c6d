//! Tests of whole networks' memory use, which the kernels' own tests can't see.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::panic)]

mod allocations;
mod networks;
#[cfg(target_os = "linux")]
mod valgrind;
