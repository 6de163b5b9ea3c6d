//! `fruitvec rebuild`: a whole run on this machine.

use clap::Args;
use fruitvec::batch::pca::FitResult;
use fruitvec::batch::plan::PlanOptions;
use fruitvec::batch::run::Run;
use fruitvec::batch::run_local::{RunEvent, interrupted, run_local};
use fruitvec::contract::run::Job;
use fruitvec::error::Result;

use super::buckets::BucketArgs;
use super::model_args::ModelArgs;
use super::plan_args::PlanArgs;
use super::progress::ProgressDisplay;
use super::show_fit::show_fit;
use super::terminal::ctrl_c;
use super::worker_args::{WorkerArgs, worker};

/// Synchronise the table with S3, compact it, and refit the PCA.
#[derive(Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    buckets: BucketArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    plan: PlanArgs,
    /// Do only this job: backfill (with compact), compact, or pca.
    #[arg(long, default_value = "rebuild")]
    job: Job,
}

impl Rebuild {
    pub(crate) async fn run(self) -> Result<()> {
        let options = self.plan.options()?;
        let buckets = self.buckets.open().await?;
        let run = buckets.start_run(self.job, &self.model)?;
        say!("run         {}", run.id);
        if let Some(fit) = rebuild(&run, self.worker, &options).await? {
            show_fit(&fit, |key| buckets.locate(key));
        }
        say!("record      {}", buckets.locate(&run.key("run.json")));
        Ok(())
    }
}

/// Does a run on this machine and shows its progress. Ctrl-C ends it with an error, which is safe
/// at any time, since every object is written whole or not at all.
pub(crate) async fn rebuild(run: &Run, args: WorkerArgs, options: &PlanOptions) -> Result<Option<FitResult>> {
    let progress = ProgressDisplay::default();
    let worker = worker(&run.store, &run.results_bucket, run.card.clone(), args, progress.on_photos())?;
    let mut on_event = |event: RunEvent<'_>| progress.show(&event);
    let fit = tokio::select! {
        fit = run_local(run, &worker, options, &mut on_event) => fit,
        () = ctrl_c() => Err(interrupted()),
    };
    progress.finish();
    fit
}
