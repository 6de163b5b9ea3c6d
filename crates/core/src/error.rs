//! What can go wrong, and what is to be done about it.

use std::path::PathBuf;

use crate::reject::Rejection;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any other library's error, kept as the cause.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Everything that can go wrong. What to do about it is [`Error::disposition`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or makes no sense.
    #[error("configuration: {0}")]
    Config(String),

    /// A model card or its ONNX file can't be used.
    #[error("model {model}: {reason}")]
    Model {
        /// The model's id.
        model: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// An object of ours does not hold what its layout promises.
    #[error("{object}: {reason}")]
    Schema {
        /// The object's key or the file's path.
        object: String,
        /// What was expected and what was found.
        reason: String,
    },

    /// A message that is no event that we know.
    #[error("event: {0}")]
    Event(String),

    /// A line that is no task or no outcome, or one that does not belong to the run.
    #[error("{0}")]
    Task(String),

    /// Something that a person must agree to first.
    #[error("{0}")]
    Unconfirmed(String),

    /// There is nothing to work on.
    #[error("{0}")]
    Nothing(String),

    /// The photo can't be embedded, now or ever.
    #[error("{0}")]
    Reject(#[from] Rejection),

    /// The object was deleted before we came.
    #[error("s3://{bucket}/{key} is gone")]
    Gone {
        /// The object's bucket.
        bucket: String,
        /// The object's key, decoded.
        key: String,
    },

    /// S3 did not do what was asked.
    #[error("{verb} s3://{bucket}/{key}: {cause}")]
    S3 {
        /// What was asked: `get`, `put`, `list` …
        verb: &'static str,
        /// The object's bucket.
        bucket: String,
        /// The object's key or the prefix, decoded.
        key: String,
        /// Whether the same call may succeed later.
        passing: bool,
        /// What the SDK says.
        cause: Cause,
    },

    /// The invocation ends before this can be done.
    #[error("out of time: {0}; it is tried again")]
    OutOfTime(String),

    /// A local file can't be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },

    /// An error that ended a whole batch, and with it everything.
    #[error("{0}")]
    Fatal(std::sync::Arc<Error>),

    /// A bug of ours: it is reported, never hidden.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<fruitvec_pca::Error> for Error {
    fn from(error: fruitvec_pca::Error) -> Self {
        use fruitvec_pca::Error as Pca;
        match error {
            Pca::NoRows => Self::Nothing(error.to_string()),
            Pca::Components { .. } => Self::Config(error.to_string()),
            Pca::Damaged { object, reason } => Self::Schema { object, reason },
            Pca::Arguments(reason) => Self::Internal(reason),
        }
    }
}

/// What is to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It may work later: hand the message back to the queue, go on with the rest of the batch.
    Retry,
    /// It will never work: write a reject, acknowledge the message.
    Reject,
    /// There is nothing left to work on: acknowledge, count.
    Gone,
    /// Nothing will work until a person acts: fail the invocation loudly.
    Fatal,
}

impl Error {
    /// What is to be done about this error.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Reject(_) => Disposition::Reject,
            Self::Gone { .. } => Disposition::Gone,
            Self::S3 { passing: true, .. } | Self::Event(_) | Self::OutOfTime(_) => Disposition::Retry,
            Self::S3 { passing: false, .. }
            | Self::Config(_)
            | Self::Model { .. }
            | Self::Schema { .. }
            | Self::Task(_)
            | Self::Unconfirmed(_)
            | Self::Nothing(_)
            | Self::File { .. }
            | Self::Fatal(_)
            | Self::Internal(_) => Disposition::Fatal,
        }
    }

    /// `map_err(Error::file(path))`: an I/O error with the path it happened at, which is copied if there is one.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::File { path: path.into(), cause }
    }

    /// `map_err(Error::temporary)`: an I/O error of a temporary file, with the folder that has them. That is looked up here, when it is
    /// needed: to ask the environment at each write would take longer than the writes.
    pub(crate) fn temporary(cause: std::io::Error) -> Self {
        Self::File { path: std::env::temp_dir(), cause }
    }

    /// `map_err(Error::schema(object))`: any other library's complaint about an object of ours.
    pub fn schema<E: std::fmt::Display>(object: &str) -> impl FnOnce(E) -> Self {
        move |cause| Self::Schema { object: object.to_owned(), reason: cause.to_string() }
    }
}
