//! EMR through `aws-sdk-emr`: what each response means, and which calls are retried.

use std::time::Duration;

use aws_sdk_emr::Client;
use aws_sdk_emr::config::retry::RetryConfig;
use aws_sdk_emr::config::timeout::TimeoutConfig;
use aws_sdk_emr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use aws_sdk_emr::primitives::DateTime;
use aws_sdk_emr::types::{ClusterState, ClusterStatus};
use fruitvec_core::s3::sdk_error::{RequestError, code, describe_sdk_error};
use time::OffsetDateTime;

use crate::cluster::{Cluster, ClusterFilter, Clusters, DEPLOYMENT_TAG, StartError};
use crate::error::{Error, Result};

/// A client of EMR.
#[derive(Debug, Clone)]
pub struct Emr {
    client: Client,
    /// A client without the SDK's retries, for calls that are not idempotent.
    without_retries: Client,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// The error codes with which EMR rejects a call because of throttling.
const THROTTLED: [&str; 5] =
    ["RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"];
/// The delays before each retry of a start that was throttled.
const RETRY_BACKOFF: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

impl Emr {
    /// Creates a client with these settings.
    #[must_use]
    pub fn new(settings: &aws_sdk_emr::config::Builder) -> Self {
        let timeouts = |response| {
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(response)
                .build()
        };
        let with_retries = settings.clone().timeout_config(timeouts(RESPONSE_TIMEOUT));
        let without_retries =
            settings.clone().timeout_config(timeouts(START_TIMEOUT)).retry_config(RetryConfig::disabled());
        Self {
            client: Client::from_conf(with_retries.build()),
            without_retries: Client::from_conf(without_retries.build()),
        }
    }
}

impl Clusters for Emr {
    async fn start(&self, request: RunJobFlowInputBuilder) -> Result<String, StartError> {
        let mut delays = RETRY_BACKOFF.iter();
        loop {
            let error = match request.clone().send_with(&self.without_retries).await {
                Ok(output) => {
                    return output
                        .job_flow_id
                        .ok_or_else(|| StartError::Unknown("EMR returned no cluster id".into()));
                }
                Err(error) => error,
            };
            // Only a throttled start is retried here: EMR has certainly not acted on it.
            match (code(&error).is_some_and(|code| THROTTLED.contains(&code)), delays.next()) {
                (true, Some(delay)) => tokio::time::sleep(*delay).await,
                (true, None) => return Err(StartError::Rejected(describe_sdk_error(&error))),
                (false, _) if was_rejected(&error) => {
                    return Err(StartError::Rejected(describe_sdk_error(&error)));
                }
                (false, _) => return Err(StartError::Unknown(describe_sdk_error(&error))),
            }
        }
    }

    async fn list(&self, filter: ClusterFilter) -> Result<Vec<Cluster>> {
        let request = self.client.list_clusters();
        let request = match filter {
            ClusterFilter::CreatedSince(time) => request.created_after(seconds(time)),
            ClusterFilter::ActiveBefore(time) => {
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
                    .map(|cluster| from_emr(cluster.id, cluster.name, cluster.status, None)),
            );
        }
        Ok(clusters)
    }

    async fn describe(&self, id: &str) -> Result<Option<Cluster>> {
        match self.client.describe_cluster().cluster_id(id).send().await {
            Ok(output) => Ok(output.cluster.map(|cluster| {
                let mut tags = cluster.tags.unwrap_or_default().into_iter();
                let deployment = tags.find(|tag| tag.key() == Some(DEPLOYMENT_TAG)).and_then(|tag| tag.value);
                from_emr(cluster.id, cluster.name, cluster.status, deployment)
            })),
            // "Cluster id 'j-…' is not valid." EMR also forgets a cluster after two months.
            Err(error) if code(&error) == Some("InvalidRequestException") => Ok(None),
            Err(error) => Err(failed("DescribeCluster", &error)),
        }
    }

    async fn terminate(&self, id: &str) -> Result<()> {
        let result = self.client.terminate_job_flows().job_flow_ids(id).send().await;
        result.map(drop).map_err(|error| failed("TerminateJobFlows", &error))
    }
}

fn from_emr(
    id: Option<String>,
    name: Option<String>,
    status: Option<ClusterStatus>,
    deployment: Option<String>,
) -> Cluster {
    let reason = status.as_ref().and_then(|status| status.state_change_reason()?.code());
    Cluster {
        reason: reason.map_or(String::new(), |code| code.as_str().to_owned()),
        state: status.and_then(|status| status.state).unwrap_or_else(|| ClusterState::from("")),
        id: id.unwrap_or_default(),
        name: name.unwrap_or_default(),
        deployment,
    }
}

/// Returns whether EMR certainly started no cluster.
fn was_rejected<E>(error: &RequestError<E>) -> bool {
    match error {
        // The request was never sent.
        SdkError::ConstructionFailure(_) => true,
        // A 4xx comes before the start, but a 5xx may come from any point of it.
        SdkError::ServiceError(context) => context.raw().status().is_client_error(),
        _ => false,
    }
}

fn failed<E>(verb: &'static str, error: &RequestError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Error::Emr { verb, cause: describe_sdk_error(error) }
}

fn seconds(time: OffsetDateTime) -> DateTime {
    DateTime::from_secs(time.unix_timestamp())
}
