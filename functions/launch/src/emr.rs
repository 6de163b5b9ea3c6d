//! EMR behind a few exact verbs: `aws-sdk-emr` does the work, this says what each answer means.

use std::time::Duration;

use aws_sdk_emr::Client;
use aws_sdk_emr::config::http::HttpResponse;
use aws_sdk_emr::config::retry::RetryConfig;
use aws_sdk_emr::config::timeout::TimeoutConfig;
use aws_sdk_emr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use aws_sdk_emr::primitives::DateTime;
use aws_sdk_emr::types::{ClusterState, ClusterStatus};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::specification::DEPLOYMENT_TAG;

/// What EMR can do for us.
pub trait Clusters: Sync {
    /// Starts a cluster; returns its id. `RunJobFlow` has no client token, so a call whose answer is lost is not made again.
    ///
    /// # Errors
    /// Whether there is surely no cluster, or there may be one.
    fn start(
        &self,
        specification: RunJobFlowInputBuilder,
    ) -> impl Future<Output = Result<String, StartError>> + Send;

    /// The clusters that were created since a time, in any state, or only living ones, up to a time; anybody's.
    ///
    /// # Errors
    /// [`Error::Emr`].
    fn list(&self, which: Which) -> impl Future<Output = Result<Vec<Cluster>>> + Send;

    /// A cluster with its deployment, which a list does not have; none where there is no cluster of that id.
    ///
    /// # Errors
    /// [`Error::Emr`].
    fn describe(&self, id: &str) -> impl Future<Output = Result<Option<Cluster>>> + Send;

    /// Begins to terminate a cluster.
    ///
    /// # Errors
    /// [`Error::Emr`].
    fn terminate(&self, id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Which clusters to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Created at or after this, in any state.
    Since(OffsetDateTime),
    /// Created before this, and not ending.
    LivingBefore(OffsetDateTime),
}

/// Why there is no cluster's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// EMR has refused, or was never asked: there is no cluster.
    #[error("{0}")]
    Refused(String),
    /// The answer is lost, or tells of a failure within EMR: there may be a cluster.
    #[error("{0}")]
    Unknown(String),
}

/// What EMR says of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The state. One that is not known counts as living.
    pub state: ClusterState,
    /// The code of the reason for the state, such as `BOOTSTRAP_FAILURE`; empty where EMR gives none.
    pub reason: String,
    /// The value of [`DEPLOYMENT_TAG`]; none also where the answer has no tags.
    pub deployment: Option<String>,
}

impl Cluster {
    /// Whether it is gone for good: no machine of it runs.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, ClusterState::Terminated | ClusterState::TerminatedWithErrors)
    }

    /// Whether somebody has ended it, or is just doing so: a person, or we.
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        self.reason == "USER_REQUEST"
            && matches!(self.state, ClusterState::Terminating | ClusterState::Terminated)
    }

    /// Whether it ended before it could begin to work.
    #[must_use]
    pub fn failed_to_bootstrap(&self) -> bool {
        self.state == ClusterState::TerminatedWithErrors && self.reason == BOOTSTRAP_FAILURE
    }
}

/// The reason of a cluster whose machines could not be prepared. It may be a passing fault of a package server.
pub const BOOTSTRAP_FAILURE: &str = "BOOTSTRAP_FAILURE";

/// The real one.
#[derive(Debug, Clone)]
pub struct Emr {
    client: Client,
    /// The same, without the SDK's own retries.
    once: Client,
}

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(5);
const START_ANSWER: Duration = Duration::from_secs(15);
/// What EMR says when it did nothing because of too many calls.
const THROTTLED: [&str; 5] =
    ["RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"];
/// Pauses before a start that was throttled is tried again.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

impl Emr {
    /// The EMR that these settings reach.
    #[must_use]
    pub fn new(settings: &aws_sdk_emr::config::Builder) -> Self {
        let timeouts = |answer| {
            TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(answer).build()
        };
        let usual = settings.clone().timeout_config(timeouts(ANSWER));
        let once =
            settings.clone().timeout_config(timeouts(START_ANSWER)).retry_config(RetryConfig::disabled());
        Self { client: Client::from_conf(usual.build()), once: Client::from_conf(once.build()) }
    }
}

impl Clusters for Emr {
    async fn start(&self, specification: RunJobFlowInputBuilder) -> Result<String, StartError> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match specification.clone().send_with(&self.once).await {
                Ok(output) => {
                    return output.job_flow_id.ok_or_else(|| StartError::Unknown("EMR gave no id".into()));
                }
                Err(error) => error,
            };
            match (code(&error).is_some_and(|code| THROTTLED.contains(&code)), pauses.next()) {
                (true, Some(pause)) => tokio::time::sleep(*pause).await,
                (true, None) => return Err(StartError::Refused(said(&error))),
                (false, _) if was_refused(&error) => return Err(StartError::Refused(said(&error))),
                (false, _) => return Err(StartError::Unknown(said(&error))),
            }
        }
    }

    async fn list(&self, which: Which) -> Result<Vec<Cluster>> {
        let request = self.client.list_clusters();
        let request = match which {
            Which::Since(time) => request.created_after(seconds(time)),
            Which::LivingBefore(time) => {
                request.created_before(seconds(time)).set_cluster_states(Some(vec![
                    ClusterState::Starting,
                    ClusterState::Bootstrapping,
                    ClusterState::Running,
                    ClusterState::Waiting,
                ]))
            }
        };
        let mut pages = request.into_paginator().send();
        let mut clusters = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("ListClusters", &error))?;
            clusters.extend(
                page.clusters
                    .unwrap_or_default()
                    .into_iter()
                    .map(|cluster| Cluster::new(cluster.id, cluster.name, cluster.status, None)),
            );
        }
        Ok(clusters)
    }

    async fn describe(&self, id: &str) -> Result<Option<Cluster>> {
        match self.client.describe_cluster().cluster_id(id).send().await {
            Ok(output) => Ok(output.cluster.map(|cluster| {
                let mut tags = cluster.tags.unwrap_or_default().into_iter();
                let deployment = tags.find(|tag| tag.key() == Some(DEPLOYMENT_TAG)).and_then(|tag| tag.value);
                Cluster::new(cluster.id, cluster.name, cluster.status, deployment)
            })),
            // "Cluster id 'j-…' is not valid.": there is none, or there was one more than two months ago.
            Err(error) if code(&error) == Some("InvalidRequestException") => Ok(None),
            Err(error) => Err(failed("DescribeCluster", &error)),
        }
    }

    async fn terminate(&self, id: &str) -> Result<()> {
        let answer = self.client.terminate_job_flows().job_flow_ids(id).send().await;
        answer.map(drop).map_err(|error| failed("TerminateJobFlows", &error))
    }
}

impl Cluster {
    fn new(
        id: Option<String>,
        name: Option<String>,
        status: Option<ClusterStatus>,
        deployment: Option<String>,
    ) -> Self {
        let reason = status.as_ref().and_then(|status| status.state_change_reason()?.code());
        Self {
            reason: reason.map_or(String::new(), |code| code.as_str().to_owned()),
            state: status.and_then(|status| status.state).unwrap_or_else(|| ClusterState::from("")),
            id: id.unwrap_or_default(),
            name: name.unwrap_or_default(),
            deployment,
        }
    }
}

type Failed<E> = SdkError<E, HttpResponse>;

/// Whether there is surely no cluster: the request never left, or EMR has answered that it does not want it. Only a 4xx says so;
/// with a 5xx it may have failed at any moment.
fn was_refused<E>(error: &Failed<E>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => true,
        SdkError::ServiceError(context) => context.raw().status().is_client_error(),
        _ => false,
    }
}

fn failed<E>(verb: &'static str, error: &Failed<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Error::Emr { verb, cause: said(error) }
}

/// What an error says, without request and answer: they may hold what no log should.
fn said<E>(error: &Failed<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let (Some(response), Some(service)) = (error.raw_response(), error.as_service_error()) {
        let (code, message) =
            (service.code().unwrap_or("no code"), service.message().unwrap_or("no reason given"));
        return format!("{} {code}: {message}", response.status());
    }
    let first: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn code<E: ProvideErrorMetadata>(error: &Failed<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

fn seconds(time: OffsetDateTime) -> DateTime {
    DateTime::from_secs(time.unix_timestamp())
}
