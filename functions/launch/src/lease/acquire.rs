//! Acquires the lease, depending on its content and on the state of the cluster that it names.
//!
//! The lease is acquired before a cluster is started, and names the cluster's id afterwards. A
//! lease without an id leaves open whether its owner has just called EMR. No other invocation may
//! then take the lease until the owner's invocation must be over. This includes a retry of the same
//! request: Lambda may deliver one invocation twice concurrently, and a retry looks exactly like
//! that. Once the owner is over, EMR is searched for a cluster of the lease's name.

use std::time::Duration;

use crate::cluster::{Cluster, Clusters, find_cluster, still_terminating};
use crate::error::{Error, Result};
use crate::launch_request::Launch;
use crate::lease::file::{LeaseFile, MAX_WRITE_ATTEMPTS, StoredLease};
use crate::lease::record::Lease;

/// Acquires the lease for one invocation.
pub(crate) struct Acquirer<'a, E> {
    pub(crate) file: &'a LeaseFile,
    pub(crate) clusters: &'a E,
    /// The results bucket, which identifies the deployment's clusters.
    pub(crate) deployment: &'a str,
    /// The id of the request.
    pub(crate) owner: &'a str,
    /// The timeout of the function.
    pub(crate) timeout: Duration,
}

/// The result of an attempt to acquire the lease.
pub(crate) enum Acquired {
    /// The invocation holds the lease and must now start the cluster.
    Held(StoredLease),
    /// The launch already has a cluster.
    AlreadyLaunched { cluster: String, cluster_id: String },
    /// The launch is queued behind the cluster with this name.
    Queued { behind: String },
}

/// The state of a lease that another launch, or an earlier attempt of the same launch, has written.
enum LeaseState {
    /// The lease may be taken. Its cluster, if there was one, has ended.
    Free(Option<Cluster>),
    /// The same launch already has the cluster with this id.
    Launched(String),
    /// A cluster is running or being started.
    Busy,
    /// The lease changed during the check and must be read again.
    Changed,
}

impl<E: Clusters> Acquirer<'_, E> {
    /// Acquires the lease for a launch, or queues the launch behind the running cluster.
    ///
    /// # Errors
    /// [`Error::Refused`] when the launch must be retried later; errors of S3 and EMR.
    pub(crate) async fn acquire(&self, launch: &Launch, attempt: u32) -> Result<Acquired> {
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let mut mine = Lease::new(launch, attempt, self.owner);
            let Some(stored) = self.file.read().await? else {
                match self.file.write(&mine, None).await? {
                    Some(held) => return Ok(Acquired::Held(held)),
                    None => continue,
                }
            };
            match self.state(&stored, &mine).await? {
                LeaseState::Launched(cluster_id) => {
                    return Ok(Acquired::AlreadyLaunched { cluster: stored.lease.cluster, cluster_id });
                }
                LeaseState::Busy if self.enqueue(&stored, launch, attempt).await? => {
                    return Ok(Acquired::Queued { behind: stored.lease.cluster });
                }
                LeaseState::Free(ended) => {
                    carry_over(&mut mine, &stored.lease, ended.as_ref());
                    if let Some(held) = self.file.write(&mine, Some(&stored.etag)).await? {
                        return Ok(Acquired::Held(held));
                    }
                }
                LeaseState::Busy | LeaseState::Changed => (),
            }
        }
        Err(Error::Refused("other invocations keep changing the lease; the launch will be retried".into()))
    }

    async fn state(&self, stored: &StoredLease, mine: &Lease) -> Result<LeaseState> {
        let lease = &stored.lease;
        let is_same_launch = lease.input == mine.input && mine.attempt <= lease.attempt;
        match &lease.cluster_id {
            Some(id) => self.state_of_cluster(id, stored, is_same_launch).await,
            None if lease.released.is_some() => Ok(LeaseState::Free(None)),
            None if stored.is_fresh(self.timeout) && is_same_launch => Err(Error::Refused(format!(
                "{} is just being launched, since {}; the launch will be retried",
                lease.cluster, lease.taken_at
            ))),
            None if stored.is_fresh(self.timeout) => Ok(LeaseState::Busy),
            None => self.recover(stored).await,
        }
    }

    /// Returns the state of a lease whose cluster was recorded.
    async fn state_of_cluster(
        &self,
        id: &str,
        stored: &StoredLease,
        is_same_launch: bool,
    ) -> Result<LeaseState> {
        let cluster = self.clusters.describe(id).await?;
        let is_cancelled = cluster.as_ref().is_some_and(Cluster::is_cancelled);
        Ok(match cluster {
            // A cluster is cancelled when an attempt fails to confirm that its id was recorded. The
            // same launch then needs a new cluster.
            _ if is_same_launch && !is_cancelled => LeaseState::Launched(id.to_owned()),
            Some(cluster) if is_same_launch && !cluster.has_ended() => {
                return Err(still_terminating(&cluster));
            }
            Some(cluster) if !cluster.has_ended() => LeaseState::Busy,
            // EMR may not describe a cluster in the first moments after its start.
            None if stored.is_fresh(self.timeout) => LeaseState::Busy,
            ended => LeaseState::Free(ended),
        })
    }

    /// Searches for the cluster of an invocation that ended before it recorded one.
    async fn recover(&self, stored: &StoredLease) -> Result<LeaseState> {
        let lease = &stored.lease;
        match find_cluster(self.clusters, self.deployment, &lease.cluster, lease.taken_at).await? {
            None => Ok(LeaseState::Free(None)),
            Some(found) => {
                self.file.write(&lease.with_cluster_id(&found.id), Some(&stored.etag)).await?;
                Ok(LeaseState::Changed)
            }
        }
    }

    /// Queues a launch in the lease. Returns `false` when another invocation changed the lease
    /// first.
    async fn enqueue(&self, stored: &StoredLease, launch: &Launch, attempt: u32) -> Result<bool> {
        let mut lease = stored.lease.clone();
        lease.enqueue(launch, attempt);
        Ok(lease == stored.lease || self.file.write(&lease, Some(&stored.etag)).await?.is_some())
    }
}

/// Copies the queue of the last lease to a new one.
///
/// If the last lease's first cluster failed to bootstrap, its launch is queued for a second
/// attempt. EMR's event, which would request that attempt, may arrive only after this launch.
fn carry_over(mine: &mut Lease, last: &Lease, ended: Option<&Cluster>) {
    mine.waiting.clone_from(&last.waiting);
    if last.attempt == 1
        && last.input != mine.input
        && ended.is_some_and(Cluster::failed_to_bootstrap)
        && let Ok(failed) = last.launch()
    {
        mine.enqueue(&failed, 2);
    }
}
