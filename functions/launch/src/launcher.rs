//! Launches a job: checks for work, acquires the lease, starts the cluster, and records it.

use std::time::Duration;

use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use fruitvec_core::s3::client::Store;
use serde::Serialize;

use crate::change_detection::{ChangeScan, ScanResult};
use crate::cluster::{Clusters, StartError, find_cluster};
use crate::cluster_request::cluster_request;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::launch_request::Launch;
use crate::lease::{Acquired, Acquirer, Lease, LeaseFile, StoredLease};

/// The delays before each search for a cluster whose start got no response. EMR's listings lag.
const SEARCH_BACKOFF: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The outcome of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum LaunchOutcome {
    /// A new cluster was started.
    Launched {
        /// The cluster's name.
        cluster: String,
        /// The cluster's id.
        cluster_id: String,
    },
    /// Another delivery or an earlier attempt has already started the cluster.
    AlreadyLaunched {
        /// The cluster's name.
        cluster: String,
        /// The cluster's id.
        cluster_id: String,
    },
    /// The launch is queued until the current cluster terminates.
    Waiting {
        /// The name of the current cluster.
        behind: String,
    },
    /// No cluster is needed.
    NothingToDo {
        /// The reason, for people.
        because: String,
    },
}

/// Launches jobs for one invocation.
#[derive(Debug)]
pub struct Launcher<'a, E> {
    /// The settings.
    pub config: &'a Config,
    /// The client of S3.
    pub store: &'a Store,
    /// The client of EMR.
    pub clusters: &'a E,
    /// The lease.
    pub lease: &'a LeaseFile,
    /// The id of the request, which becomes the owner of the lease.
    pub owner: &'a str,
    /// The timeout of the function.
    pub timeout: Duration,
}

impl<E: Clusters> Launcher<'_, E> {
    /// Launches a job, unless it has nothing to do or is already launched.
    ///
    /// While another cluster is running, the launch is queued.
    ///
    /// # Errors
    /// [`Error::Refused`] while another delivery is launching the same job; [`Error::NotLaunched`]
    /// when no cluster was started, or when it could not be recorded and was terminated; errors of
    /// S3 and EMR.
    pub async fn launch(&self, launch: &Launch, attempt: u32) -> Result<LaunchOutcome> {
        // A second attempt skips the scan, because the first one already found work.
        if attempt == 1
            && let ScanResult::NoWork(because) = ChangeScan::new(self.store, self.config).run(launch).await?
        {
            self.lease.dequeue(launch).await?;
            return Ok(LaunchOutcome::NothingToDo { because });
        }
        self.ensure_cluster(launch, attempt).await
    }

    /// Launches the first queued job that has work, once the running cluster has ended.
    ///
    /// A launch that was interrupted comes first: its invocation was killed or got no response from
    /// EMR, and Lambda's retries did not complete it.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn resume(&self) -> Result<Option<LaunchOutcome>> {
        let Some(stored) = self.lease.read().await? else { return Ok(None) };
        if stored.lease.is_pending() && !stored.is_fresh(self.timeout) {
            return self.ensure_cluster(&stored.lease.launch()?, stored.lease.attempt).await.map(Some);
        }
        for queued in &stored.lease.waiting {
            let Some(launch) = queued.launch() else { continue };
            match self.launch(&launch, queued.attempt).await? {
                LaunchOutcome::NothingToDo { .. } => (),
                outcome => return Ok(Some(outcome)),
            }
        }
        Ok(None)
    }

    /// Ensures that a launch gets exactly one cluster, now or later.
    async fn ensure_cluster(&self, launch: &Launch, attempt: u32) -> Result<LaunchOutcome> {
        let request = cluster_request(self.config, launch, attempt);
        let acquirer = Acquirer {
            file: self.lease,
            clusters: self.clusters,
            deployment: &self.config.results_bucket,
            owner: self.owner,
            timeout: self.timeout,
        };
        match acquirer.acquire(launch, attempt).await? {
            Acquired::Held(held) => self.start(launch, request, held).await,
            Acquired::AlreadyLaunched { cluster, cluster_id } => {
                Ok(LaunchOutcome::AlreadyLaunched { cluster, cluster_id })
            }
            Acquired::Queued { behind } => Ok(LaunchOutcome::Waiting { behind }),
        }
    }

    async fn start(
        &self,
        launch: &Launch,
        request: RunJobFlowInputBuilder,
        held: StoredLease,
    ) -> Result<LaunchOutcome> {
        let name = &held.lease.cluster;
        // A late second delivery finds neither the first one's lease nor a running cluster. Its
        // cluster is then only known to EMR, and may be as old as the scheduled time.
        let since = launch.scheduled_time.min(held.lease.taken_at);
        match find_cluster(self.clusters, &self.config.results_bucket, name, since).await {
            Ok(Some(found)) => {
                self.record(&held, &found.id).await?;
                return Ok(LaunchOutcome::AlreadyLaunched { cluster: name.clone(), cluster_id: found.id });
            }
            Ok(None) => (),
            Err(error) => {
                self.release(&held, &error.to_string()).await;
                return Err(error);
            }
        }
        let cluster_id = match self.clusters.start(request).await {
            Ok(id) => id,
            Err(StartError::Rejected(cause)) => {
                self.release(&held, &cause).await;
                return Err(Error::NotLaunched(format!("{name}: EMR rejected the request: {cause}")));
            }
            Err(StartError::Unknown(cause)) => self.find_started_cluster(&held, &cause).await?,
        };
        self.record_or_terminate(&held, &cluster_id).await?;
        Ok(LaunchOutcome::Launched { cluster: name.clone(), cluster_id })
    }

    /// Searches for the cluster of a start that got no response.
    async fn find_started_cluster(&self, held: &StoredLease, cause: &str) -> Result<String> {
        let Lease { cluster, taken_at, .. } = &held.lease;
        for delay in SEARCH_BACKOFF {
            tokio::time::sleep(delay).await;
            let found = find_cluster(self.clusters, &self.config.results_bucket, cluster, *taken_at).await?;
            if let Some(found) = found {
                tracing::warn!(cluster, cluster_id = found.id, cause, "the response to its start was lost");
                return Ok(found.id);
            }
        }
        // The lease is not released, because the cluster may still appear. Once this invocation
        // must be over, the next one searches again.
        Err(Error::NotLaunched(format!(
            "{cluster}: {cause}; no cluster of that name is there yet, the launch will be retried"
        )))
    }

    async fn record_or_terminate(&self, held: &StoredLease, cluster_id: &str) -> Result<()> {
        let Err(error) = self.record(held, cluster_id).await else { return Ok(()) };
        let cluster = &held.lease.cluster;
        // An unrecorded cluster would run alongside the next one.
        match self.clusters.terminate(cluster_id).await {
            Ok(()) => Err(Error::NotLaunched(format!(
                "{cluster} ({cluster_id}) was started but could not be recorded ({error}): it is being terminated"
            ))),
            Err(second) => Err(Error::NotLaunched(format!(
                "{cluster} ({cluster_id}) was started but could neither be recorded ({error}) nor terminated ({second}): \
                 terminate it by hand unless leases/cluster.json names it"
            ))),
        }
    }

    async fn record(&self, held: &StoredLease, cluster_id: &str) -> Result<()> {
        self.lease.update(held, |lease| lease.with_cluster_id(cluster_id)).await
    }

    /// Releases the lease, so that other launches need not wait until this invocation must be over.
    async fn release(&self, held: &StoredLease, reason: &str) {
        let released = |lease: &Lease| Lease { released: Some(reason.to_owned()), ..lease.clone() };
        if let Err(error) = self.lease.update(held, released).await {
            tracing::warn!(%error, "the lease could not be released");
        }
    }
}
