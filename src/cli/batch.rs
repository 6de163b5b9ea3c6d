//! `fruitvec plan`, `work` and `commit`: the phases of a batch run, as processes.
//!
//! A driver plans a stage, distributes its tasks, and commits their outcomes, until a commit names
//! no next stage:
//!
//! ```text
//! fruitvec plan rebuild --run ID …                 > tasks      (all of them, or none if it fails)
//! fruitvec work …                         < tasks  > outcomes   (anywhere, in any order)
//! fruitvec commit rebuild --run ID …      < outcomes            → {"next": "compact", …}
//! fruitvec plan rebuild --run ID --stage compact …              and so on, until next is null
//! ```

use std::io::{BufRead, Write};

use clap::Args;
use fruitvec::batch::commit::commit;
use fruitvec::batch::outcome::Outcome;
use fruitvec::batch::plan::plan;
use fruitvec::batch::run::Run;
use fruitvec::batch::task::Task;
use fruitvec::config::RESULTS_BUCKET;
use fruitvec::contract::run::{Job, RunId, Stage};
use fruitvec::error::{Error, Result};
use fruitvec::s3::Store;

use super::buckets::bucket_name;
use super::model_args::ModelArgs;
use super::plan_args::PlanArgs;
use super::progress::{show_committed, show_planned};
use super::worker_args::{WorkerArgs, worker};

/// The arguments that all three phases share.
#[derive(Args)]
struct BatchArgs {
    /// The photos bucket: `s3://BUCKET`, or just its name.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket_name)]
    photos: Option<String>,
    /// The results bucket. Credentials, region and endpoint come from the environment.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket_name, env = RESULTS_BUCKET)]
    results: String,
    #[command(flatten)]
    model: ModelArgs,
}

/// A phase of a stage of a run.
#[derive(Args)]
struct PhaseArgs {
    /// backfill (with compact), compact, pca, or rebuild, which is all of them.
    job: Job,
    /// The run's id: a time and a name, such as 20261124T030000Z-rebuild.
    #[arg(long, value_name = "ID")]
    run: RunId,
    /// The stage that the previous commit named. Default: the job's first stage.
    #[arg(long)]
    stage: Option<Stage>,
    #[command(flatten)]
    batch: BatchArgs,
}

impl PhaseArgs {
    /// Returns the run and the stage. A phase that lists the photos must name their bucket.
    async fn open(self, lists_photos: bool) -> Result<(Run, Stage)> {
        let stage = self.job.stage(self.stage)?;
        let BatchArgs { photos, results, model, .. } = self.batch;
        if photos.is_none() && lists_photos && stage == Stage::Backfill {
            return Err(Error::Config("name the bucket of the photos with --photos".into()));
        }
        let photos_bucket = photos.unwrap_or_default();
        let (store, card) = (Store::from_environment().await, model.card()?);
        Ok((Run { id: self.run, job: self.job, store, photos_bucket, results_bucket: results, card }, stage))
    }
}

/// Print the tasks of a stage, one per line.
#[derive(Args)]
pub(crate) struct PlanCommand {
    #[command(flatten)]
    phase: PhaseArgs,
    #[command(flatten)]
    plan: PlanArgs,
}

impl PlanCommand {
    pub(crate) async fn run(self) -> Result<()> {
        let options = self.plan.options()?;
        let (run, stage) = self.phase.open(true).await?;
        let mut each = |task: Task| print_line(&task.line()?);
        let planned = plan(&run, stage, &options, &mut each).await?;
        show_planned(&planned);
        Ok(())
    }
}

/// Execute the tasks on standard input, and print their outcomes, one per line.
#[derive(Args)]
pub(crate) struct WorkCommand {
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    worker: WorkerArgs,
}

impl WorkCommand {
    pub(crate) async fn run(self) -> Result<()> {
        let BatchArgs { results, model, .. } = self.batch;
        let store = Store::from_environment().await;
        let worker = worker(&store, &results, model.card()?, self.worker, |_, _| ())?;
        let mut lines = std::io::stdin().lock().lines();
        // The driver may write its next line at any time, so waiting for it must not hold up the
        // runtime.
        while let Some(line) = tokio::task::block_in_place(|| lines.next()) {
            let line = line.map_err(Error::file("standard input"))?;
            if !line.trim().is_empty() {
                print_line(&worker.work(&Task::parse(&line)?).await?.line()?)?;
            }
        }
        Ok(())
    }
}

/// Commit the outcomes on standard input, and print the result with the next stage as one line.
#[derive(Args)]
pub(crate) struct CommitCommand {
    #[command(flatten)]
    phase: PhaseArgs,
}

impl CommitCommand {
    pub(crate) async fn run(self) -> Result<()> {
        let (run, stage) = self.phase.open(false).await?;
        let mut outcomes = Vec::new();
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(Error::file("standard input"))?;
            if !line.trim().is_empty() {
                outcomes.push(Outcome::parse(&line)?);
            }
        }
        let committed = commit(&run, stage, outcomes).await?;
        show_committed(&committed);
        print_line(&serde_json::to_string(&committed).map_err(|cause| Error::Internal(cause.to_string()))?)
    }
}

/// Prints a line and flushes it, since the driver may be waiting for it.
fn print_line(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::file("standard output"))
}
