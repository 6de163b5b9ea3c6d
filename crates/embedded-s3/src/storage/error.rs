//! Storage errors and the S3 error codes that they map to.

use std::io;

use s3s::{S3Error, S3ErrorCode, s3_error};

/// The reason why storage rejected an operation.
///
/// Each variant is named after its S3 error code. Its text is the message that the client sees.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("The specified bucket does not exist")]
    NoSuchBucket,
    #[error("The specified key does not exist")]
    NoSuchKey,
    #[error("The bucket already exists and you own it")]
    BucketAlreadyOwnedByYou,
    #[error("The bucket you tried to delete is not empty")]
    BucketNotEmpty,
    #[error("At least one of the preconditions you specified failed")]
    PreconditionFailed,
    #[error("The specified multipart upload does not exist")]
    NoSuchUpload,
    #[error("A part was not uploaded, or its ETag does not match")]
    InvalidPart,
    #[error("The part numbers are empty or not in ascending order")]
    InvalidPartOrder,
    #[error("A part other than the last is smaller than 5 MiB")]
    EntityTooSmall,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<StorageError> for S3Error {
    fn from(error: StorageError) -> Self {
        let message = error.to_string();
        let code = match error {
            StorageError::NoSuchBucket => S3ErrorCode::NoSuchBucket,
            StorageError::NoSuchKey => S3ErrorCode::NoSuchKey,
            StorageError::BucketAlreadyOwnedByYou => S3ErrorCode::BucketAlreadyOwnedByYou,
            StorageError::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
            StorageError::PreconditionFailed => S3ErrorCode::PreconditionFailed,
            StorageError::NoSuchUpload => S3ErrorCode::NoSuchUpload,
            StorageError::InvalidPart => S3ErrorCode::InvalidPart,
            StorageError::InvalidPartOrder => S3ErrorCode::InvalidPartOrder,
            StorageError::EntityTooSmall => S3ErrorCode::EntityTooSmall,
            // The client gets no detail: the message of an I/O error contains local paths.
            StorageError::Io(cause) => {
                tracing::error!(%cause, "the embedded S3 failed to access its data folder");
                return s3_error!(cause, InternalError, "The data folder can't be read or written");
            }
        };
        Self::with_message(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_maps_to_the_code_and_status_that_clients_expect() {
        for (error, code, status) in [
            (StorageError::NoSuchBucket, "NoSuchBucket", 404),
            (StorageError::NoSuchKey, "NoSuchKey", 404),
            (StorageError::BucketAlreadyOwnedByYou, "BucketAlreadyOwnedByYou", 409),
            (StorageError::BucketNotEmpty, "BucketNotEmpty", 409),
            (StorageError::PreconditionFailed, "PreconditionFailed", 412),
            (StorageError::NoSuchUpload, "NoSuchUpload", 404),
            (StorageError::InvalidPart, "InvalidPart", 400),
            (StorageError::InvalidPartOrder, "InvalidPartOrder", 400),
            (StorageError::EntityTooSmall, "EntityTooSmall", 400),
            (StorageError::Io(io::ErrorKind::StorageFull.into()), "InternalError", 500),
        ] {
            let error = S3Error::from(error);
            assert_eq!(error.code().as_str(), code);
            assert_eq!(error.code().status_code().map(|status| status.as_u16()), Some(status), "{code}");
        }
    }

    #[test]
    fn an_io_error_does_not_show_local_paths_to_the_client() {
        let error = S3Error::from(StorageError::Io(io::Error::other("/home/me/data: read-only")));
        assert!(!error.message().unwrap().contains("/home/me"));
    }
}
