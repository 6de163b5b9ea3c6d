//! Executes the PCA tasks: sums the moments of parts, and projects their rows.

use super::moments::moments_of_parts;
use super::projection::project_parts;
use super::records::{PartList, UNPUBLISHED_FIT, UnpublishedFit};
use crate::batch::outcome::Report;
use crate::batch::results::Results;
use crate::batch::task::Task;
use crate::contract::layout::run_key;
use crate::error::Result;

/// Sums the moments of the current rows of a list's parts, and leaves them for the commit.
pub(crate) async fn sum_moments(
    results: Results<'_>,
    task: &Task,
    list: &PartList,
    full: bool,
) -> Result<Report> {
    let moments = moments_of_parts(results, list.inputs(&results.card.id)?, full).await?;
    // Named after the task, so that a retry replaces the object of the first attempt.
    let key = run_key(&task.run, &format!("moments/{}.moments", task.task));
    results.store.put(results.bucket, &key, "application/octet-stream", moments.to_bytes()).await?;
    Ok(report(list, key))
}

/// Projects the current rows of a list's parts, and leaves a sample of them for the scatter plot.
pub(crate) async fn project(results: Results<'_>, task: &Task, list: &PartList) -> Result<Report> {
    let unpublished: UnpublishedFit = results.read_json(&run_key(&task.run, UNPUBLISHED_FIT)).await?;
    let parts = list.inputs(&results.card.id)?;
    let sample = project_parts(results, parts, unpublished.fit(), &unpublished.record.fit).await?;
    let key = run_key(&task.run, &format!("project/{}.sample.json", task.task));
    results.store.put_json(results.bucket, &key, &sample).await?;
    Ok(report(list, key))
}

fn report(list: &PartList, object: String) -> Report {
    let mut report = Report { object: Some(object), ..Report::default() };
    report.counts.add("parts", list.parts.len() as u64);
    report.counts.add("rows", list.current_rows());
    report
}
