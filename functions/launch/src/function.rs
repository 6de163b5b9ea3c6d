//! Handles each event, and reports the result in the log and as metrics.

use std::time::Duration;

use aws_sdk_emr::types::ClusterState;
use fruitvec_core::config::from_environment;
use fruitvec_core::metrics::Metrics;
use fruitvec_core::s3::client::{Store, https_client};
use lambda_runtime::Context;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::cluster::{BOOTSTRAP_FAILURE, ClusterFilter, Clusters};
use crate::config::Config;
use crate::emr::Emr;
use crate::error::{Error, Result};
use crate::event::{ClusterChange, Event, StepChange};
use crate::launch_request::{Launch, NAME_PREFIX};
use crate::launcher::{LaunchOutcome, Launcher};
use crate::lease::LeaseFile;

/// The function with its settings and clients, built once per process.
#[derive(Debug)]
pub struct Function<E> {
    config: Config,
    store: Store,
    lease: LeaseFile,
    clusters: E,
}

/// One invocation of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The id of the request. Lambda's retries of an asynchronous invocation reuse it.
    pub request_id: String,
    /// The function's timeout.
    pub timeout: Duration,
}

impl From<&Context> for Invocation {
    fn from(context: &Context) -> Self {
        // The context has only the deadline. At the start of an invocation, the time left until
        // then is the timeout.
        let timeout = context.deadline().duration_since(std::time::SystemTime::now()).unwrap_or_default();
        Self { request_id: context.request_id.clone(), timeout }
    }
}

/// The response of an invocation that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The response to a launch.
    Launch(LaunchOutcome),
    /// The response to a sweep or to a state change.
    Noted {
        /// The result as a keyword, such as `swept` or `failed_step`.
        noted: &'static str,
        /// The ids of the clusters concerned.
        clusters: Vec<String>,
        /// The outcome of a queued or repeated launch, if there was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        launch: Option<LaunchOutcome>,
    },
}

impl Response {
    fn noted(noted: &'static str, cluster_id: &str, launch: Option<LaunchOutcome>) -> Self {
        Self::Noted { noted, clusters: vec![cluster_id.to_owned()], launch }
    }
}

impl Function<Emr> {
    /// Creates the function with the settings and credentials of the environment.
    ///
    /// # Errors
    /// [`fruitvec_core::error::Error::Config`] names the variable that is missing or invalid.
    pub async fn from_environment() -> Result<Self> {
        let config = Config::read(from_environment)?;
        let settings = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
            .http_client(https_client())
            .load()
            .await;
        let emr = Emr::new(&aws_sdk_emr::config::Builder::from(&settings));
        Ok(Self::new(config, Store::from_settings(&settings), emr))
    }
}

impl<E: Clusters> Function<E> {
    /// Creates the function with these clients.
    #[must_use]
    pub fn new(config: Config, store: Store, clusters: E) -> Self {
        let lease = LeaseFile::new(store.clone(), &config.results_bucket);
        Self { config, store, lease, clusters }
    }

    /// Handles an event, logs the result and prints the metrics.
    ///
    /// # Errors
    /// Any [`Error`] fails the invocation, and Lambda retries it.
    pub async fn handle(&self, document: &Value, invocation: &Invocation) -> Result<Response> {
        let mut metrics = Metrics::new("launch");
        // Boxed, because the future of a whole launch is large.
        let result = Box::pin(self.dispatch(document, invocation, &mut metrics)).await;
        match &result {
            Ok(response) => {
                count_outcome(response, &mut metrics);
                tracing::info!(request = invocation.request_id, answer = %to_json(response), "done");
            }
            Err(error) => {
                match error {
                    Error::Refused(_) => metrics.count("refused", 1.0),
                    Error::NotLaunched(_) => metrics.count("start_failed", 1.0),
                    _ => (),
                }
                tracing::error!(request = invocation.request_id, %error, "failed");
            }
        }
        metrics.print();
        result
    }

    async fn dispatch(
        &self,
        document: &Value,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Response> {
        let launcher = Launcher {
            config: &self.config,
            store: &self.store,
            clusters: &self.clusters,
            lease: &self.lease,
            owner: &invocation.request_id,
            timeout: invocation.timeout,
        };
        match Event::parse(document)? {
            Event::Launch(launch) => launcher.launch(&launch, 1).await.map(Response::Launch),
            Event::Sweep => self.sweep(&launcher, metrics).await,
            Event::Cluster(change) => self.cluster_changed(&launcher, &change, metrics).await,
            Event::Step(change) => self.step_changed(&change, metrics).await,
        }
    }

    /// Terminates overdue clusters, then resumes a queued launch.
    ///
    /// EMR's auto-termination does not help when a step hangs, because such a cluster is not idle.
    async fn sweep(&self, launcher: &Launcher<'_, E>, metrics: &mut Metrics) -> Result<Response> {
        let oldest = OffsetDateTime::now_utc() - self.config.max_age;
        let (mut overdue, mut failed) = (Vec::new(), None);
        for listed in self.clusters.list(ClusterFilter::ActiveBefore(oldest)).await? {
            if !listed.name.starts_with(NAME_PREFIX) || !self.is_ours(&listed.id).await? {
                continue;
            }
            metrics.count("overdue_clusters", 1.0);
            tracing::error!(cluster = listed.name, cluster_id = listed.id, "terminating an overdue cluster");
            match self.clusters.terminate(&listed.id).await {
                Ok(()) => overdue.push(listed.id),
                // One failure must not keep the other clusters running.
                Err(error) => failed = Some(error),
            }
        }
        let launch = self.resume(launcher).await;
        match failed {
            Some(error) => Err(error),
            None => Ok(Response::Noted { noted: "swept", clusters: overdue, launch: launch? }),
        }
    }

    async fn cluster_changed(
        &self,
        launcher: &Launcher<'_, E>,
        change: &ClusterChange,
        metrics: &mut Metrics,
    ) -> Result<Response> {
        let (cluster, cluster_id) = (&change.name, &change.cluster_id);
        let (reason, message) = (&change.reason.code, &change.reason.message);
        let noted = |noted, launch| Ok(Response::noted(noted, cluster_id, launch));
        let state = ClusterState::from(change.state.as_str());
        let ended = matches!(state, ClusterState::Terminated | ClusterState::TerminatedWithErrors);
        // The description costs a call to EMR, so it comes last.
        if !ended || !cluster.starts_with(NAME_PREFIX) || !self.is_ours(cluster_id).await? {
            return noted("nothing", None);
        }
        if state == ClusterState::Terminated {
            tracing::info!(cluster, cluster_id, reason, message, "the cluster has ended");
            return noted("ended", self.resume(launcher).await?);
        }
        if reason == BOOTSTRAP_FAILURE {
            match self.second_attempt(change).await? {
                SecondAttempt::Due(launch) => {
                    tracing::warn!(cluster, cluster_id, message, "bootstrap failed, launching once more");
                    return noted("failed_to_bootstrap", Some(launcher.launch(&launch, 2).await?));
                }
                SecondAttempt::Made => return noted("known", self.resume(launcher).await?),
                SecondAttempt::NotAllowed => (),
            }
        }
        metrics.count("failed_clusters", 1.0);
        tracing::error!(cluster, cluster_id, reason, message, "the cluster has failed");
        noted("failed", self.resume(launcher).await?)
    }

    /// Decides whether a launch gets a second attempt after its cluster failed to bootstrap.
    ///
    /// The event names only the cluster. The launch, with its parameters, comes from the lease.
    async fn second_attempt(&self, change: &ClusterChange) -> Result<SecondAttempt> {
        let Some(stored) = self.lease.read().await? else { return Ok(SecondAttempt::NotAllowed) };
        let lease = stored.lease;
        let is_first = |launch: &Launch| launch.cluster(1) == change.name;
        if lease.waiting.iter().any(|queued| queued.launch().is_some_and(|launch| is_first(&launch))) {
            return Ok(SecondAttempt::Made);
        }
        let launch = lease.launch()?;
        Ok(match lease.attempt {
            _ if !is_first(&launch) => SecondAttempt::NotAllowed,
            1 => SecondAttempt::Due(launch),
            _ => SecondAttempt::Made,
        })
    }

    /// Counts a failed step, which is not repeated: the next run continues from where this one
    /// stopped.
    async fn step_changed(&self, change: &StepChange, metrics: &mut Metrics) -> Result<Response> {
        let StepChange { cluster_id, step_id, name: step, state, message } = change;
        if !matches!(state.as_str(), "FAILED" | "CANCELLED") || !self.is_ours(cluster_id).await? {
            return Ok(Response::noted("nothing", cluster_id, None));
        }
        metrics.count("failed_steps", 1.0);
        tracing::error!(cluster_id, step_id, step, state, message, "the step has failed");
        Ok(Response::noted("failed_step", cluster_id, None))
    }

    /// Launches a queued job, or leaves it to the next sweep while another launch is in progress.
    async fn resume(&self, launcher: &Launcher<'_, E>) -> Result<Option<LaunchOutcome>> {
        match launcher.resume().await {
            Err(Error::Refused(why)) => {
                tracing::info!(why, "the next sweep resumes the queued launch");
                Ok(None)
            }
            outcome => outcome,
        }
    }

    async fn is_ours(&self, id: &str) -> Result<bool> {
        let cluster = self.clusters.describe(id).await?;
        Ok(cluster.is_some_and(|cluster| cluster.belongs_to(&self.config.results_bucket)))
    }
}

/// Whether a launch gets a second attempt.
enum SecondAttempt {
    /// The launch must be attempted once more.
    Due(Launch),
    /// The second attempt was made already, or is queued.
    Made,
    /// The cluster was itself the second attempt, or the lease does not know its launch.
    NotAllowed,
}

fn count_outcome(response: &Response, metrics: &mut Metrics) {
    let outcome = match response {
        Response::Launch(outcome) => Some(outcome),
        Response::Noted { launch, .. } => launch.as_ref(),
    };
    match outcome {
        Some(LaunchOutcome::Launched { .. }) => metrics.count("launched", 1.0),
        Some(LaunchOutcome::NothingToDo { .. }) => metrics.count("nothing_to_do", 1.0),
        Some(LaunchOutcome::Waiting { .. }) => metrics.count("waiting", 1.0),
        Some(LaunchOutcome::AlreadyLaunched { .. }) | None => (),
    }
}

fn to_json(response: &Response) -> String {
    serde_json::to_string(response).unwrap_or_default()
}
