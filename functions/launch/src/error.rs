//! The errors of the function.
//!
//! Every error fails the invocation. Lambda retries it with the same request id, then sends the
//! event to the on-failure destination.

use lambda_runtime::Diagnostic;

/// The result of every fallible function in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every error that fails an invocation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event is invalid, so no retry can succeed.
    #[error("event: {0}")]
    Event(String),

    /// Another launch is in progress. A retry within minutes succeeds.
    #[error("refused: {0}")]
    Refused(String),

    /// No cluster was started, or none that could be recorded.
    #[error("not launched: {0}")]
    NotLaunched(String),

    /// A call to EMR failed.
    #[error("EMR {verb}: {cause}")]
    Emr {
        /// The EMR operation.
        verb: &'static str,
        /// The SDK's description of the failure.
        cause: String,
    },

    /// A setting is wrong, S3 failed, or an object is not what its layout promises.
    #[error(transparent)]
    Core(#[from] fruitvec_core::error::Error),
}

impl Error {
    /// Returns the error type that Lambda reports.
    fn kind(&self) -> &'static str {
        use fruitvec_core::error::Error as Core;
        match self {
            Self::Event(_) => "Event",
            Self::Refused(_) => "Refused",
            Self::NotLaunched(_) => "NotLaunched",
            Self::Emr { .. } => "Emr",
            Self::Core(Core::Config(_)) => "Configuration",
            Self::Core(Core::S3 { .. }) => "S3",
            Self::Core(_) => "Failed",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.kind().to_owned(), error_message: error.to_string() }
    }
}
