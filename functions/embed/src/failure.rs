//! What fails an invocation as a whole.

use std::fmt;
use std::sync::Arc;

use fruitvec::error::Error;
use lambda_runtime::Diagnostic;

/// Why the invocation failed. Nothing of it is acknowledged: a queue delivers it again, Lambda invokes it again.
#[derive(Clone)]
pub enum Failure {
    /// The event is none that we know.
    Event(Arc<Error>),
    /// Nothing will work until a person acts; the error says what is wrong.
    Fatal(Arc<Error>),
    /// An event that came directly, of which so many deliveries must be tried again; the error is that of the first.
    Retry(usize, Arc<Error>),
}

impl Failure {
    /// The kind in a word, as Lambda tells it to whoever invoked.
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
            Self::Retry(count, error) => write!(f, "{count} to be tried again: {error}"),
        }
    }
}

/// For people, too: it is what the runtime logs.
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
