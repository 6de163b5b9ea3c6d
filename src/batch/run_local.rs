//! A whole run in one process: what a driver on a cluster does with three commands.

use futures::{StreamExt, TryStreamExt};
use time::OffsetDateTime;

use crate::commit::{Committed, commit};
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::plan::{Planned, Wishes, plan};
use crate::refit::{Refitted, newest};
use crate::run::{Run, Stage};
use crate::task::Task;
use crate::work::Worker;

/// What a run has just done.
#[derive(Debug)]
pub enum Step<'a> {
    /// A stage is planned.
    Planned(&'a Planned),
    /// A task is done, or failed.
    Worked(&'a Outcome),
    /// A stage is committed.
    Committed(&'a Committed),
}

/// Does all stages of a run, and tells `hear` each step. Stopped anywhere, it is simply begun again. Returns the newest fit, if the job is
/// to fit and there is anything to fit.
///
/// # Errors
/// As [`plan`], [`Worker::work`] and [`commit`].
pub async fn drive(
    run: &Run,
    worker: &Worker,
    wishes: &Wishes,
    hear: &mut impl FnMut(Step<'_>),
) -> Result<Option<Refitted>> {
    let begun = OffsetDateTime::now_utc();
    let mut next = Some(run.job.stage(None)?);
    while let Some(stage) = next {
        let mut tasks = Vec::new();
        let mut take = |task| {
            tasks.push(task);
            Ok(())
        };
        let planned = Box::pin(plan(run, stage, wishes, &mut take)).await?;
        hear(Step::Planned(&planned));
        let outcomes = work(worker, stage, tasks, hear).await?;
        let committed = Box::pin(commit(run, stage, outcomes)).await?;
        hear(Step::Committed(&committed));
        next = committed.next;
    }
    if !run.job.stages().contains(&Stage::Project) {
        return Ok(None);
    }
    let record = newest(&run.store, &run.results_bucket, &run.card.id).await?;
    Ok(record.map(|record| {
        let already = record.taken_at < begun;
        Refitted::of(record, already)
    }))
}

/// Does the tasks of a stage, as many at once as the worker takes: what is arithmetic it does on other threads.
async fn work(
    worker: &Worker,
    stage: Stage,
    tasks: Vec<Task>,
    hear: &mut impl FnMut(Step<'_>),
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(tasks.len());
    let working = tasks.iter().map(|task| Box::pin(worker.work(task)));
    let mut working = futures::stream::iter(working).buffer_unordered(worker.at_once(stage));
    while let Some(outcome) = working.try_next().await? {
        hear(Step::Worked(&outcome));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The error of a run that a person stopped.
#[must_use]
pub fn interrupted() -> Error {
    Error::Nothing("stopped; what is done is kept, run it again to go on".into())
}
