//! Commit: the outcomes of a stage become its result.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::fits;
use crate::outcome::{Counts, Outcome, State};
use crate::plan::{Planned, planned};
use crate::run::{Job, Run, Stage, VERSION};

/// Failures that an error tells.
const TOLD: usize = 3;

/// What a commit says, one line of JSON; it lies in `runs/<run id>/<stage>.json`, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// [`VERSION`].
    pub version: u32,
    /// The run.
    pub run: String,
    /// Its job.
    pub job: Job,
    /// The stage that was committed.
    pub stage: Stage,
    /// The stage that is to be planned next; after the last there is none.
    pub next: Option<Stage>,
    /// What was planned and done, counted.
    pub counts: Counts,
    /// The first failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// The end of a run, `runs/<run id>/run.json`. A run that left something undone has an `incomplete.json` instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`VERSION`].
    pub version: u32,
    /// The run.
    pub run: String,
    /// Its job.
    pub job: Job,
    /// The model.
    pub model: String,
    /// When it began, before it listed anything.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
    /// Objects in the photos bucket when it listed them, but for empty ones whose key ends in `/`; 0 if the job lists none.
    pub photos_listed: u64,
    /// By stage: what was planned and done, counted.
    #[serde(default)]
    pub stages: BTreeMap<String, Counts>,
}

/// Commits a stage. After the last one it writes the run's record.
///
/// # Errors
/// [`Error::Task`] when outcomes are missing, or are of another run; at the end of a run, when it left something undone.
pub async fn commit(run: &Run, stage: Stage, outcomes: Vec<Outcome>) -> Result<Committed> {
    let planned: Planned = run.get(&planned(stage)).await?;
    let outcomes = complete(&planned, outcomes)?;
    let mut counts = planned.counts.clone();
    counts.add("tasks", planned.tasks);
    let mut errors = Vec::new();
    for outcome in &outcomes {
        counts.add("tasks_failed", u64::from(outcome.state == State::Failed));
        counts.merge(&outcome.counts);
        errors.extend(outcome.errors.iter().map(|error| format!("{}: {error}", outcome.task)));
    }
    errors.truncate(TOLD);
    let goes_on = match stage {
        Stage::Backfill | Stage::Compact => true,
        Stage::Moments => Box::pin(fits::commit_moments(run, &outcomes)).await?,
        Stage::Project => Box::pin(fits::commit_project(run, &outcomes)).await.map(|()| true)?,
    };
    let next = run.job.after(stage).filter(|_| goes_on);
    let id = run.id.to_string();
    let committed = Committed { version: VERSION, run: id, job: run.job, stage, next, counts, errors };
    run.put(&format!("{stage}.json"), &committed).await?;
    if next.is_none() {
        record(run).await?;
    }
    Ok(committed)
}

/// One outcome of each task: of a task that was done twice, a good one.
fn complete(planned: &Planned, outcomes: Vec<Outcome>) -> Result<Vec<Outcome>> {
    let mut by_task: BTreeMap<String, Outcome> = BTreeMap::new();
    for outcome in outcomes {
        if outcome.run != planned.run {
            let (task, theirs, ours) = (&outcome.task, &outcome.run, &planned.run);
            return Err(Error::Task(format!("the outcome of {task} is of the run {theirs}, not of {ours}")));
        }
        match by_task.get(&outcome.task) {
            Some(known) if known.state == State::Done => (),
            _ => _ = by_task.insert(outcome.task.clone(), outcome),
        }
    }
    if by_task.len() as u64 != planned.tasks {
        let (found, planned, stage) = (by_task.len(), planned.tasks, planned.stage);
        return Err(Error::Task(format!(
            "{planned} tasks of the stage {stage} were planned, there are outcomes of {found}"
        )));
    }
    Ok(by_task.into_values().collect())
}

/// Writes what the whole run came to.
async fn record(run: &Run) -> Result<()> {
    let first: Planned = run.get(&planned(run.job.stages()[0])).await?;
    let mut stages = BTreeMap::new();
    let mut undone = Vec::new();
    for stage in run.job.stages() {
        let Committed { counts, errors, .. } = match run.get(&format!("{stage}.json")).await {
            // A stage that there was no need for.
            Err(Error::Gone { .. }) => continue,
            committed => committed?,
        };
        if counts.get("failed") + counts.get("tasks_failed") > 0 {
            undone.extend(errors);
        }
        stages.insert(stage.to_string(), counts);
    }
    let record = RunRecord {
        version: VERSION,
        run: run.id.to_string(),
        job: run.job,
        model: run.card.id.clone(),
        started_at: first.started_at,
        finished_at: OffsetDateTime::now_utc(),
        photos_listed: first.counts.get("photos_listed"),
        stages,
    };
    if undone.is_empty() {
        return run.put("run.json", &record).await.map(drop);
    }
    // Who looks for the newest run must not take this one for the state of S3.
    run.put("incomplete.json", &record).await?;
    Err(Error::Task(format!(
        "something is left undone; what is done is kept, run it again: {}",
        undone.join("; ")
    )))
}
