//! A whole run in one process. On a cluster, a driver does the same with three commands.

use futures::{StreamExt, TryStreamExt};
use time::OffsetDateTime;

use super::commit::{Committed, commit};
use super::outcome::Outcome;
use super::pca::FitResult;
use super::plan::{PlanOptions, Planned, plan};
use super::run::Run;
use super::task::Task;
use super::work::Worker;
use crate::contract::run::Stage;
use crate::error::{Error, Result};
use crate::s3::newest_fit;

/// An event in a run.
#[derive(Debug)]
pub enum RunEvent<'a> {
    /// A stage was planned.
    Planned(&'a Planned),
    /// A task is done, or failed.
    Worked(&'a Outcome),
    /// A stage was committed.
    Committed(&'a Committed),
}

/// Executes all stages of a run, and reports its progress.
///
/// A run that was interrupted is started again. Returns the newest fit, if the job fits a PCA and
/// there are rows to fit.
///
/// # Errors
/// As [`plan`], [`Worker::work`] and [`commit`].
pub async fn run_local(
    run: &Run,
    worker: &Worker,
    options: &PlanOptions,
    on_event: &mut impl FnMut(RunEvent<'_>),
) -> Result<Option<FitResult>> {
    let started_at = OffsetDateTime::now_utc();
    let mut next = Some(run.job.stage(None)?);
    while let Some(stage) = next {
        let mut tasks = Vec::new();
        let mut collect = |task| {
            tasks.push(task);
            Ok(())
        };
        let planned = Box::pin(plan(run, stage, options, &mut collect)).await?;
        on_event(RunEvent::Planned(&planned));
        let outcomes = work(worker, stage, tasks, on_event).await?;
        let committed = Box::pin(commit(run, stage, outcomes)).await?;
        on_event(RunEvent::Committed(&committed));
        next = committed.next;
    }
    if !run.job.stages().contains(&Stage::Project) {
        return Ok(None);
    }
    let record = newest_fit(&run.store, &run.results_bucket, &run.card.id).await?;
    Ok(record.map(|record| {
        // Without changes since the newest fit, this run published none.
        let already = record.taken_at < started_at;
        FitResult::new(record, already)
    }))
}

/// Executes the tasks of a stage, with the worker's concurrency.
async fn work(
    worker: &Worker,
    stage: Stage,
    tasks: Vec<Task>,
    on_event: &mut impl FnMut(RunEvent<'_>),
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(tasks.len());
    // One thread polls all tasks. That is enough, because their CPU-bound work runs on blocking
    // threads.
    let running = tasks.iter().map(|task| Box::pin(worker.work(task)));
    let mut running = futures::stream::iter(running).buffer_unordered(worker.concurrency(stage));
    while let Some(outcome) = running.try_next().await? {
        on_event(RunEvent::Worked(&outcome));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Returns the error of a run that the user stopped.
#[must_use]
pub fn interrupted() -> Error {
    Error::NothingToDo("stopped; what is done is kept; run it again to continue".into())
}
