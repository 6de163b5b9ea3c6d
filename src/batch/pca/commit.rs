//! Commits the PCA stages: merges the moments and fits the PCA, then publishes the fit.

use futures::{StreamExt, TryStreamExt};

use super::error::pca_error;
use super::fit::fit;
use super::publish::Publisher;
use super::records::{FIT_PLAN, FitPlan, UNPUBLISHED_FIT, UnpublishedFit};
use super::sample::Sample;
use crate::batch::outcome::Outcome;
use crate::batch::run::Run;
use crate::contract::run::VERSION;
use crate::error::{Error, Result};
use crate::moments::Moments;

/// Moments objects in flight: 26 MB with 1280 dimensions.
const MOMENTS_CONCURRENCY: usize = 4;

/// Merges the moments of all tasks, and fits the PCA to them. Returns whether there is a fit to
/// publish.
pub(crate) async fn commit_moments(run: &Run, outcomes: &[Outcome]) -> Result<bool> {
    let plan: FitPlan = run.get(FIT_PLAN).await?;
    let Some(input) = &plan.input else { return Ok(false) };
    let dimension = run.card.dimension;
    let mut total = Moments::empty(dimension);
    let keys = task_objects(outcomes)?.into_iter();
    let fetched =
        keys.map(async |key| run.store.get(&run.results_bucket, key).await.map(|bytes| (key, bytes)));
    // Merged in the order of tasks, because a sum of floats depends on the order.
    let mut fetched = futures::stream::iter(fetched).buffered(MOMENTS_CONCURRENCY);
    while let Some((key, bytes)) = fetched.try_next().await? {
        let moments = Moments::from_bytes(key, dimension, &bytes).map_err(pca_error)?;
        total.merge(&moments).map_err(pca_error)?;
    }
    let (record, fit) = fit(input, &total, &run.card, plan.components)?;
    let unpublished = UnpublishedFit { version: VERSION, record, components: fit.components };
    run.put(UNPUBLISHED_FIT, &unpublished).await?;
    Ok(true)
}

/// Publishes the fit, with a scatter plot of the samples that the tasks left.
pub(crate) async fn commit_project(run: &Run, outcomes: &[Outcome]) -> Result<()> {
    let unpublished: UnpublishedFit = run.get(UNPUBLISHED_FIT).await?;
    let mut sample = Sample::default();
    let mut samples = std::pin::pin!(run.read_files(task_objects(outcomes)?));
    while let Some(other) = samples.try_next().await? {
        sample.merge(other);
    }
    Publisher::new(run.results()).publish(&unpublished.record, &unpublished.fit(), &sample).await
}

/// Returns the object that each task left.
///
/// # Errors
/// [`Error::Task`] when a task failed: without its object the result would be wrong.
fn task_objects(outcomes: &[Outcome]) -> Result<Vec<&str>> {
    let failure = |outcome: &Outcome| {
        let reason = outcome.errors.first().map_or("it left no object", String::as_str);
        Error::Task(format!("the task {} failed: {reason}; run it again", outcome.task))
    };
    outcomes.iter().map(|outcome| outcome.object.as_deref().ok_or_else(|| failure(outcome))).collect()
}
