//! Plan: what a stage of a run has to do, as tasks.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::backfill::{self, Retry};
use crate::compact::{self, Aims};
use crate::error::Result;
use crate::fits::{self, Asked};
use crate::outcome::Counts;
use crate::run::{Job, Run, Stage, VERSION};
use crate::task::Task;

/// What whoever starts a run may ask for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wishes {
    /// Which rejected photos are tried again.
    pub retry: Retry,
    /// A person has agreed that more than a few rows go.
    pub confirmed: bool,
    /// What parts are to be like.
    pub aims: Aims,
    /// What the fit is to be like.
    pub asked: Asked,
}

/// What a plan leaves for its commit: `runs/<run id>/<stage>.plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// [`VERSION`].
    pub version: u32,
    /// The run.
    pub run: String,
    /// Its job.
    pub job: Job,
    /// The stage.
    pub stage: Stage,
    /// The model.
    pub model: String,
    /// When planning began, before anything was read.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// How many tasks there are.
    pub tasks: u64,
    /// What was seen, counted.
    pub counts: Counts,
}

/// The name of what a plan leaves for its commit.
pub(crate) fn planned(stage: Stage) -> String {
    format!("{stage}.plan.json")
}

/// Plans a stage: `each` gets the tasks. None of them must be done if this fails.
///
/// # Errors
/// [`Error::Unconfirmed`](crate::error::Error::Unconfirmed) when a person must agree first, [`Error::S3`](crate::error::Error::S3),
/// or what `each` returns.
pub async fn plan(
    run: &Run,
    stage: Stage,
    wishes: &Wishes,
    each: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Planned> {
    let started_at = OffsetDateTime::now_utc();
    let mut tasks = 0;
    let mut counted = |task| {
        tasks += 1;
        each(task)
    };
    // Boxed: together they are too much for the stack of a thread.
    let counts = match stage {
        Stage::Backfill => {
            Box::pin(backfill::plan(run, &wishes.retry, wishes.confirmed, &mut counted)).await?
        }
        Stage::Compact => Box::pin(compact::plan(run, &wishes.aims, &mut counted)).await?,
        Stage::Moments => Box::pin(fits::plan_moments(run, wishes.asked, &mut counted)).await?,
        Stage::Project => Box::pin(fits::plan_project(run, &mut counted)).await?,
    };
    let (id, model) = (run.id.to_string(), run.card.id.clone());
    let planned_ =
        Planned { version: VERSION, run: id, job: run.job, stage, model, started_at, tasks, counts };
    run.put(&planned(stage), &planned_).await?;
    Ok(planned_)
}

/// Things in groups that a task can take, in their order: as many as together have at most `most` of both measures, and at least one.
pub(crate) fn groups<T>(things: Vec<T>, most: [u64; 2], measures: impl Fn(&T) -> [u64; 2]) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut sums = [0; 2];
    for thing in things {
        let own = measures(&thing);
        let together = [sums[0] + own[0], sums[1] + own[1]];
        let fits = together[0] <= most[0] && together[1] <= most[1];
        match groups.last_mut() {
            Some(group) if fits => {
                sums = together;
                group.push(thing);
            }
            _ => {
                sums = own;
                groups.push(vec![thing]);
            }
        }
    }
    groups
}
