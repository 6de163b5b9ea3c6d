//! Writes objects in the background while the caller prepares the next.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::blocking::{block_on, flatten_join};
use crate::error::Result;
use crate::s3::client::Store;
use crate::s3::permits::{acquire, kib};

/// The limit on puts in flight.
const CONCURRENCY: u64 = 16;
/// The limit on bytes in flight. A single larger object is allowed.
const BYTES: u64 = 16 << 20;

/// Puts objects into a bucket, several in flight and in any order.
///
/// Dropping it before [`finish`](WriteBehind::finish) aborts the puts in flight.
pub struct WriteBehind {
    store: Store,
    bucket: String,
    budget: Arc<Semaphore>,
    puts: JoinSet<Result<()>>,
}

impl WriteBehind {
    /// Returns a writer with nothing in flight.
    #[must_use]
    pub fn new(store: &Store, bucket: &str) -> Self {
        Self {
            store: store.clone(),
            bucket: bucket.to_owned(),
            budget: Arc::new(Semaphore::new(kib(BYTES) as usize)),
            puts: JoinSet::new(),
        }
    }

    /// Waits until the limits allow another put, and starts it. Call it on a thread of
    /// [`run_blocking`](crate::blocking::run_blocking).
    ///
    /// # Errors
    /// [`Error::S3`](crate::error::Error::S3) of an earlier put.
    pub fn put(&mut self, key: String, kind: &'static str, body: Vec<u8>) -> Result<()> {
        // Reports a failed put early. Otherwise the caller would prepare all other objects in vain.
        while let Some(put) = self.puts.try_join_next() {
            flatten_join(put)?;
        }
        // Each put takes at least a sixteenth of the budget, so the budget limits their number,
        // too.
        let bytes = (body.len() as u64).clamp(BYTES / CONCURRENCY, BYTES);
        let permits = block_on(acquire(&self.budget, kib(bytes)))?;
        let (store, bucket) = (self.store.clone(), self.bucket.clone());
        self.puts.spawn(async move {
            let put = store.put(&bucket, &key, kind, body).await;
            // The memory is free now. The result may be joined much later.
            drop(permits);
            put.map(drop)
        });
        Ok(())
    }

    /// Waits until all objects are written. Call it on a thread of
    /// [`run_blocking`](crate::blocking::run_blocking).
    ///
    /// # Errors
    /// [`Error::S3`](crate::error::Error::S3) of a put that failed.
    pub fn finish(mut self) -> Result<()> {
        while let Some(put) = block_on(self.puts.join_next()) {
            flatten_join(put)?;
        }
        Ok(())
    }
}
