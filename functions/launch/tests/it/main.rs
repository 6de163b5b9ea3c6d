//! The function against the embedded S3, with an EMR that does what a test wants; and its binary.

mod binary;
mod events;
mod fixture;
mod lease;
mod look;
