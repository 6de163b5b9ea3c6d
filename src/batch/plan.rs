//! Plan: lists the work of a stage as tasks.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::backfill::{self, Retry};
use super::compact::{self, CompactOptions};
use super::pca::{self, FitOptions};
use super::run::Run;
use super::task::Task;
use crate::contract::run::{Counts, Job, Stage, VERSION};
use crate::error::Result;

/// The user's options for a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanOptions {
    /// Which rejected photos to retry.
    pub retry: Retry,
    /// Whether the user has agreed to remove more than a few rows.
    pub confirmed: bool,
    /// Options for the compaction.
    pub compact: CompactOptions,
    /// Options for the fit.
    pub fit: FitOptions,
}

/// The result of planning a stage, left for its commit: `runs/<run id>/<stage>.plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The format [`VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// The run's job.
    pub job: Job,
    /// The planned stage.
    pub stage: Stage,
    /// The model's id.
    pub model: String,
    /// The start of planning, before anything was read.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// Number of tasks.
    pub tasks: u64,
    /// The state of the table and the bucket, counted.
    pub counts: Counts,
}

/// Returns the file of [`Planned`].
pub(crate) fn plan_file(stage: Stage) -> String {
    format!("{stage}.plan.json")
}

/// Plans a stage. Calls `on_task` with every task. If this fails, no task may be executed.
///
/// # Errors
/// [`Error::ConfirmationRequired`](crate::error::Error::ConfirmationRequired) when the user must
/// confirm the plan first, [`Error::S3`](crate::error::Error::S3), or the error that `on_task`
/// returns.
pub async fn plan(
    run: &Run,
    stage: Stage,
    options: &PlanOptions,
    on_task: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Planned> {
    // Taken before anything is read, so that the run covers everything uploaded before this time.
    let started_at = OffsetDateTime::now_utc();
    let mut tasks = 0;
    let mut counted_on_task = |task| {
        tasks += 1;
        on_task(task)
    };
    let PlanOptions { retry, confirmed, compact, fit } = options;
    // Boxed, because a future with all four plans in it may overflow the stack of a thread.
    let counts = match stage {
        Stage::Backfill => Box::pin(backfill::plan(run, retry, *confirmed, &mut counted_on_task)).await?,
        Stage::Compact => Box::pin(compact::plan(run, compact, &mut counted_on_task)).await?,
        Stage::Moments => Box::pin(pca::plan_moments(run, *fit, &mut counted_on_task)).await?,
        Stage::Project => Box::pin(pca::plan_project(run, &mut counted_on_task)).await?,
    };
    let (id, model) = (run.id.to_string(), run.card.id.clone());
    let planned =
        Planned { version: VERSION, run: id, job: run.job, stage, model, started_at, tasks, counts };
    // Written last. If planning fails, the stage has no plan file and cannot be committed.
    run.put(&plan_file(stage), &planned).await?;
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The file that the previous version wrote. A plan of one version may be committed by another.
    #[test]
    fn the_plan_file_has_the_documented_format() {
        let mut counts = Counts::default();
        counts.add("photos_listed", 3);
        let planned = Planned {
            version: VERSION,
            run: "20261124T030000Z-rebuild".into(),
            job: Job::Rebuild,
            stage: Stage::Backfill,
            model: "toy".into(),
            started_at: datetime!(2026-11-24 03:00:01.5 UTC),
            tasks: 2,
            counts,
        };
        let json = concat!(
            r#"{"version":1,"run":"20261124T030000Z-rebuild","job":"rebuild","stage":"backfill","model":"toy","#,
            r#""started_at":"2026-11-24T03:00:01.5Z","tasks":2,"counts":{"photos_listed":3}}"#,
        );
        assert_eq!(serde_json::to_string(&planned).unwrap(), json);
        assert_eq!(serde_json::from_str::<Planned>(json).unwrap(), planned);
        assert_eq!(plan_file(Stage::Moments), "moments.plan.json");
    }
}
