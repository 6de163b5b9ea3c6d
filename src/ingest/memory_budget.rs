//! One byte budget for all photos that are under way.
//!
//! It has two parts, one for bodies, one for decoded pixels: a photo takes from the first, then from the second, and gives both back
//! when it is done. Nobody who holds pixels waits for anything, so nobody waits for ever.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};
use crate::pixels::Limits;

/// The budget, counted in KiB. Its clones share it.
#[derive(Clone)]
pub(crate) struct Memory {
    bodies: Arc<Semaphore>,
    pixels: Arc<Semaphore>,
}

impl Memory {
    /// Just what the largest photo takes that the limits let in: small ones go side by side, of the largest one at a time.
    pub(crate) fn new(limits: &Limits, side: u32) -> Self {
        let room = |bytes| Arc::new(Semaphore::new(kib(bytes) as usize));
        Self { bodies: room(limits.bytes), pixels: room(limits.memory(side)) }
    }

    /// Waits until there is room for the body of an object of so many bytes.
    pub(crate) async fn body(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        permits(&self.bodies, kib(bytes)).await
    }

    /// Waits until there is room for so many bytes of pixels.
    pub(crate) async fn pixels(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        permits(&self.pixels, kib(bytes)).await
    }
}

/// Bytes as the budget counts them.
pub(crate) fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// Waits for so many permits. They are owned, so that they can go where the memory goes.
pub(crate) async fn permits(semaphore: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit> {
    let permits = Arc::clone(semaphore).acquire_many_owned(count);
    permits.await.map_err(|closed| Error::Internal(closed.to_string()))
}
