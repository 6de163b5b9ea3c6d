//! A whole run in one process: what a driver on a cluster does with three commands.

use crate::commit::{Committed, commit};
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::plan::{Planned, Wishes, plan};
use crate::run::Run;
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

/// Does all stages of a run, and tells `hear` each step. Stopped anywhere, it is simply begun again.
///
/// # Errors
/// As [`plan`], [`Worker::work`] and [`commit`].
pub async fn drive(
    run: &Run,
    worker: &Worker,
    wishes: &Wishes,
    hear: &mut impl FnMut(Step<'_>),
) -> Result<Committed> {
    let mut stage = run.job.stage(None)?;
    loop {
        let mut tasks = Vec::new();
        let mut take = |task| {
            tasks.push(task);
            Ok(())
        };
        let planned = Box::pin(plan(run, stage, wishes, &mut take)).await?;
        hear(Step::Planned(&planned));
        let mut outcomes = Vec::with_capacity(tasks.len());
        for task in &tasks {
            let outcome = Box::pin(worker.work(task)).await?;
            hear(Step::Worked(&outcome));
            outcomes.push(outcome);
        }
        let committed = Box::pin(commit(run, stage, outcomes)).await?;
        hear(Step::Committed(&committed));
        match committed.next {
            Some(next) => stage = next,
            None => return Ok(committed),
        }
    }
}

/// The error of a run that a person stopped.
#[must_use]
pub fn interrupted() -> Error {
    Error::Nothing("stopped; what is done is kept, run it again to go on".into())
}
