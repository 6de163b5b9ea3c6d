//! Objects that are fetched ahead: while one is worked on, on a thread apart, the next are on their way.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::error::{Error, Result};
use crate::memory::{kib, permits};
use crate::store::Store;

/// Objects on their way at once.
const AT_ONCE: usize = 16;
/// Bytes of those that are on their way, or have come and wait for their turn: many small parts, or one large one.
const BYTES: u64 = 8 << 20;

/// Objects of a bucket, one after the other, in the order in which they were asked for.
pub(crate) struct Ahead {
    fetched: UnboundedReceiver<Result<(Bytes, OwnedSemaphorePermit)>>,
    fetching: AbortHandle,
}

impl Ahead {
    /// Begins to fetch objects, each with about so many bytes.
    pub(crate) fn fetch(store: &Store, bucket: &str, objects: Vec<(String, u64)>) -> Self {
        let (store, bucket) = (store.clone(), bucket.to_owned());
        let (send, fetched) = unbounded_channel();
        let fetching = tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(kib(BYTES) as usize));
            let objects = futures::stream::iter(objects)
                // In their order: the one that is worked on next has its room before the others, so nobody waits for ever.
                .then(|(key, bytes)| {
                    let room = Arc::clone(&room);
                    async move { (key, permits(&room, kib(bytes.min(BYTES))).await) }
                })
                .map(|(key, room)| {
                    let (store, bucket) = (store.clone(), bucket.clone());
                    async move { Ok((store.get(&bucket, &key).await?, room?)) }
                })
                .buffered(AT_ONCE);
            let mut objects = std::pin::pin!(objects);
            while let Some(object) = objects.next().await {
                if send.send(object).is_err() {
                    break;
                }
            }
        });
        Self { fetched, fetching: fetching.abort_handle() }
    }

    /// Waits for the next object, on a thread [`apart`](crate::apart::apart).
    ///
    /// # Errors
    /// [`Error::Gone`] when it is not there, which costs the others nothing; [`Error::S3`].
    pub(crate) fn next(&mut self) -> Result<Bytes> {
        match self.fetched.blocking_recv() {
            Some(object) => object.map(|(bytes, _)| bytes),
            None => Err(Error::Internal("there is no further object".into())),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}
