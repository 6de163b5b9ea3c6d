//! The S3 client, with readers and writers that keep several requests in flight.

pub mod client;
pub mod compare_and_swap;
mod newest_fit;
pub mod parallel_list;
pub mod permits;
pub mod prefetch;
pub mod sdk_error;
pub mod write_behind;

pub use self::client::{GetObject, JSON, ObjectMeta, Page, PutResult, Store, https_client};
pub use self::newest_fit::newest_fit;
