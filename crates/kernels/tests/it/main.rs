//! What the tests of one kernel can't see: what the whole network does with memory.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::panic)]

mod allocations;
mod networks;
#[cfg(target_os = "linux")]
mod valgrind;
