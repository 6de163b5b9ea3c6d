//! `fruitvec plan`, `work` and `commit`: the phases of a batch, as processes of their own.
//!
//! A driver plans a stage, hands its tasks out, and commits their outcomes, until a commit names no next stage:
//!
//! ```text
//! fruitvec plan rebuild --run ID …                 > tasks      (all of them, or none if it fails)
//! fruitvec work …                         < tasks  > outcomes   (anywhere, in any order, by many)
//! fruitvec commit rebuild --run ID …      < outcomes            → {"next": "compact", …}
//! fruitvec plan rebuild --run ID --stage compact …              and so on, until next is null
//! ```

use std::io::{BufRead, Write};

use clap::Args;
use fruitvec::backfill::Retry;
use fruitvec::commit::{Committed, commit};
use fruitvec::compact::{Aims, GRACE, PART_BYTES};
use fruitvec::error::{Error, Result};
use fruitvec::fits::{Asked, Projection};
use fruitvec::outcome::Outcome;
use fruitvec::plan::{Planned, Wishes, plan};
use fruitvec::refit::COMPONENTS;
use fruitvec::reject::RejectCode;
use fruitvec::run::{Job, Run, RunId, Stage};
use fruitvec::store::Store;
use fruitvec::task::Task;
use time::Duration;

use super::place::{Common, Means, worker};

/// Which phase of which run.
#[derive(Args)]
struct Phase {
    /// backfill (with compact), compact, pca, or rebuild, which is all of them.
    job: Job,
    /// The run's id: a time and a name, such as 20261124T030000Z-rebuild.
    #[arg(long, value_name = "ID")]
    run: RunId,
    /// The stage, as the commit before it named it; without it, the job's first.
    #[arg(long)]
    stage: Option<Stage>,
    #[command(flatten)]
    common: Common,
}

impl Phase {
    /// The run, whose photos must be named if this phase lists them.
    async fn begin(self, lists: bool) -> Result<(Run, Stage)> {
        let stage = self.job.stage(self.stage)?;
        let Common { photos, results, model, .. } = self.common;
        if photos.is_none() && lists && stage == Stage::Backfill {
            return Err(Error::Config("name the bucket of the photos with --photos".into()));
        }
        let photos_bucket = photos.unwrap_or_default();
        let (store, card) = (Store::from_environment().await, model.card()?);
        Ok((Run { id: self.run, job: self.job, store, photos_bucket, results_bucket: results, card }, stage))
    }
}

/// What whoever starts a run may ask for.
#[derive(Args)]
pub(crate) struct Wished {
    /// Let more than 5 % of the rows go.
    #[arg(long)]
    yes: bool,
    /// Try rejected photos again: all, or those of a code; it may be given several times.
    #[arg(long, value_name = "CODE", num_args = 0..=1, require_equals = true, default_missing_value = ALL)]
    retry_rejects: Vec<String>,
    /// How long a part that was replaced stays before it is deleted, hours.
    #[arg(long, value_name = "HOURS", default_value_t = GRACE.whole_hours() as u32)]
    grace_hours: u32,
    /// Bytes of a part that is written anew, about; in MiB.
    #[arg(long, value_name = "MIB", default_value_t = (PART_BYTES >> 20) as u32, value_parser = clap::value_parser!(u32).range(1..))]
    part_mib: u32,
    /// How many components the PCA has.
    #[arg(long, value_name = "N", default_value_t = COMPONENTS)]
    components: usize,
    /// Fit the PCA from the rows alone, whatever is kept and even if nothing has changed.
    #[arg(long)]
    full: bool,
    /// Which rows are projected: all, none, or new, those of parts that the fit before did not project.
    #[arg(long, value_name = "ROWS", default_value = "all")]
    project: Projection,
}

const ALL: &str = "all";

impl Wished {
    pub(crate) fn wishes(&self) -> Result<Wishes> {
        let grace = Duration::hours(self.grace_hours.into());
        let aims = Aims { part_bytes: u64::from(self.part_mib) << 20, grace };
        let asked = Asked { components: self.components, full: self.full, projection: self.project };
        Ok(Wishes { retry: retry(&self.retry_rejects)?, confirmed: self.yes, aims, asked })
    }
}

fn retry(codes: &[String]) -> Result<Retry> {
    if codes.is_empty() {
        return Ok(Retry::Nothing);
    }
    if codes.iter().any(|code| code == ALL) {
        return Ok(Retry::Everything);
    }
    let codes = codes.iter().map(|code| {
        serde_json::from_value::<RejectCode>(code.as_str().into())
            .map_err(|cause| Error::Config(format!("--retry-rejects={code}: {cause}")))
    });
    codes.collect::<Result<_>>().map(Retry::Codes)
}

/// Print what a stage of a run has to do, one task a line.
#[derive(Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    phase: Phase,
    #[command(flatten)]
    wished: Wished,
}

impl Plan {
    pub(crate) async fn run(self) -> Result<()> {
        let wishes = self.wished.wishes()?;
        let (run, stage) = self.phase.begin(true).await?;
        let mut each = |task: Task| print(&task.line()?);
        let planned = plan(&run, stage, &wishes, &mut each).await?;
        tell_planned(&planned);
        Ok(())
    }
}

/// Do the tasks on the standard input, and print what became of each, one outcome a line.
#[derive(Args)]
pub(crate) struct Work {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    means: Means,
}

impl Work {
    pub(crate) async fn run(self) -> Result<()> {
        let Common { results, model, .. } = self.common;
        let worker =
            worker(&Store::from_environment().await, &results, model.card()?, self.means, |_, _| ())?;
        let mut lines = std::io::stdin().lock().lines();
        // Lines come whenever whoever hands them out likes.
        while let Some(line) = tokio::task::block_in_place(|| lines.next()) {
            let line = line.map_err(Error::file("standard input"))?;
            if !line.trim().is_empty() {
                print(&worker.work(&Task::parse(&line)?).await?.line()?)?;
            }
        }
        Ok(())
    }
}

/// Make the result of a stage from the outcomes on the standard input; print it, with the next stage, as one line.
#[derive(Args)]
pub(crate) struct Commit {
    #[command(flatten)]
    phase: Phase,
}

impl Commit {
    pub(crate) async fn run(self) -> Result<()> {
        let (run, stage) = self.phase.begin(false).await?;
        let mut outcomes = Vec::new();
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(Error::file("standard input"))?;
            if !line.trim().is_empty() {
                outcomes.push(Outcome::parse(&line)?);
            }
        }
        let committed = commit(&run, stage, outcomes).await?;
        tell_committed(&committed);
        print(&serde_json::to_string(&committed).map_err(|cause| Error::Internal(cause.to_string()))?)
    }
}

/// A line that has left this process when this returns: whoever reads it may be waiting.
fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::file("standard output"))
}

/// What a plan found, for a person.
pub(crate) fn tell_planned(planned: &Planned) {
    eprintln!("{:<9} {} tasks  {}", planned.stage.as_str(), planned.tasks, listed(planned.counts.iter()));
}

/// What became of a stage, for a person.
pub(crate) fn tell_committed(committed: &Committed) {
    eprintln!("{:<9} done  {}", committed.stage.as_str(), listed(committed.counts.iter()));
    committed.errors.iter().for_each(|error| eprintln!("{:<9} failed: {error}", committed.stage.as_str()));
}

fn listed<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    counts.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
