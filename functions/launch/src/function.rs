//! The function: what is done about each event, and what is told of it.

use std::io::Write;
use std::time::Duration;

use aws_sdk_emr::types::ClusterState;
use fruitvec::config::from_environment;
use fruitvec::metrics::Metrics;
use fruitvec::store::{Store, https_client};
use lambda_runtime::Context;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::config::Config;
use crate::emr::{BOOTSTRAP_FAILURE, Cluster, Clusters, Emr, Which};
use crate::error::{Error, Result};
use crate::event::{ClusterChange, Event, StepChange};
use crate::job::{Launch, NAME_PREFIX};
use crate::launch::{Launcher, Outcome};
use crate::lease::LeaseFile;

/// The function with all that it needs, built once.
#[derive(Debug)]
pub struct Function<E> {
    config: Config,
    store: Store,
    lease: LeaseFile,
    clusters: E,
}

/// What one invocation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The request's id: Lambda's own retries of an asynchronous invocation come with the same one.
    pub request_id: String,
    /// The longest that an invocation may last, seen from its beginning: the function's timeout.
    pub longest: Duration,
}

impl From<&Context> for Invocation {
    fn from(context: &Context) -> Self {
        let longest = context.deadline().duration_since(std::time::SystemTime::now()).unwrap_or_default();
        Self { request_id: context.request_id.clone(), longest }
    }
}

/// What the function answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a launch.
    Launch(Outcome),
    /// To a sweep, or to what EMR tells.
    Noted {
        /// What was found, in a word.
        noted: &'static str,
        /// The clusters that it is about.
        clusters: Vec<String>,
        /// What came of the launch that waited, or was to be repeated.
        #[serde(skip_serializing_if = "Option::is_none")]
        launch: Option<Outcome>,
    },
}

impl Function<Emr> {
    /// The function of the environment.
    ///
    /// # Errors
    /// [`fruitvec::error::Error::Config`] names the variable that is missing or makes no sense.
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
    /// A function of these parts.
    #[must_use]
    pub fn new(config: Config, store: Store, clusters: E) -> Self {
        let lease = LeaseFile::new(store.clone(), &config.results_bucket);
        Self { config, store, lease, clusters }
    }

    /// Does what an event asks for, logs it, and prints the metrics.
    ///
    /// # Errors
    /// [`Error`]: the invocation fails, and Lambda repeats it.
    pub async fn handle(&self, document: &Value, invocation: &Invocation) -> Result<Answer> {
        let mut metrics = Metrics::new("launch");
        // Boxed: the future of the whole way is large.
        let answer = Box::pin(self.answer(document, invocation, &mut metrics)).await;
        match &answer {
            Ok(answer) => {
                count(answer, &mut metrics);
                tracing::info!(request = invocation.request_id, answer = %written(answer), "done");
            }
            Err(error) => {
                match error {
                    Error::Refused(_) => metrics.count("refused", 1.0),
                    Error::Start(_) => metrics.count("start_failed", 1.0),
                    _ => (),
                }
                tracing::error!(request = invocation.request_id, %error, "failed");
            }
        }
        if let Some(line) = metrics.line() {
            // Nothing is left to be done about a standard output that is closed.
            drop(writeln!(std::io::stdout().lock(), "{line}"));
        }
        answer
    }

    async fn answer(
        &self,
        document: &Value,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer> {
        let launcher = Launcher {
            config: &self.config,
            store: &self.store,
            clusters: &self.clusters,
            lease: &self.lease,
            owner: &invocation.request_id,
            longest: invocation.longest,
        };
        match Event::parse(document)? {
            Event::Launch(launch) => launcher.launch(&launch, 1).await.map(Answer::Launch),
            Event::Sweep => self.sweep(&launcher, metrics).await,
            Event::Cluster(change) => self.cluster(&launcher, &change, metrics).await,
            Event::Step(change) => self.step(&launcher, &change, metrics).await,
        }
    }

    /// Terminates the clusters of ours that are too old: EMR's own end of idle clusters does not see a step that hangs.
    async fn sweep(&self, launcher: &Launcher<'_, E>, metrics: &mut Metrics) -> Result<Answer> {
        let oldest = OffsetDateTime::now_utc() - self.config.max_age;
        let (mut overdue, mut failed) = (Vec::new(), None);
        for listed in self.clusters.list(Which::LivingBefore(oldest)).await? {
            if !listed.name.starts_with(NAME_PREFIX) || !self.is_ours(launcher, &listed.id).await? {
                continue;
            }
            metrics.count("overdue_clusters", 1.0);
            tracing::error!(cluster = listed.name, cluster_id = listed.id, "it is too old: it is terminated");
            match self.clusters.terminate(&listed.id).await {
                Ok(()) => overdue.push(listed.id),
                Err(error) => failed = Some(error),
            }
        }
        let launch = self.resume(launcher).await;
        match failed {
            Some(error) => Err(error),
            None => Ok(Answer::Noted { noted: "swept", clusters: overdue, launch: launch? }),
        }
    }

    async fn cluster(
        &self,
        launcher: &Launcher<'_, E>,
        change: &ClusterChange,
        metrics: &mut Metrics,
    ) -> Result<Answer> {
        let state = ClusterState::from(change.state.as_str());
        let noted =
            |noted, launch| Answer::Noted { noted, clusters: vec![change.cluster_id.clone()], launch };
        let ended = matches!(state, ClusterState::Terminated | ClusterState::TerminatedWithErrors);
        if !ended
            || !change.name.starts_with(NAME_PREFIX)
            || !self.is_ours(launcher, &change.cluster_id).await?
        {
            return Ok(noted("nothing", None));
        }
        let (cluster, cluster_id) = (&change.name, &change.cluster_id);
        let (reason, message) = (&change.reason.code, &change.reason.message);
        if state == ClusterState::Terminated {
            tracing::info!(cluster, cluster_id, reason, message, "it has ended");
            return Ok(noted("ended", self.resume(launcher).await?));
        }
        if reason == BOOTSTRAP_FAILURE {
            match self.repeatable(change).await? {
                Repeat::Now(launch) => {
                    tracing::warn!(cluster, cluster_id, message, "it could not be prepared: once more");
                    return Ok(noted("failed_to_bootstrap", Some(launcher.launch(&launch, 2).await?)));
                }
                Repeat::Known => return Ok(noted("known", self.resume(launcher).await?)),
                Repeat::No => (),
            }
        }
        metrics.count("failed_clusters", 1.0);
        tracing::error!(cluster, cluster_id, reason, message, "it has failed");
        Ok(noted("failed", self.resume(launcher).await?))
    }

    /// What to do about a cluster that could not be prepared. The lease knows the launch with all its parameters.
    async fn repeatable(&self, change: &ClusterChange) -> Result<Repeat> {
        let Some(held) = self.lease.read().await? else { return Ok(Repeat::No) };
        let lease = held.lease;
        let is_first = |launch: &Launch| launch.cluster(1) == change.name;
        if lease.waiting.iter().any(|waiting| waiting.launch().is_some_and(|launch| is_first(&launch))) {
            return Ok(Repeat::Known);
        }
        let launch = lease.launch()?;
        Ok(match lease.attempt {
            _ if !is_first(&launch) => Repeat::No,
            1 => Repeat::Now(launch),
            _ => Repeat::Known,
        })
    }

    /// A step that failed is not repeated: the run goes on from where it is the next time.
    async fn step(
        &self,
        launcher: &Launcher<'_, E>,
        change: &StepChange,
        metrics: &mut Metrics,
    ) -> Result<Answer> {
        let noted = |noted| Answer::Noted { noted, clusters: vec![change.cluster_id.clone()], launch: None };
        if !matches!(change.state.as_str(), "FAILED" | "CANCELLED")
            || !self.is_ours(launcher, &change.cluster_id).await?
        {
            return Ok(noted("nothing"));
        }
        let StepChange { cluster_id, step_id, name: step, state, message } = change;
        metrics.count("failed_steps", 1.0);
        tracing::error!(cluster_id, step_id, step, state, message, "a step has not done its work");
        Ok(noted("failed_step"))
    }

    /// Launches what waits. While another launch is under way that is not urgent: the next sweep comes.
    async fn resume(&self, launcher: &Launcher<'_, E>) -> Result<Option<Outcome>> {
        match launcher.resume().await {
            Err(Error::Refused(why)) => {
                tracing::info!(why, "what waits is launched later");
                Ok(None)
            }
            outcome => outcome,
        }
    }

    async fn is_ours(&self, launcher: &Launcher<'_, E>, id: &str) -> Result<bool> {
        let cluster = self.clusters.describe(id).await?;
        Ok(cluster.is_some_and(|cluster: Cluster| launcher.is_ours(&cluster)))
    }
}

/// What to do about a cluster that could not be prepared.
enum Repeat {
    /// Launch it once more.
    Now(Launch),
    /// That has been done, or is to be done when another cluster has ended.
    Known,
    /// It was the second already, or nobody knows it.
    No,
}

fn count(answer: &Answer, metrics: &mut Metrics) {
    let outcome = match answer {
        Answer::Launch(outcome) => Some(outcome),
        Answer::Noted { launch, .. } => launch.as_ref(),
    };
    match outcome {
        Some(Outcome::Launched { .. }) => metrics.count("launched", 1.0),
        Some(Outcome::NothingToDo { .. }) => metrics.count("nothing_to_do", 1.0),
        Some(Outcome::Waiting { .. }) => metrics.count("waiting", 1.0),
        Some(Outcome::AlreadyLaunched { .. }) | None => (),
    }
}

fn written(answer: &Answer) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}
