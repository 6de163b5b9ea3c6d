//! Failures of a whole invocation.

use std::fmt;
use std::sync::Arc;

use fruitvec::error::Error;
use lambda_runtime::Diagnostic;

/// The reason why a whole invocation failed.
///
/// Nothing is acknowledged. SQS redelivers a batch, and Lambda retries a direct invocation.
#[derive(Clone)]
pub enum Failure {
    /// The event is not supported.
    Event(Arc<Error>),
    /// No retry can succeed until someone fixes the cause.
    Fatal(Arc<Error>),
    /// A direct event has this many deliveries to retry. The error is that of the first.
    Retry(usize, Arc<Error>),
}

impl Failure {
    /// Returns the error type that Lambda reports.
    fn kind(&self) -> &'static str {
        match self {
            Self::Event(_) => "Event",
            Self::Fatal(_) => "Fatal",
            Self::Retry(..) => "Retry",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(error) | Self::Fatal(error) => error.fmt(f),
            Self::Retry(count, error) => write!(f, "{count} to be retried: {error}"),
        }
    }
}

// The Lambda runtime logs the debug form, so it has to be readable.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.kind())
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind().to_owned(), error_message: failure.to_string() }
    }
}
