//! What can go wrong. Whatever fails here fails the invocation: Lambda's own retries come back with the same request id, then the
//! event goes to the on-failure destination.

use lambda_runtime::Diagnostic;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event can't be understood, now or ever.
    #[error("event: {0}")]
    Event(String),

    /// Another launch is under way just now: it passes within minutes.
    #[error("refused: {0}")]
    Refused(String),

    /// There is no cluster, or none that is accounted for.
    #[error("not launched: {0}")]
    Start(String),

    /// EMR did not do what was asked.
    #[error("EMR {verb}: {cause}")]
    Emr {
        /// What was asked.
        verb: &'static str,
        /// What the SDK says.
        cause: String,
    },

    /// Configuration, S3, an object of ours that does not hold what it should.
    #[error(transparent)]
    Library(#[from] fruitvec::error::Error),
}

impl Error {
    /// The kind of the error in a word, as Lambda reports it.
    fn kind(&self) -> &'static str {
        use fruitvec::error::Error as Library;
        match self {
            Self::Event(_) => "Event",
            Self::Refused(_) => "Refused",
            Self::Start(_) => "NotLaunched",
            Self::Emr { .. } => "Emr",
            Self::Library(Library::Config(_)) => "Configuration",
            Self::Library(Library::S3 { .. }) => "S3",
            Self::Library(_) => "Failed",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.kind().to_owned(), error_message: error.to_string() }
    }
}
