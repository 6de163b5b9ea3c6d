//! The clusters of an account, as the function sees them.

use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use aws_sdk_emr::types::ClusterState;
use time::{Duration, OffsetDateTime};

use crate::error::{Error, Result};

/// The tag that identifies this deployment's clusters. Its value is the results bucket.
pub const DEPLOYMENT_TAG: &str = "fruitvec-results";

/// The state change reason of a cluster whose bootstrap action failed.
///
/// The fault is often transient, for example in a package server.
pub const BOOTSTRAP_FAILURE: &str = "BOOTSTRAP_FAILURE";

/// How far EMR's clock may be behind the clock that dated a lease.
const CLOCK_SKEW: Duration = Duration::HOUR;

/// The operations of EMR that the function needs.
pub trait Clusters: Sync {
    /// Starts a cluster and returns its id.
    ///
    /// `RunJobFlow` has no client token, so a call whose response was lost is never repeated.
    ///
    /// # Errors
    /// [`StartError`] distinguishes whether a cluster may exist.
    fn start(
        &self,
        request: RunJobFlowInputBuilder,
    ) -> impl Future<Output = Result<String, StartError>> + Send;

    /// Lists clusters, including those of other deployments.
    ///
    /// # Errors
    /// [`Error::Emr`].
    fn list(&self, filter: ClusterFilter) -> impl Future<Output = Result<Vec<Cluster>>> + Send;

    /// Returns a cluster with its deployment, or `None` if EMR does not know the id.
    ///
    /// # Errors
    /// [`Error::Emr`].
    fn describe(&self, id: &str) -> impl Future<Output = Result<Option<Cluster>>> + Send;

    /// Requests the termination of a cluster without waiting for it.
    ///
    /// # Errors
    /// [`Error::Emr`].
    fn terminate(&self, id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Which clusters to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterFilter {
    /// Clusters in any state, created at or after this time.
    CreatedSince(OffsetDateTime),
    /// Clusters that are neither terminated nor terminating, created before this time.
    ActiveBefore(OffsetDateTime),
}

/// Why starting a cluster returned no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// EMR rejected the request or never received it, so no cluster exists.
    #[error("{0}")]
    Rejected(String),
    /// The response was lost or reports an internal failure, so a cluster may exist.
    #[error("{0}")]
    Unknown(String),
}

/// EMR's description of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id.
    pub id: String,
    /// The cluster's name.
    pub name: String,
    /// The cluster's state. An unknown state counts as running.
    pub state: ClusterState,
    /// The code of the last state change, such as `BOOTSTRAP_FAILURE`, or empty.
    pub reason: String,
    /// The value of [`DEPLOYMENT_TAG`]. It is always `None` in a listing, which has no tags.
    pub deployment: Option<String>,
}

impl Cluster {
    /// Returns whether the cluster is terminated, so that none of its machines runs.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, ClusterState::Terminated | ClusterState::TerminatedWithErrors)
    }

    /// Returns whether a person or this function has requested the cluster's termination.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.reason == "USER_REQUEST"
            && matches!(self.state, ClusterState::Terminating | ClusterState::Terminated)
    }

    /// Returns whether the cluster failed during bootstrap.
    #[must_use]
    pub fn failed_to_bootstrap(&self) -> bool {
        self.state == ClusterState::TerminatedWithErrors && self.reason == BOOTSTRAP_FAILURE
    }

    /// Returns whether the deployment with this results bucket started the cluster.
    #[must_use]
    pub fn belongs_to(&self, deployment: &str) -> bool {
        self.deployment.as_deref() == Some(deployment)
    }
}

/// Finds a deployment's cluster by its name, among those created since about that time.
///
/// A cancelled cluster does not count, because it was started by an attempt that failed.
///
/// # Errors
/// [`Error::Refused`] when the only such cluster is still terminating; [`Error::Emr`].
pub(crate) async fn find_cluster(
    clusters: &impl Clusters,
    deployment: &str,
    name: &str,
    since: OffsetDateTime,
) -> Result<Option<Cluster>> {
    let mut terminating = None;
    let filter = ClusterFilter::CreatedSince(since.saturating_sub(CLOCK_SKEW));
    for listed in clusters.list(filter).await? {
        if listed.name != name {
            continue;
        }
        // Another deployment in the account may use the same name, and only the description has
        // tags.
        match clusters.describe(&listed.id).await? {
            Some(cluster) if !cluster.belongs_to(deployment) => (),
            Some(cluster) if !cluster.is_cancelled() => return Ok(Some(cluster)),
            Some(cluster) if !cluster.has_ended() => terminating = Some(cluster),
            _ => (),
        }
    }
    terminating.map_or(Ok(None), |cluster| Err(still_terminating(&cluster)))
}

/// Returns the error of a launch that has to wait until a cluster is terminated.
pub(crate) fn still_terminating(cluster: &Cluster) -> Error {
    Error::Refused(format!(
        "{} ({}) is still terminating; the launch will be retried",
        cluster.name, cluster.id
    ))
}
