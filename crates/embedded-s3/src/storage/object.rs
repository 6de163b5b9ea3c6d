//! The metadata of an object.

use std::time::SystemTime;

/// The metadata of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: String,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    /// Without quotes.
    pub(crate) etag: String,
}

/// One page of objects, in key order.
#[derive(Debug)]
pub(crate) struct ObjectPage {
    pub(crate) objects: Vec<Object>,
    pub(crate) common_prefixes: Vec<String>,
    /// Start of the next page. `None` on the last page.
    pub(crate) next: Option<Vec<u8>>,
}
