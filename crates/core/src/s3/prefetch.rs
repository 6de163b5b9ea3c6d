//! Prefetches objects for a sequential reader.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::error::{Error, Result};
use crate::s3::client::Store;
use crate::s3::permits::{acquire, kib};

/// The limit on requests in flight.
const CONCURRENCY: usize = 16;
/// The limit on bytes in flight or waiting for the reader. A single larger object is allowed.
const BYTES: u64 = 8 << 20;

/// Prefetches up to 16 objects and yields them in the requested order.
///
/// Dropping it aborts the requests in flight.
pub struct Prefetcher {
    fetched: UnboundedReceiver<Result<(Bytes, OwnedSemaphorePermit)>>,
    task: AbortHandle,
}

impl Prefetcher {
    /// Starts to fetch objects, given as keys with their approximate sizes in bytes.
    #[must_use]
    pub fn fetch(store: &Store, bucket: &str, objects: Vec<(String, u64)>) -> Self {
        let (store, bucket) = (store.clone(), bucket.to_owned());
        // Unbounded, because the permits already limit the objects in it.
        let (sender, fetched) = unbounded_channel();
        let task = tokio::spawn(async move {
            let budget = Arc::new(Semaphore::new(kib(BYTES) as usize));
            let objects = futures::stream::iter(objects)
                // Memory is acquired in the order of reading. Otherwise later objects could use up
                // the budget while the reader waits for an earlier one: a deadlock.
                .then(|(key, bytes)| {
                    let budget = Arc::clone(&budget);
                    async move { (key, acquire(&budget, kib(bytes.min(BYTES))).await) }
                })
                .map(|(key, permits)| {
                    let (store, bucket) = (store.clone(), bucket.clone());
                    async move { Ok((store.get(&bucket, &key).await?, permits?)) }
                })
                .buffered(CONCURRENCY);
            let mut objects = std::pin::pin!(objects);
            while let Some(object) = objects.next().await {
                if sender.send(object).is_err() {
                    break;
                }
            }
        });
        Self { fetched, task: task.abort_handle() }
    }

    /// Waits for the next object. Call it on a thread of
    /// [`run_blocking`](crate::blocking::run_blocking).
    ///
    /// # Errors
    /// [`Error::NotFound`] when the object does not exist, after which the next one can still be
    /// read; [`Error::S3`].
    #[expect(clippy::should_implement_trait, reason = "running out of objects is an error, not the end")]
    pub fn next(&mut self) -> Result<Bytes> {
        match self.fetched.blocking_recv() {
            // The permits are released here: the budget covers only the objects not yet read.
            Some(object) => object.map(|(bytes, _permits)| bytes),
            None => Err(Error::Internal("all prefetched objects were read already".into())),
        }
    }
}

impl Drop for Prefetcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
