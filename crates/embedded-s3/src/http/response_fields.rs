//! Converts object metadata to the types of S3 responses.

use s3s::dto::ETag;

use crate::storage::object::Object;

/// Returns an object's `ETag`.
pub(crate) fn etag(object: &Object) -> Option<ETag> {
    Some(ETag::Strong(object.etag.clone()))
}

/// Converts a size in bytes. S3 responses use signed sizes.
pub(crate) fn signed_size(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
