//! CPU-bound work on blocking threads, which leaves the async threads free for I/O.

use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::error::{Error, Result};

/// Runs CPU-bound work on a blocking thread.
///
/// Pass a long sequence of steps as one closure. The allocator keeps an arena per thread, so memory
/// that one thread frees is not reused by the others.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    flatten_join(tokio::task::spawn_blocking(work).await)
}

/// Returns the result of a joined task, and resumes the task's panic on this thread.
pub fn flatten_join<T>(joined: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    match joined {
        Ok(result) => result,
        // Callers handle the panic as if the work had run on their thread.
        Err(failure) if failure.is_panic() => std::panic::resume_unwind(failure.into_panic()),
        Err(failure) => Err(Error::Internal(format!("a task was aborted: {failure}"))),
    }
}

/// Waits for a future on a thread of [`run_blocking`].
///
/// # Panics
/// On a thread that drives async tasks.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    Handle::current().block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blocking_work_can_wait_for_a_future() {
        assert_eq!(run_blocking(|| Ok(block_on(async { 7 }))).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_of_a_task_reaches_its_caller() {
        let caller = tokio::spawn(run_blocking(|| -> Result<()> { panic!("a bug") }));
        assert!(caller.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn an_aborted_task_is_an_internal_error() {
        let task = tokio::spawn(std::future::pending::<Result<()>>());
        task.abort();
        assert!(matches!(flatten_join(task.await), Err(Error::Internal(_))));
    }
}
