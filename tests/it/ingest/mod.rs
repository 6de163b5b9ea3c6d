//! Events to rows, rejects and removals, against the embedded S3.

mod bad_input;
mod deadline;
mod delivery;
mod failures;
mod keys;
#[cfg(target_os = "linux")]
mod memory;
pub(crate) mod png;
