//! The way to a cluster: is there anything to do, may we, is there one already, start it, record it.

use std::time::Duration;

use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use fruitvec::store::Store;
use serde::Serialize;

use crate::claim::Taken;
use crate::config::Config;
use crate::emr::{Cluster, Clusters, StartError};
use crate::error::{Error, Result};
use crate::job::Launch;
use crate::lease::{Held, Lease, LeaseFile};
use crate::specification::specification;
use crate::work::{Look, Work};

/// How often the lease is read anew when another was quicker.
pub(crate) const TRIES: u32 = 5;
/// Pauses before EMR is asked for a cluster whose start has no answer: a list may be late.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// What an invocation came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// There is a new cluster.
    Launched {
        /// Its name.
        cluster: String,
        /// Its id.
        cluster_id: String,
    },
    /// Another delivery, or an earlier try, has launched it.
    AlreadyLaunched {
        /// The cluster's name.
        cluster: String,
        /// The cluster's id.
        cluster_id: String,
    },
    /// It is launched when the cluster that runs, or is just being started, has ended.
    Waiting {
        /// The name of that cluster.
        behind: String,
    },
    /// No cluster is needed.
    NothingToDo {
        /// How that is known.
        because: String,
    },
}

/// One invocation's way to a cluster.
#[derive(Debug)]
pub struct Launcher<'a, E> {
    /// The settings.
    pub config: &'a Config,
    /// S3.
    pub store: &'a Store,
    /// EMR.
    pub clusters: &'a E,
    /// The lease.
    pub lease: &'a LeaseFile,
    /// The request's id: the owner of what is taken.
    pub owner: &'a str,
    /// The longest that an invocation of this function may last.
    pub longest: Duration,
}

impl<E: Clusters> Launcher<'_, E> {
    /// Launches a job, unless there is nothing to do, or it is launched already; behind a cluster that runs, it waits.
    ///
    /// # Errors
    /// [`Error::Refused`] while another delivery launches the same, [`Error::Start`] when there is no cluster, or it could not be recorded
    /// and was terminated; of S3 and EMR.
    pub async fn launch(&self, launch: &Launch, attempt: u32) -> Result<Outcome> {
        // Who comes again knows already that there is something to do.
        if attempt == 1
            && let Work::Nothing(because) = Look::new(self.store, self.config).at(launch).await?
        {
            self.forget(launch).await?;
            return Ok(Outcome::NothingToDo { because });
        }
        self.secure(launch, attempt).await
    }

    /// Launches what waits, if the cluster that it waits for has ended; but first a launch that was cut off half way, by a kill or an
    /// answer that never came, and that Lambda's retries have not put right.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn resume(&self) -> Result<Option<Outcome>> {
        let Some(held) = self.lease.read().await? else { return Ok(None) };
        if held.lease.is_open() && !self.is_fresh(&held) {
            return self.secure(&held.lease.launch()?, held.lease.attempt).await.map(Some);
        }
        for waiting in &held.lease.waiting {
            let Some(launch) = waiting.launch() else { continue };
            match self.launch(&launch, waiting.attempt).await? {
                Outcome::NothingToDo { .. } => (),
                outcome => return Ok(Some(outcome)),
            }
        }
        Ok(None)
    }

    /// Sees to it that the cluster of a launch is there, once, now or later.
    async fn secure(&self, launch: &Launch, attempt: u32) -> Result<Outcome> {
        let specification = specification(self.config, launch, attempt);
        match self.take(launch, attempt).await? {
            Taken::Done(outcome) => Ok(outcome),
            Taken::Ours(held) => self.start(launch, specification, held).await,
        }
    }

    /// Whether this deployment has started that cluster.
    #[must_use]
    pub fn is_ours(&self, cluster: &Cluster) -> bool {
        cluster.deployment.as_deref() == Some(&self.config.results_bucket)
    }

    async fn start(
        &self,
        launch: &Launch,
        specification: RunJobFlowInputBuilder,
        held: Held,
    ) -> Result<Outcome> {
        let name = &held.lease.cluster;
        // A second delivery may come when the first's cluster has ended, and its lease is long another's.
        let since = launch.scheduled_time.min(held.lease.taken_at);
        match self.find(name, since).await {
            Ok(Some(found)) => {
                self.record(&held, &found.id).await?;
                return Ok(Outcome::AlreadyLaunched { cluster: name.clone(), cluster_id: found.id });
            }
            Ok(None) => (),
            Err(error) => {
                self.release(&held, &error.to_string()).await;
                return Err(error);
            }
        }
        let cluster_id = match self.clusters.start(specification).await {
            Ok(id) => id,
            Err(StartError::Refused(cause)) => {
                self.release(&held, &cause).await;
                return Err(Error::Start(format!("{name}: EMR has refused: {cause}")));
            }
            Err(StartError::Unknown(cause)) => self.trace(&held, &cause).await?,
        };
        self.record_or_terminate(&held, &cluster_id).await?;
        Ok(Outcome::Launched { cluster: name.clone(), cluster_id })
    }

    /// The cluster of a start without an answer.
    async fn trace(&self, held: &Held, cause: &str) -> Result<String> {
        let Lease { cluster, taken_at, .. } = &held.lease;
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            if let Some(found) = self.find(cluster, *taken_at).await? {
                tracing::warn!(cluster, cluster_id = found.id, cause, "the answer to its start was lost");
                return Ok(found.id);
            }
        }
        // The lease stays as it is: the next who comes asks EMR once more, when the answer is certain.
        Err(Error::Start(format!(
            "{cluster}: {cause}; no cluster of that name is there yet: it is tried again"
        )))
    }

    async fn record_or_terminate(&self, held: &Held, cluster_id: &str) -> Result<()> {
        let Err(error) = self.record(held, cluster_id).await else { return Ok(()) };
        let cluster = &held.lease.cluster;
        match self.clusters.terminate(cluster_id).await {
            Ok(()) => Err(Error::Start(format!(
                "{cluster} ({cluster_id}) was started but could not be recorded ({error}): it is being terminated"
            ))),
            Err(second) => Err(Error::Start(format!(
                "{cluster} ({cluster_id}) was started but could neither be recorded ({error}) nor terminated ({second}): \
                 terminate it by hand unless leases/cluster.json names it"
            ))),
        }
    }

    /// Writes the cluster's id into our lease.
    async fn record(&self, held: &Held, cluster_id: &str) -> Result<()> {
        self.change(held, |lease| lease.recorded(cluster_id)).await
    }

    /// Gives our lease back. That only saves time: without it the lease is free once this invocation must be over.
    async fn release(&self, held: &Held, why: &str) {
        let released = |lease: &Lease| Lease { released: Some(why.to_owned()), ..lease.clone() };
        if let Err(error) = self.change(held, released).await {
            tracing::warn!(%error, "the lease could not be released");
        }
    }

    /// Changes our lease, to which others may just be adding what waits.
    async fn change(&self, held: &Held, changed: impl Fn(&Lease) -> Lease) -> Result<()> {
        let mut now = held.clone();
        for _ in 0..TRIES {
            if self.lease.write(&changed(&now.lease), Some(&now.etag)).await?.is_some() {
                return Ok(());
            }
            now = match self.lease.read().await? {
                Some(now) if now.lease.is_held_as(&held.lease) => now,
                _ => return Err(Error::Refused("another has taken the lease".into())),
            };
        }
        Err(Error::Refused("the lease can't be written just now".into()))
    }

    /// Takes a launch with nothing to do away from those that wait.
    async fn forget(&self, launch: &Launch) -> Result<()> {
        for _ in 0..TRIES {
            let Some(held) = self.lease.read().await? else { return Ok(()) };
            let mut lease = held.lease.clone();
            lease.drop_waiting(launch);
            if lease == held.lease || self.lease.write(&lease, Some(&held.etag)).await?.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}
