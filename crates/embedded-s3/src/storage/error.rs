//! Why something was not done, and how S3 says so.

use std::io;

use s3s::{S3Error, s3_error};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no such bucket")]
    NoSuchBucket,
    #[error("no such key")]
    NoSuchKey,
    #[error("the bucket exists")]
    BucketExists,
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    #[error("the condition does not hold")]
    PreconditionFailed,
    #[error("no such upload")]
    NoSuchUpload,
    #[error("no such part, or not with this ETag")]
    InvalidPart,
    #[error("parts out of order")]
    InvalidPartOrder,
    #[error("a part before the last has less than 5 MiB")]
    PartTooSmall,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchBucket => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
            Refusal::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
            Refusal::BucketExists => {
                s3_error!(BucketAlreadyOwnedByYou, "The bucket exists already, and is yours")
            }
            Refusal::BucketNotEmpty => {
                s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")
            }
            Refusal::PreconditionFailed => {
                s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
            }
            Refusal::NoSuchUpload => s3_error!(NoSuchUpload, "The specified upload does not exist"),
            Refusal::InvalidPart => s3_error!(InvalidPart, "A part is not there, or not with this ETag"),
            Refusal::InvalidPartOrder => s3_error!(InvalidPartOrder, "The parts are not in ascending order"),
            Refusal::PartTooSmall => s3_error!(EntityTooSmall, "A part before the last has less than 5 MiB"),
            Refusal::Io(cause) => {
                tracing::error!(%cause, "the embedded S3 can't use its folder");
                s3_error!(cause, InternalError, "The folder of the data can't be used")
            }
        }
    }
}
