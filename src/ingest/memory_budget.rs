//! The memory budget that all photos of a process share.
//!
//! The budget has two parts, one for the bodies of objects and one for decoded pixels. A photo
//! takes from the first, then from the second, and returns both after it is resized. A photo that
//! has memory for its pixels never waits for more, so photos cannot deadlock.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::contract::limits::Limits;
use crate::error::Result;
use crate::s3::permits::{acquire, kib};

/// The budget, counted in KiB. Clones share it.
#[derive(Clone)]
pub(crate) struct MemoryBudget {
    bodies: Arc<Semaphore>,
    pixels: Arc<Semaphore>,
}

impl MemoryBudget {
    /// Creates a budget for exactly one photo of the largest size within the limits, or for several
    /// smaller ones in parallel.
    ///
    /// With less, the largest photo would wait forever.
    pub(crate) fn new(limits: &Limits, side: u32) -> Self {
        let semaphore = |bytes| Arc::new(Semaphore::new(kib(bytes) as usize));
        Self { bodies: semaphore(limits.bytes), pixels: semaphore(limits.memory(side)) }
    }

    /// Waits for memory for the body of an object.
    pub(crate) async fn acquire_body(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        acquire(&self.bodies, kib(bytes)).await
    }

    /// Waits for memory for decoded pixels.
    pub(crate) async fn acquire_pixels(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        acquire(&self.pixels, kib(bytes)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Duration;

    const SIDE: u32 = 224;
    const LIMITS: Limits =
        Limits { bytes: 10 << 10, pixels: 1000, decoded_bytes: 20 << 10, time: Duration::MAX };

    /// Acquires memory for a body; `None` if it would have to wait.
    fn body(budget: &MemoryBudget, bytes: u64) -> Option<OwnedSemaphorePermit> {
        budget.acquire_body(bytes).now_or_never().map(Result::unwrap)
    }

    fn pixels(budget: &MemoryBudget, bytes: u64) -> Option<OwnedSemaphorePermit> {
        budget.acquire_pixels(bytes).now_or_never().map(Result::unwrap)
    }

    #[test]
    fn the_largest_photo_fits_exactly() {
        let budget = MemoryBudget::new(&LIMITS, SIDE);
        let permits = (body(&budget, LIMITS.bytes), pixels(&budget, LIMITS.memory(SIDE)));
        assert!(permits.0.is_some() && permits.1.is_some());
        assert!(body(&budget, 1).is_none() && pixels(&budget, 1).is_none());
    }

    #[test]
    fn small_photos_share_the_budget() {
        let budget = MemoryBudget::new(&LIMITS, SIDE);
        let permits = [4 << 10, 5 << 10].map(|bytes| body(&budget, bytes));
        assert!(permits.iter().all(Option::is_some));
        assert!(body(&budget, 2 << 10).is_none(), "1 KiB is left");
        assert!(body(&budget, 1 << 10).is_some());
    }

    #[test]
    fn memory_is_available_again_after_the_permit_is_dropped() {
        let budget = MemoryBudget::new(&LIMITS, SIDE);
        drop(body(&budget, LIMITS.bytes));
        assert!(body(&budget, LIMITS.bytes).is_some());
    }

    #[test]
    fn bodies_do_not_take_memory_from_pixels() {
        let budget = MemoryBudget::new(&LIMITS, SIDE);
        let _bodies = body(&budget, LIMITS.bytes);
        assert!(pixels(&budget, LIMITS.memory(SIDE)).is_some());
    }

    #[test]
    fn clones_share_the_budget() {
        let budget = MemoryBudget::new(&LIMITS, SIDE);
        let _all = body(&budget.clone(), LIMITS.bytes);
        assert!(body(&budget, 1).is_none());
    }

    #[test]
    fn sizes_are_rounded_up_to_kib() {
        let budget = MemoryBudget::new(&LIMITS, SIDE);
        let _bodies: Vec<_> = (0..10).map(|_| body(&budget, 1).unwrap()).collect();
        assert!(body(&budget, 1).is_none());
    }
}
