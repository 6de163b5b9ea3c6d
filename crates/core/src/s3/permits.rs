//! Memory budgets as semaphores with one permit per KiB.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Converts bytes to permits, rounding up.
#[must_use]
pub fn kib(bytes: u64) -> u32 {
    // Not one permit per byte, because a `u32` of bytes would limit a request to 4 GiB.
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// Waits for `count` permits.
///
/// The permits are owned, so they can move between threads together with the memory that they stand
/// for.
pub async fn acquire(semaphore: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit> {
    let permits = Arc::clone(semaphore).acquire_many_owned(count);
    // No semaphore is ever closed, so this would be a bug.
    permits.await.map_err(|closed| Error::Internal(closed.to_string()))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn bytes_are_rounded_up_to_kib() {
        assert_eq!([0, 1, 1024, 1025].map(kib), [0, 1, 1, 2]);
        assert_eq!(kib(u64::MAX), u32::MAX);
    }

    #[tokio::test]
    async fn a_large_request_waits_for_memory_and_is_not_overtaken() {
        let budget = Arc::new(Semaphore::new(8));
        let held = acquire(&budget, 6).await.unwrap();
        let mut large = Box::pin(acquire(&budget, 8));
        assert!(large.as_mut().now_or_never().is_none());
        let mut small = Box::pin(acquire(&budget, 1));
        assert!(small.as_mut().now_or_never().is_none(), "two permits are free, but the large one is first");
        drop(held);
        drop(large.await.unwrap());
        drop(small.await.unwrap());
        assert_eq!(budget.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_closed_budget_is_an_internal_error() {
        let budget = Arc::new(Semaphore::new(1));
        budget.close();
        assert!(matches!(acquire(&budget, 1).await, Err(Error::Internal(_))));
    }
}
