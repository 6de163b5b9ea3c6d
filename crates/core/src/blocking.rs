//! Work on threads apart: arithmetic that takes long, beside which the others go on fetching and answering.

use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::error::{Error, Result};

/// Work on a thread of its own, so that others go on fetching meanwhile. One thread for all of it: what each of many threads has
/// freed is no room for the others.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    joined(tokio::task::spawn_blocking(work).await)
}

/// What was done elsewhere came to. A panic goes on here.
pub(crate) fn joined<T>(done: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    match done {
        Ok(done) => done,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(ended) => Err(Error::Internal(format!("it was broken off: {ended}"))),
    }
}

/// Waits, on such a thread.
pub(crate) fn wait<T>(what: impl Future<Output = T>) -> T {
    Handle::current().block_on(what)
}
