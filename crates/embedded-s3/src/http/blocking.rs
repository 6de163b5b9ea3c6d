//! Runs file operations on threads that may block.

use s3s::{S3Error, S3Result};

use crate::storage::error::StorageError;

/// Runs a file operation on the blocking thread pool, so that it does not stall other requests.
pub(crate) async fn run_blocking<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(operation).await.map_err(S3Error::internal_error)?.map_err(S3Error::from)
}
