//! Whether a cluster may be started: what the lease says, and what EMR says of the cluster that it names.
//!
//! Never two at once. The lease is taken before a cluster is started and names it afterwards; whoever finds a lease without a cluster's
//! id can't know whether its owner has just called EMR, so nobody else, not even a retry of the same request, takes it before that
//! invocation must be over: Lambda may deliver one invocation twice at the same time, and a retry looks just like that. Then EMR is asked
//! for a cluster of the lease's name.

use std::time::Duration;

use time::OffsetDateTime;

use crate::emr::{Cluster, Clusters, Which};
use crate::error::{Error, Result};
use crate::job::Launch;
use crate::launch::{Launcher, Outcome, TRIES};
use crate::lease::{Held, Lease};

/// How long before its lease a cluster may seem to be created: clocks differ.
const EARLIER: time::Duration = time::Duration::HOUR;
/// What an invocation may last beyond its time: a call to EMR that was on its way when it was killed.
const GRACE: Duration = Duration::from_secs(10);

/// What came of trying to take the lease.
pub(crate) enum Taken {
    /// It is ours.
    Ours(Held),
    /// There is nothing to take it for, or it must wait.
    Done(Outcome),
}

/// How things stand with a lease that is not ours.
enum Standing {
    /// It may be taken. A cluster that held it has ended.
    Free(Option<Cluster>),
    /// The same launch has its cluster.
    Launched(String),
    /// A cluster runs, or is just being started.
    Behind,
}

impl<E: Clusters> Launcher<'_, E> {
    /// Whether the invocation that wrote the lease last may still be running.
    pub(crate) fn is_fresh(&self, held: &Held) -> bool {
        held.age < self.longest + GRACE
    }

    /// Takes the lease for a launch, where that is needed and may be.
    pub(crate) async fn take(&self, launch: &Launch, attempt: u32) -> Result<Taken> {
        for _ in 0..TRIES {
            let mut mine = Lease::of(launch, attempt, self.owner);
            let Some(held) = self.lease.read().await? else {
                match self.lease.write(&mine, None).await? {
                    Some(held) => return Ok(Taken::Ours(held)),
                    None => continue,
                }
            };
            match self.standing(&held, &mine).await? {
                Some(Standing::Launched(cluster_id)) => {
                    let cluster = held.lease.cluster;
                    return Ok(Taken::Done(Outcome::AlreadyLaunched { cluster, cluster_id }));
                }
                Some(Standing::Behind) if self.wait(&held, launch, attempt).await? => {
                    return Ok(Taken::Done(Outcome::Waiting { behind: held.lease.cluster }));
                }
                Some(Standing::Free(ended)) => {
                    inherit(&mut mine, &held.lease, ended.as_ref());
                    if let Some(held) = self.lease.write(&mine, Some(&held.etag)).await? {
                        return Ok(Taken::Ours(held));
                    }
                }
                Some(Standing::Behind) | None => (),
            }
        }
        Err(Error::Refused("others write the lease all the time: it is tried again".into()))
    }

    /// How things stand with a lease; none when it has just changed.
    async fn standing(&self, held: &Held, mine: &Lease) -> Result<Option<Standing>> {
        let lease = &held.lease;
        let same = lease.input == mine.input && mine.attempt <= lease.attempt;
        let id = match &lease.cluster_id {
            Some(id) => id.clone(),
            None if lease.released.is_some() => return Ok(Some(Standing::Free(None))),
            None if self.is_fresh(held) && same => {
                return Err(Error::Refused(format!(
                    "{} is just being launched, since {}: it is tried again",
                    lease.cluster, lease.taken_at
                )));
            }
            None if self.is_fresh(held) => return Ok(Some(Standing::Behind)),
            None => match self.find(&lease.cluster, lease.taken_at).await? {
                None => return Ok(Some(Standing::Free(None))),
                Some(found) => {
                    // The next look at the lease sees it as any other.
                    self.lease.write(&lease.recorded(&found.id), Some(&held.etag)).await?;
                    return Ok(None);
                }
            },
        };
        let cluster = self.clusters.describe(&id).await?;
        let called_off = cluster.as_ref().is_some_and(Cluster::is_called_off);
        Ok(Some(match cluster {
            // A try that could not make sure of its record has called it off, and failed: this is the next.
            _ if same && !called_off => Standing::Launched(id),
            Some(cluster) if same && !cluster.has_ended() => return Err(ending(&cluster)),
            Some(cluster) if !cluster.has_ended() => Standing::Behind,
            // EMR may need a moment to know what it has just started.
            None if self.is_fresh(held) => Standing::Behind,
            ended => Standing::Free(ended),
        }))
    }

    /// Our cluster of that name, created since about then. One that was called off without being recorded does not count: it was started
    /// by a try that failed.
    pub(crate) async fn find(&self, name: &str, since: OffsetDateTime) -> Result<Option<Cluster>> {
        let mut calling_off = None;
        let since = since.saturating_sub(EARLIER);
        for listed in self.clusters.list(Which::Since(since)).await? {
            if listed.name != name {
                continue;
            }
            // Another deployment in this account may have a cluster of the same name.
            match self.clusters.describe(&listed.id).await? {
                Some(cluster) if !self.is_ours(&cluster) => (),
                Some(cluster) if !cluster.is_called_off() => return Ok(Some(cluster)),
                Some(cluster) if !cluster.has_ended() => calling_off = Some(cluster),
                _ => (),
            }
        }
        calling_off.map_or(Ok(None), |cluster| Err(ending(&cluster)))
    }

    /// Notes in the lease that a launch waits. Returns whether it is noted.
    async fn wait(&self, held: &Held, launch: &Launch, attempt: u32) -> Result<bool> {
        let mut lease = held.lease.clone();
        lease.await_turn(launch, attempt);
        Ok(lease == held.lease || self.lease.write(&lease, Some(&held.etag)).await?.is_some())
    }
}

fn ending(cluster: &Cluster) -> Error {
    Error::Refused(format!("{} ({}) is just ending: it is tried again", cluster.name, cluster.id))
}

/// What a new lease takes over from the last: who waits, and a launch whose cluster could not be prepared and
/// that has not been tried again, since the event that asks for it may come later than this launch.
fn inherit(mine: &mut Lease, last: &Lease, ended: Option<&Cluster>) {
    mine.waiting.clone_from(&last.waiting);
    if last.attempt == 1
        && last.input != mine.input
        && ended.is_some_and(Cluster::failed_to_bootstrap)
        && let Ok(failed) = last.launch()
    {
        mine.await_turn(&failed, 2);
    }
}
