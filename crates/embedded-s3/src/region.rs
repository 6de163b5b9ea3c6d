//! The region that the embedded S3 reports.

/// The AWS region of every bucket on the embedded S3.
pub const REGION: &str = "eu-west-3";
