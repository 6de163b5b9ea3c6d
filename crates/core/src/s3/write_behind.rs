//! Objects that are put behind: while the next is worked on, on a thread apart, those before are on their way.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::apart::{joined, wait};
use crate::error::Result;
use crate::memory::{kib, permits};
use crate::store::Store;

/// Objects on their way at once.
const AT_ONCE: u64 = 16;
/// Bytes of those that are on their way: many small objects, or one large one.
const BYTES: u64 = 16 << 20;

/// Objects of a bucket, put in any order. Dropped before its [`end`](Behind::end), it breaks off what is on its way.
pub(crate) struct Behind {
    store: Store,
    bucket: String,
    room: Arc<Semaphore>,
    puts: JoinSet<Result<()>>,
}

impl Behind {
    pub(crate) fn new(store: &Store, bucket: &str) -> Self {
        let (store, bucket) = (store.clone(), bucket.to_owned());
        Self { store, bucket, room: Arc::new(Semaphore::new(kib(BYTES) as usize)), puts: JoinSet::new() }
    }

    /// Begins to put an object, as soon as there is room; on a thread [`apart`](crate::apart::apart).
    ///
    /// # Errors
    /// [`Error::S3`](crate::error::Error::S3), of one that was begun before.
    pub(crate) fn put(&mut self, key: String, kind: &'static str, body: Vec<u8>) -> Result<()> {
        while let Some(put) = self.puts.try_join_next() {
            joined(put)?;
        }
        let bytes = (body.len() as u64).clamp(BYTES / AT_ONCE, BYTES);
        let room = wait(permits(&self.room, kib(bytes)))?;
        let (store, bucket) = (self.store.clone(), self.bucket.clone());
        self.puts.spawn(async move {
            let put = store.put(&bucket, &key, kind, body).await;
            drop(room);
            put.map(drop)
        });
        Ok(())
    }

    /// Waits until all are there; on a thread [`apart`](crate::apart::apart).
    ///
    /// # Errors
    /// [`Error::S3`](crate::error::Error::S3).
    pub(crate) fn end(mut self) -> Result<()> {
        while let Some(put) = wait(self.puts.join_next()) {
            joined(put)?;
        }
        Ok(())
    }
}
