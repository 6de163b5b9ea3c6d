//! The content of the lease.

use fruitvec_core::contract::run::Job;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::error::Result;
use crate::launch_request::Launch;

/// The content of the lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The version of this format.
    pub version: u32,
    /// The id of the request that acquired the lease. Lambda's retries reuse the request id.
    pub owner: String,
    /// The job of the launch.
    pub job: Job,
    /// The time for which the launch was scheduled.
    #[serde(with = "time::serde::rfc3339")]
    pub scheduled_time: OffsetDateTime,
    /// The event that requested the launch, with all parameters.
    pub input: Map<String, Value>,
    /// 1, or 2 after the first cluster failed to bootstrap.
    pub attempt: u32,
    /// The cluster's name, known before the cluster exists.
    pub cluster: String,
    /// The cluster's id, or `None` until the cluster has been started and recorded.
    pub cluster_id: Option<String>,
    /// When the lease was acquired, by the owner's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// Why the owner will not start a cluster. When present, the lease is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// Launches queued while a cluster was running. The first starts once it terminates.
    #[serde(default)]
    pub waiting: Vec<QueuedLaunch>,
}

/// A launch that is queued until the running cluster terminates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueuedLaunch {
    /// The event that requested the launch.
    pub input: Map<String, Value>,
    /// As in [`Lease::attempt`].
    pub attempt: u32,
}

impl Lease {
    const VERSION: u32 = 1;

    /// Creates the lease of a launch whose cluster does not exist yet.
    #[must_use]
    pub fn new(launch: &Launch, attempt: u32, owner: &str) -> Self {
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

    /// Returns the launch that acquired the lease.
    ///
    /// # Errors
    /// [`crate::Error::Event`] when the lease was edited and no longer describes a launch.
    pub fn launch(&self) -> Result<Launch> {
        Launch::parse(&self.input)
    }

    /// Returns whether it is still unknown if the launch has started a cluster.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.cluster_id.is_none() && self.released.is_none()
    }

    /// Returns whether the two differ only in their queues, which any invocation may change.
    #[must_use]
    pub fn equals_except_queue(&self, other: &Self) -> bool {
        let waiting = other.waiting.clone();
        Self { waiting, ..self.clone() } == *other
    }

    /// Returns this lease with the id of its cluster.
    ///
    /// This also removes the launch from the queue. Until its cluster exists, the launch stays
    /// queued, so that no failure loses it.
    #[must_use]
    pub fn with_cluster_id(&self, cluster_id: &str) -> Self {
        let mut lease = Self { cluster_id: Some(cluster_id.to_owned()), ..self.clone() };
        if let Ok(launch) = self.launch() {
            lease.dequeue(&launch);
        }
        lease
    }

    /// Queues a launch. Only the latest of several launches that do the same work is kept.
    pub fn enqueue(&mut self, launch: &Launch, attempt: u32) {
        let added = (launch.scheduled_time, attempt);
        let supersedes = |queued: &QueuedLaunch| {
            queued.launch().is_some_and(|other| {
                other.does_same_work(launch) && (other.scheduled_time, queued.attempt) >= added
            })
        };
        if !self.waiting.iter().any(supersedes) {
            self.dequeue(launch);
            self.waiting.push(QueuedLaunch { input: launch.event(), attempt });
        }
    }

    /// Removes the queued launches whose work this launch does, up to its scheduled time.
    pub fn dequeue(&mut self, launch: &Launch) {
        self.waiting.retain(|queued| {
            queued.launch().is_some_and(|other| {
                !other.does_same_work(launch) || other.scheduled_time > launch.scheduled_time
            })
        });
    }
}

impl QueuedLaunch {
    /// Returns the launch, or `None` when the lease was edited and this entry is invalid.
    #[must_use]
    pub fn launch(&self) -> Option<Launch> {
        Launch::parse(&self.input).ok()
    }
}
