//! Reads and writes the lease with compare-and-swap.
//!
//! EMR has no client token, and its listings show no tags, so EMR alone can't guarantee that at
//! most one cluster runs. S3 guarantees it: the lease is created with put-if-absent, and every
//! later change uses If-Match. When several invocations write concurrently, one succeeds and the
//! others read what it wrote.

use std::time::Duration;

use fruitvec_core::error::Error as CoreError;
use fruitvec_core::s3::client::{JSON, Store};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::launch_request::Launch;
use crate::lease::record::Lease;

/// The key of the lease in the results bucket.
pub const LEASE_KEY: &str = "leases/cluster.json";

/// How often a change is attempted when other invocations write the lease concurrently.
pub(crate) const MAX_WRITE_ATTEMPTS: u32 = 5;

/// How long an invocation can outlast its timeout. A call to EMR may be in flight when Lambda kills
/// it.
const MAX_OVERRUN: Duration = Duration::from_secs(10);

/// The lease as S3 stores it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredLease {
    /// The content.
    pub lease: Lease,
    /// The quoted `ETag`, for If-Match.
    pub etag: String,
    /// The time since the last write.
    ///
    /// Measured between this machine's clock and S3's, not with the clock of the writer. Amazon
    /// keeps its clocks well within a second of each other.
    pub age: Duration,
}

/// The object that stores the lease.
#[derive(Debug, Clone)]
pub struct LeaseFile {
    store: Store,
    results_bucket: String,
}

impl StoredLease {
    /// Returns whether the invocation that last wrote the lease may still be running.
    pub(crate) fn is_fresh(&self, timeout: Duration) -> bool {
        self.age < timeout + MAX_OVERRUN
    }
}

impl LeaseFile {
    /// Creates a handle to the lease of a results bucket.
    #[must_use]
    pub fn new(store: Store, results_bucket: &str) -> Self {
        Self { store, results_bucket: results_bucket.to_owned() }
    }

    /// Reads the lease. Returns `None` before the first launch.
    ///
    /// # Errors
    /// [`Error::Core`] when S3 fails or the object is not a lease.
    pub async fn read(&self) -> Result<Option<StoredLease>> {
        let object = match self.store.open(&self.results_bucket, LEASE_KEY).await {
            Err(CoreError::NotFound { .. }) => return Ok(None),
            object => object?,
        };
        let etag = format!("\"{}\"", object.photo.etag);
        let age = OffsetDateTime::now_utc() - object.photo.last_modified;
        let bytes = object.read().await?;
        let lease = serde_json::from_slice(&bytes).map_err(|cause| CoreError::Schema {
            object: format!("s3://{}/{LEASE_KEY}", self.results_bucket),
            reason: format!(
                "not a valid lease ({cause}): delete it once no cluster named fruitvec-… is running"
            ),
        })?;
        // The age is negative when S3's clock is ahead. Such a lease was written just now.
        Ok(Some(StoredLease { lease, etag, age: age.try_into().unwrap_or_default() }))
    }

    /// Writes the lease if its stored version has this `ETag`, or with `None`, if none is stored.
    ///
    /// Returns the lease as stored, or `None` when another invocation was faster.
    ///
    /// # Errors
    /// [`Error::Core`] when S3 fails.
    pub async fn write(&self, lease: &Lease, etag: Option<&str>) -> Result<Option<StoredLease>> {
        let body = serde_json::to_vec_pretty(lease).map_err(CoreError::schema(LEASE_KEY))?;
        let put = self.store.put_if_match(&self.results_bucket, LEASE_KEY, JSON, body, etag).await;
        // Read the lease back, whatever the response. When the response to a successful write is
        // lost, the SDK retries it, and S3 then refuses the retry.
        match (self.read().await?, put) {
            (Some(stored), _) if stored.lease == *lease => Ok(Some(stored)),
            (_, Ok(_)) => Ok(None),
            // Two writes collided, and the other one won.
            (Some(stored), Err(_)) if etag != Some(&stored.etag) => Ok(None),
            (_, Err(error)) => Err(error.into()),
        }
    }

    /// Changes a lease that the caller holds, while other invocations may be queuing launches in
    /// it.
    ///
    /// # Errors
    /// [`Error::Refused`] when the caller no longer holds it; [`Error::Core`] when S3 fails.
    pub(crate) async fn update(&self, held: &StoredLease, change: impl Fn(&Lease) -> Lease) -> Result<()> {
        let mut current = held.clone();
        for _ in 0..MAX_WRITE_ATTEMPTS {
            if self.write(&change(&current.lease), Some(&current.etag)).await?.is_some() {
                return Ok(());
            }
            current = match self.read().await? {
                Some(stored) if stored.lease.equals_except_queue(&held.lease) => stored,
                _ => return Err(Error::Refused("another has taken the lease".into())),
            };
        }
        Err(Error::Refused("the lease kept changing while it was being updated".into()))
    }

    /// Removes a launch that has nothing to do from the queue.
    ///
    /// # Errors
    /// [`Error::Core`] when S3 fails.
    pub(crate) async fn dequeue(&self, launch: &Launch) -> Result<()> {
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let Some(stored) = self.read().await? else { return Ok(()) };
            let mut lease = stored.lease.clone();
            lease.dequeue(launch);
            if lease == stored.lease || self.write(&lease, Some(&stored.etag)).await?.is_some() {
                return Ok(());
            }
        }
        // Not an error: the launch stays queued, and the next sweep finds again that it has no
        // work.
        Ok(())
    }
}
