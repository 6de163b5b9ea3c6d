//! Commit: merges the outcomes of a stage into its result.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::outcome::{Outcome, State};
use super::pca;
use super::plan::{Planned, plan_file};
use super::run::Run;
use crate::contract::run::{Counts, Job, RunRecord, Stage, VERSION};
use crate::error::{Error, Result};

/// Failures that a commit describes. All are counted.
const MAX_REPORTED_ERRORS: usize = 3;

/// The result of a stage: one line of JSON, and `runs/<run id>/<stage>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// The format [`VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// The run's job.
    pub job: Job,
    /// The committed stage.
    pub stage: Stage,
    /// The stage to plan next, or `None` at the end of the run.
    pub next: Option<Stage>,
    /// Planned and completed work, counted.
    pub counts: Counts,
    /// The first failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Commits a stage. After the last one it writes the run's record.
///
/// # Errors
/// [`Error::Task`] when outcomes are missing or belong to another run, or when the last stage is
/// committed and the run left work undone.
pub async fn commit(run: &Run, stage: Stage, outcomes: Vec<Outcome>) -> Result<Committed> {
    let planned: Planned = run.get(&plan_file(stage)).await?;
    let outcomes = complete(&planned, outcomes)?;
    let (counts, errors) = summarize(&planned, &outcomes);
    let has_next = match stage {
        Stage::Backfill | Stage::Compact => true,
        Stage::Moments => Box::pin(pca::commit_moments(run, &outcomes)).await?,
        Stage::Project => Box::pin(pca::commit_project(run, &outcomes)).await.map(|()| true)?,
    };
    let next = run.job.after(stage).filter(|_| has_next);
    let id = run.id.to_string();
    let committed = Committed { version: VERSION, run: id, job: run.job, stage, next, counts, errors };
    // Written before the record, which is made from the commit files of all stages.
    run.put(&commit_file(stage), &committed).await?;
    if next.is_none() {
        write_record(run).await?;
    }
    Ok(committed)
}

/// Returns the file of [`Committed`].
fn commit_file(stage: Stage) -> String {
    format!("{stage}.json")
}

/// Returns one outcome per task. A task may have been executed several times. Then an outcome that
/// is done is preferred.
///
/// # Errors
/// [`Error::Task`] when a task has no outcome, or an outcome belongs to another run.
fn complete(planned: &Planned, outcomes: Vec<Outcome>) -> Result<Vec<Outcome>> {
    let mut by_task: BTreeMap<String, Outcome> = BTreeMap::new();
    for outcome in outcomes {
        if outcome.run != planned.run {
            let (task, actual, expected) = (&outcome.task, &outcome.run, &planned.run);
            return Err(Error::Task(format!(
                "the outcome of the task {task} belongs to the run {actual}, not to {expected}"
            )));
        }
        // One attempt that is done is enough, even if another failed.
        match by_task.get(&outcome.task) {
            Some(known) if known.state == State::Done => (),
            _ => _ = by_task.insert(outcome.task.clone(), outcome),
        }
    }
    if by_task.len() as u64 != planned.tasks {
        let (found, tasks, stage) = (by_task.len(), planned.tasks, planned.stage);
        return Err(Error::Task(format!(
            "the plan of the stage {stage} has {tasks} tasks, but there are outcomes of {found}; \
             commit the outcomes of all its tasks"
        )));
    }
    Ok(by_task.into_values().collect())
}

/// Sums the counts of a stage, and collects its first errors.
fn summarize(planned: &Planned, outcomes: &[Outcome]) -> (Counts, Vec<String>) {
    let mut counts = planned.counts.clone();
    counts.add("tasks", planned.tasks);
    let mut errors = Vec::new();
    for outcome in outcomes {
        counts.add("tasks_failed", u64::from(outcome.state == State::Failed));
        counts.merge(&outcome.counts);
        errors.extend(outcome.errors.iter().map(|error| format!("{}: {error}", outcome.task)));
    }
    errors.truncate(MAX_REPORTED_ERRORS);
    (counts, errors)
}

/// Writes the record of a finished run.
///
/// # Errors
/// [`Error::Task`] when the run left work undone.
async fn write_record(run: &Run) -> Result<()> {
    let first: Planned = run.get(&plan_file(run.job.stages()[0])).await?;
    let mut stages = BTreeMap::new();
    let mut failures = Vec::new();
    for stage in run.job.stages() {
        let Committed { counts, errors, .. } = match run.get(&commit_file(*stage)).await {
            // A run without anything to fit ends early, so its later stages have no commit.
            Err(Error::NotFound { .. }) => continue,
            committed => committed?,
        };
        if counts.get("failed") + counts.get("tasks_failed") > 0 {
            failures.extend(errors);
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
    if failures.is_empty() {
        return run.put("run.json", &record).await.map(drop);
    }
    // Readers take the newest `run.json` for the state of S3, which an incomplete run did not
    // reach.
    run.put("incomplete.json", &record).await?;
    Err(Error::Task(format!(
        "something is left undone; completed work is kept, so run it again: {}",
        failures.join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::outcome::Report;
    use crate::batch::task::{Task, TaskKind};

    const RUN: &str = "20261124T030000Z-rebuild";

    fn task(name: &str) -> Task {
        Task {
            version: VERSION,
            run: RUN.into(),
            task: name.into(),
            model: "toy".into(),
            list: "l".into(),
            kind: TaskKind::Delete { objects: 1 },
        }
    }

    fn done(name: &str, parts_deleted: u64) -> Outcome {
        let mut report = Report::default();
        report.counts.add("parts_deleted", parts_deleted);
        Outcome::done(&task(name), 1.0, report)
    }

    fn failed(name: &str) -> Outcome {
        Outcome::failed(&task(name), 1.0, &Error::Config(format!("{name} is wrong")))
    }

    fn planned(tasks: u64) -> Planned {
        let mut counts = Counts::default();
        counts.add("parts", 7);
        Planned {
            version: VERSION,
            run: RUN.into(),
            job: Job::Rebuild,
            stage: Stage::Compact,
            model: "toy".into(),
            started_at: OffsetDateTime::UNIX_EPOCH,
            tasks,
            counts,
        }
    }

    #[test]
    fn an_outcome_that_is_done_wins_over_a_failed_one() {
        for outcomes in [
            vec![failed("a"), done("a", 1), failed("a"), done("b", 2)],
            vec![done("b", 2), done("a", 1), done("a", 1), failed("b")],
        ] {
            assert_eq!(complete(&planned(2), outcomes).unwrap(), [done("a", 1), done("b", 2)]);
        }
        assert_eq!(complete(&planned(1), vec![failed("a"), failed("a")]).unwrap(), [failed("a")]);
        assert_eq!(complete(&planned(0), Vec::new()).unwrap(), []);
    }

    #[test]
    fn every_planned_task_needs_an_outcome() {
        for outcomes in [vec![], vec![done("a", 1)], vec![done("a", 1), done("a", 1)]] {
            let error = complete(&planned(2), outcomes).unwrap_err();
            assert!(matches!(&error, Error::Task(text) if text.contains("2 tasks")), "{error}");
        }
        let too_many = vec![done("a", 1), done("b", 1)];
        assert!(complete(&planned(1), too_many).unwrap_err().to_string().contains("outcomes of 2"));
    }

    #[test]
    fn an_outcome_of_another_run_is_an_error() {
        let other = Outcome { run: "20261125T030000Z-rebuild".into(), ..done("a", 1) };
        let error = complete(&planned(1), vec![other]).unwrap_err().to_string();
        assert!(error.contains("20261125T030000Z-rebuild") && error.contains(RUN), "{error}");
    }

    #[test]
    fn a_summary_counts_all_tasks_and_describes_the_first_failures() {
        let outcomes = [done("a", 2), failed("b"), failed("c"), failed("d"), failed("e"), done("f", 3)];
        let (counts, errors) = summarize(&planned(6), &outcomes);
        let expected = [("parts", 7), ("parts_deleted", 5), ("tasks", 6), ("tasks_failed", 4)];
        assert_eq!(counts.iter().collect::<Vec<_>>(), expected);
        assert_eq!(errors, ["b", "c", "d"].map(|name| format!("{name}: configuration: {name} is wrong")));
    }

    /// The files that the previous version wrote. The driver of a cluster parses them.
    #[test]
    fn the_commit_file_has_the_documented_format() {
        let (counts, errors) = summarize(&planned(1), &[failed("a")]);
        let committed = Committed {
            version: VERSION,
            run: RUN.into(),
            job: Job::Rebuild,
            stage: Stage::Compact,
            next: Some(Stage::Moments),
            counts,
            errors,
        };
        let json = concat!(
            r#"{"version":1,"run":"20261124T030000Z-rebuild","job":"rebuild","stage":"compact","next":"moments","#,
            r#""counts":{"parts":7,"tasks":1,"tasks_failed":1},"errors":["a: configuration: a is wrong"]}"#,
        );
        assert_eq!(serde_json::to_string(&committed).unwrap(), json);
        assert_eq!(serde_json::from_str::<Committed>(json).unwrap(), committed);
        let last = Committed { next: None, counts: Counts::default(), errors: Vec::new(), ..committed };
        let json = r#"{"version":1,"run":"20261124T030000Z-rebuild","job":"rebuild","stage":"compact","next":null,"counts":{}}"#;
        assert_eq!(serde_json::to_string(&last).unwrap(), json);
        assert_eq!(commit_file(Stage::Compact), "compact.json");
    }
}
