//! The one lease: who may start a cluster, and which one runs.
//!
//! EMR has no client token and its lists show no tags, so S3 keeps the promise of never two at once: the lease is written with
//! put-if-absent, and every later change of it with If-Match. Of many that try, one writes; the others read what it wrote.

use std::time::Duration;

use fruitvec::run::Job;
use fruitvec::store::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::error::Result;
use crate::job::Launch;

/// Where the lease lies in the results bucket.
pub const LEASE_KEY: &str = "leases/cluster.json";

/// The content of the lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The version of this format.
    pub version: u32,
    /// The id of the request that took it. Lambda's own retries of an invocation come with the same one.
    pub owner: String,
    /// What it launches.
    pub job: Job,
    /// When that was scheduled.
    #[serde(with = "time::serde::rfc3339")]
    pub scheduled_time: OffsetDateTime,
    /// The event that asks for it, with all parameters.
    pub input: Map<String, Value>,
    /// 1, or 2 after the first cluster could not be prepared.
    pub attempt: u32,
    /// The name of the cluster that is to be, or is.
    pub cluster: String,
    /// Its id, once there is one.
    pub cluster_id: Option<String>,
    /// When it was taken, by the clock of who took it.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// Why there is no cluster and will be none of this owner's: the lease is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// Launches that came while another cluster ran: the first is launched when that has ended.
    #[serde(default)]
    pub waiting: Vec<Waiting>,
}

/// A launch that waits for a cluster to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The event that asks for it.
    pub input: Map<String, Value>,
    /// As in [`Lease::attempt`].
    pub attempt: u32,
}

/// The lease as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What it says.
    pub lease: Lease,
    /// The version that was read, in quotes: what If-Match takes.
    pub etag: String,
    /// How long ago it was written last.
    pub age: Duration,
}

/// The lease's object.
#[derive(Debug, Clone)]
pub struct LeaseFile {
    store: Store,
    results_bucket: String,
}

impl Lease {
    const VERSION: u32 = 1;

    /// The lease of who wants to launch this, before there is a cluster.
    #[must_use]
    pub fn of(launch: &Launch, attempt: u32, owner: &str) -> Self {
        Self {
            version: Self::VERSION,
            owner: owner.to_owned(),
            job: launch.job,
            scheduled_time: launch.scheduled_time,
            input: launch.event(),
            attempt,
            cluster: launch.cluster(attempt),
            cluster_id: None,
            taken_at: OffsetDateTime::now_utc(),
            released: None,
            waiting: Vec::new(),
        }
    }

    /// The launch that it is for.
    ///
    /// # Errors
    /// [`crate::Error::Event`] when somebody has written something else there.
    pub fn launch(&self) -> Result<Launch> {
        Launch::parse(&self.input)
    }

    /// Whether nothing is known yet of the cluster that it was taken for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.cluster_id.is_none() && self.released.is_none()
    }

    /// Whether it is still held as it was when this was read: others add only to what waits.
    #[must_use]
    pub fn is_held_as(&self, before: &Self) -> bool {
        let waiting = before.waiting.clone();
        Self { waiting, ..self.clone() } == *before
    }

    /// The same with its cluster. The launch waits no longer: until there is a cluster it stays among those that do, so that no failure
    /// loses it.
    #[must_use]
    pub fn recorded(&self, cluster_id: &str) -> Self {
        let mut lease = Self { cluster_id: Some(cluster_id.to_owned()), ..self.clone() };
        if let Ok(launch) = self.launch() {
            lease.drop_waiting(&launch);
        }
        lease
    }

    /// Adds a launch to those that wait. Of launches that want the same done, the latest is enough.
    pub fn await_turn(&mut self, launch: &Launch, attempt: u32) {
        let wanted = (launch.scheduled_time, attempt);
        let covers = |waiting: &Waiting| {
            waiting
                .launch()
                .is_some_and(|other| other.alike(launch) && (other.scheduled_time, waiting.attempt) >= wanted)
        };
        if !self.waiting.iter().any(covers) {
            self.drop_waiting(launch);
            self.waiting.push(Waiting { input: launch.event(), attempt });
        }
    }

    /// Takes those that this launch does as well away from those that wait.
    pub fn drop_waiting(&mut self, launch: &Launch) {
        self.waiting.retain(|waiting| {
            waiting
                .launch()
                .is_some_and(|other| !other.alike(launch) || other.scheduled_time > launch.scheduled_time)
        });
    }
}

impl Waiting {
    /// The launch; none where somebody has written something else there.
    #[must_use]
    pub fn launch(&self) -> Option<Launch> {
        Launch::parse(&self.input).ok()
    }
}

impl LeaseFile {
    /// The lease of this results bucket.
    #[must_use]
    pub fn new(store: Store, results_bucket: &str) -> Self {
        Self { store, results_bucket: results_bucket.to_owned() }
    }

    /// The lease; none where nobody has ever launched.
    ///
    /// Its age is by our clock and S3's, which Amazon keeps together to well under a second, not by that of who wrote it.
    ///
    /// # Errors
    /// Of S3, or of an object that is no lease.
    pub async fn read(&self) -> Result<Option<Held>> {
        use fruitvec::error::Error;
        let opened = match self.store.open(&self.results_bucket, LEASE_KEY).await {
            Err(Error::Gone { .. }) => return Ok(None),
            opened => opened?,
        };
        let etag = format!("\"{}\"", opened.photo.etag);
        let age = OffsetDateTime::now_utc() - opened.photo.last_modified;
        let bytes = opened.read().await?;
        let lease = serde_json::from_slice(&bytes).map_err(|cause| Error::Schema {
            object: format!("s3://{}/{LEASE_KEY}", self.results_bucket),
            reason: format!("it is no lease ({cause}): delete it when no cluster named fruitvec-… runs"),
        })?;
        Ok(Some(Held { lease, etag, age: age.try_into().unwrap_or_default() }))
    }

    /// Writes the lease, if it is still the version that was read, or there is none. Returns it as it is now held; none if another
    /// was quicker.
    ///
    /// It is read again after any answer: a write whose reply was lost comes back as refused although it is ours.
    ///
    /// # Errors
    /// Of S3.
    pub async fn write(&self, lease: &Lease, etag: Option<&str>) -> Result<Option<Held>> {
        let body = serde_json::to_vec_pretty(lease).map_err(fruitvec::error::Error::schema(LEASE_KEY))?;
        let kind = "application/json";
        let put = self.store.put_if_match(&self.results_bucket, LEASE_KEY, kind, body, etag).await;
        match (self.read().await?, put) {
            (Some(held), _) if held.lease == *lease => Ok(Some(held)),
            (_, Ok(_)) => Ok(None),
            // Two writes met, and the other has won.
            (Some(held), Err(_)) if etag != Some(&held.etag) => Ok(None),
            (_, Err(error)) => Err(error.into()),
        }
    }
}
