//! Compare-and-swap on one object, for state that several writers share.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::s3::client::{JSON, Store};

/// Attempts before contention is reported as a transient error.
const MAX_ATTEMPTS: u32 = 10;

/// The decision about an object, given its current content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// Leave the object as it is.
    Keep,
    /// Replace or create the object with this JSON.
    Write(Vec<u8>),
    /// Delete the object.
    Delete,
}

/// Reads an object, calls `decide`, and applies the decision if the object has not changed since.
/// Returns the value that `decide` returned with it.
///
/// `decide` receives the content, or `None` if the object does not exist. It is called again with
/// the new content after each lost race. The wait before attempt n + 1 is n × `backoff`.
///
/// # Errors
/// The error of `decide`, or [`Error::S3`], which is transient when other writers won every race.
pub async fn compare_and_swap<T>(
    store: &Store,
    bucket: &str,
    key: &str,
    backoff: Duration,
    mut decide: impl AsyncFnMut(Option<&[u8]>) -> Result<(Swap, T)>,
) -> Result<T> {
    for attempt in 0..MAX_ATTEMPTS {
        let delay = backoff * attempt;
        // Even an empty sleep would wait for the timer's next tick.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let (content, etag) = store.get_versioned(bucket, key).await?.unzip();
        let (swap, value) = decide(content.as_deref()).await?;
        let swapped = match (swap, &etag) {
            (Swap::Keep, _) | (Swap::Delete, None) => true,
            (Swap::Write(body), etag) => store.put_if_match(bucket, key, JSON, body, etag.as_deref()).await?,
            (Swap::Delete, Some(etag)) => store.delete_if_match(bucket, key, etag).await?,
        };
        if swapped {
            return Ok(value);
        }
    }
    Err(Error::S3 {
        verb: "put if match",
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        transient: true,
        cause: "other writers changed the object at every attempt".into(),
    })
}
