//! The error type of the workspace, and how callers react to each error.

use std::path::PathBuf;

use crate::rejection::Rejection;

/// A result whose error defaults to [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The boxed error of another library.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Every error that this project returns. [`Error::disposition`] says how to react to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or invalid.
    #[error("configuration: {0}")]
    Config(String),

    /// A model card or its ONNX file is unusable.
    #[error("model {model}: {reason}")]
    Model {
        /// The model's id.
        model: String,
        /// The defect, and how to fix it.
        reason: String,
    },

    /// An object that this project wrote does not match its schema.
    #[error("{object}: {reason}")]
    Schema {
        /// The object's key or the file's path.
        object: String,
        /// The expected and the actual content.
        reason: String,
    },

    /// A message is not an event of a known kind.
    #[error("event: {0}")]
    Event(String),

    /// A line is not a valid task or outcome, or belongs to another run.
    #[error("{0}")]
    Task(String),

    /// A destructive step needs the user's confirmation.
    #[error("{0}")]
    ConfirmationRequired(String),

    /// The input of a command is empty.
    #[error("{0}")]
    NothingToDo(String),

    /// The photo can never be embedded.
    #[error("{0}")]
    Reject(#[from] Rejection),

    /// The object does not exist, or was deleted before it was read.
    #[error("s3://{bucket}/{key} is gone")]
    NotFound {
        /// The object's bucket.
        bucket: String,
        /// The object's key, decoded.
        key: String,
    },

    /// An S3 request failed.
    #[error("{verb} s3://{bucket}/{key}: {cause}")]
    S3 {
        /// The operation: `get`, `put`, `list` …
        verb: &'static str,
        /// The bucket of the request.
        bucket: String,
        /// The object's key or the listing's prefix, decoded.
        key: String,
        /// Whether the same request may succeed later.
        transient: bool,
        /// The SDK's description of the failure.
        cause: Cause,
    },

    /// Too little of the invocation's time is left.
    #[error("out of time: {0}; it will be retried")]
    OutOfTime(String),

    /// A local file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        cause: std::io::Error,
    },

    /// A fatal error that stopped a whole batch.
    #[error("{0}")]
    Fatal(std::sync::Arc<Error>),

    /// A bug in this project.
    #[error("internal: {0}")]
    Internal(String),
}

/// How to react to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Return the message to the queue and continue with the rest of the batch.
    Retry,
    /// Write a reject and acknowledge the message. A retry cannot succeed.
    Reject,
    /// Count the object as gone and acknowledge the message.
    Gone,
    /// Fail the invocation. Nothing will succeed until an operator intervenes.
    Fatal,
}

impl Error {
    /// Returns how to react to this error.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Reject(_) => Disposition::Reject,
            Self::NotFound { .. } => Disposition::Gone,
            // A retried event that never parses ends in the dead-letter queue, where it can be
            // inspected.
            Self::S3 { transient: true, .. } | Self::Event(_) | Self::OutOfTime(_) => Disposition::Retry,
            Self::S3 { transient: false, .. }
            | Self::Config(_)
            | Self::Model { .. }
            | Self::Schema { .. }
            | Self::Task(_)
            | Self::ConfirmationRequired(_)
            | Self::NothingToDo(_)
            | Self::File { .. }
            | Self::Fatal(_)
            | Self::Internal(_) => Disposition::Fatal,
        }
    }

    /// Returns a `map_err` closure that adds the path to an I/O error.
    ///
    /// The path is copied only when an error occurs.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::File { path: path.into(), cause }
    }

    /// Adds the folder of temporary files to an I/O error, for `map_err(Error::temporary)`.
    #[must_use]
    pub fn temporary(cause: std::io::Error) -> Self {
        // Looked up only on failure: reading the environment at each write would cost more than the
        // write.
        Self::File { path: std::env::temp_dir(), cause }
    }

    /// Returns a `map_err` closure that turns a parser's error into a schema error of an object.
    pub fn schema<E: std::fmt::Display>(object: &str) -> impl FnOnce(E) -> Self {
        move |cause| Self::Schema { object: object.to_owned(), reason: cause.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::RejectCode;

    fn s3(transient: bool) -> Error {
        Error::S3 {
            verb: "get",
            bucket: "photos".into(),
            key: "a.jpg".into(),
            transient,
            cause: "500".into(),
        }
    }

    #[test]
    fn only_transient_failures_and_unreadable_messages_return_to_the_queue() {
        for error in [s3(true), Error::OutOfTime("embedding".into()), Error::Event("not JSON".into())] {
            assert_eq!(error.disposition(), Disposition::Retry, "{error}");
        }
        for error in [s3(false), Error::Config("not set".into()), Error::Internal("a bug".into())] {
            assert_eq!(error.disposition(), Disposition::Fatal, "{error}");
        }
    }

    #[test]
    fn a_bad_photo_and_a_missing_one_are_acknowledged() {
        let rejected = Error::from(Rejection::new(RejectCode::Empty, "0 bytes"));
        assert_eq!(rejected.disposition(), Disposition::Reject);
        let missing = Error::NotFound { bucket: "photos".into(), key: "a.jpg".into() };
        assert_eq!(missing.disposition(), Disposition::Gone);
    }

    #[test]
    fn a_shared_error_stays_fatal_even_when_its_cause_is_transient() {
        assert_eq!(Error::Fatal(s3(true).into()).disposition(), Disposition::Fatal);
    }
}
