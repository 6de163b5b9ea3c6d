//! S3 requests over HTTP, run on the storage.
//!
//! `s3s` parses requests, verifies signatures and writes responses. It leaves the rest to its
//! backend: preconditions, body checksums, byte ranges and the encoding of keys in listings.

mod backend;
mod blocking;
mod buckets;
mod byte_range;
mod conditions;
mod content_type;
mod copy_source;
mod list_objects;
mod multipart;
mod objects;
pub(crate) mod operations;
mod request_body;
mod response_body;
mod response_fields;
