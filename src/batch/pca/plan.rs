//! The PCA as tasks: moments of some parts each, merged and fitted by a commit; projections of some parts each, published by the next.
//!
//! What is summed up, fitted and projected is in [`Refit`], the same for one process and for many; here is what they hand each other. The
//! merge has two levels: a task merges its parts, and of tasks there are never so many that their moments are too much for one commit.

use std::collections::HashSet;
use std::str::FromStr;

use futures::{StreamExt, TryStreamExt};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::moments::Moments;
use crate::outcome::{Counts, Outcome, Report};
use crate::partition::{
    Part, PartName, Partition, format_date, moments_prefix, parse_date, reduced_prefix, run_key,
};
use crate::pca::Fit;
use crate::portion::{self, Portion};
use crate::reduced::Sample;
use crate::refit::{COMPONENTS, FitRecord, Refit, Seen, held};
use crate::run::{Job, Run, VERSION, paper};
use crate::snapshot::{PartRows, Snapshot};
use crate::store::Listed;
use crate::task::{Task, Work};
use crate::work::Worker;

/// Rows in a task, about.
const TASK_ROWS: u64 = 200_000;
/// Parts in a task, about, unless there would be too many tasks.
const TASK_PARTS: usize = 64;
/// Tasks at most, about: at 1280 numbers a row each leaves 6.6 MB for the commit.
const TASKS: usize = 512;
/// Moments of tasks that the commit fetches at once: 26 MB of 1280 numbers.
const MOMENTS_AT_ONCE: usize = 4;

/// A list of parts, and which of their rows hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// [`VERSION`].
    pub version: u32,
    /// The parts, in the order of their keys.
    pub parts: Vec<Holding>,
}

/// A part, and which of its rows hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Its day, `2026-11-23`.
    pub date: String,
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u32,
    /// The numbers of the rows that don't hold, ascending.
    pub dead: Vec<u32>,
    /// Whether its moments are kept beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

/// Which rows a fit projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// All current ones.
    #[default]
    All,
    /// Those of parts that the fit before did not project; the others keep their projection by that fit, in its folder.
    New,
    /// None.
    None,
}

impl FromStr for Projection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "new" => Ok(Self::New),
            "none" => Ok(Self::None),
            _ => Err("there are all, new and none".into()),
        }
    }
}

/// What a plan of the moments leaves for what comes after: `runs/<run id>/fit.plan.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FitPlan {
    version: u32,
    /// What the fit is to see; nothing when the newest fit saw it, or there is none to see.
    seen: Option<Seen>,
    components: usize,
    projection: Projection,
    /// The newest fit when this was planned.
    before: Option<String>,
    /// The lists of parts.
    lists: Vec<String>,
}

const FIT_PLAN: &str = "fit.plan.json";

/// A fit that is not published yet: `runs/<run id>/fit.json`.
#[derive(Serialize, Deserialize)]
struct Unpublished {
    version: u32,
    record: FitRecord,
    /// components × dimension, row by row.
    components: Vec<f64>,
}

const UNPUBLISHED: &str = "fit.json";

impl Unpublished {
    fn fit(&self) -> Fit {
        let record = &self.record;
        Fit {
            mean: record.mean.clone(),
            components: self.components.clone(),
            explained_variance: record.explained_variance.clone(),
            explained_variance_ratio: record.explained_variance_ratio.clone(),
            total_variance: record.total_variance,
            rows: record.rows,
            rank: record.rank,
        }
    }
}

/// What is asked of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// How many components.
    pub components: usize,
    /// Whether moments that are kept are ignored, and it is fitted even if nothing has changed.
    pub full: bool,
    /// Which rows are projected.
    pub projection: Projection,
}

impl Default for Asked {
    fn default() -> Self {
        Self { components: COMPONENTS, full: false, projection: Projection::All }
    }
}

fn refit(run: &Run, components: usize) -> Refit<'_> {
    Refit { store: &run.store, results_bucket: &run.results_bucket, card: &run.card, components }
}

/// Plans to sum up the current rows: `each` gets the tasks, of which there are none if there is nothing to fit.
///
/// # Errors
/// [`Error::Nothing`] when the job is nothing but a fit, and no row is current; [`Error::S3`], or what `each` returns.
pub async fn plan_moments(
    run: &Run,
    asked: Asked,
    each: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Counts> {
    let Asked { components, full, projection } = asked;
    let refit = refit(run, components);
    let snapshot = Snapshot::take(&run.store, &run.results_bucket, &run.card.id).await?;
    let mut seen = refit.seen(&snapshot);
    if projection != Projection::All {
        // A fit that projected less is no reason not to project all.
        seen.inputs = hex::encode(digest(&SHA256, format!("{} {projection:?}", seen.inputs).as_bytes()));
    }
    let mut counts = Counts::default();
    counts.add("rows_seen", seen.rows);
    counts.add("parts_seen", seen.parts as u64);
    if seen.rows == 0 && run.job == Job::Pca {
        return Err(Error::Nothing("there are no embeddings to fit a PCA to".into()));
    }
    let latest = refit.latest().await?.map(|(latest, _)| latest);
    let known = match &latest {
        Some(latest) if !full && latest.inputs == seen.inputs => refit.has(&latest.fit).await?,
        _ => false,
    };
    let before = latest.map(|latest| latest.fit);
    let seen = Some(seen).filter(|seen| seen.rows > 0 && !known);
    let mut lists = Vec::new();
    let groups = match &seen {
        Some(_) => grouped(&snapshot, &kept(run).await?),
        None => Vec::new(),
    };
    let tasks = (1..).zip(groups).map(|(number, parts)| {
        let work = Work::Moments { parts: parts.parts.len() as u64, rows: parts.current(), full };
        (format!("moments-{number:06}"), parts, work)
    });
    run.tasks(tasks, &mut |task| {
        lists.push(task.list.clone());
        each(task)
    })
    .await?;
    let plan = FitPlan { version: VERSION, seen, components, projection, before, lists };
    run.put(FIT_PLAN, &plan).await?;
    Ok(counts)
}

/// Parts with current rows, as many for a task as it can take.
fn grouped(snapshot: &Snapshot, kept: &HashSet<String>) -> Vec<Parts> {
    let count = held(snapshot).count();
    let most = TASK_PARTS.max(count.div_ceil(TASKS));
    // Of so many parts that their number decides, rows don't.
    let rows_too = most == TASK_PARTS;
    let mut groups: Vec<Parts> = Vec::new();
    for part in held(snapshot) {
        let full = |group: &Parts| group.parts.len() >= most || (rows_too && group.current() >= TASK_ROWS);
        if groups.last().is_none_or(full) {
            groups.push(Parts { version: VERSION, parts: Vec::new() });
        }
        let PartRows { part, rows, dead, .. } = part;
        let (date, name, kept) =
            (format_date(part.partition.date), part.name.to_string(), kept.contains(&part.stem()));
        let holding = Holding { date, name, rows: *rows, dead: dead.clone(), kept };
        groups.last_mut().into_iter().for_each(|group| group.parts.push(holding.clone()));
    }
    groups
}

impl Parts {
    fn current(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.rows) - part.dead.len() as u64).sum()
    }

    fn portions(&self, model: &str) -> Result<Vec<Portion>> {
        let portion = |Holding { date, name, rows, dead, kept }: &Holding| {
            let parsed = parse_date(date).zip(PartName::parse(name));
            let (date, name) = parsed.ok_or_else(|| Error::Task(format!("no part: date={date}/{name}")))?;
            let part = Part { partition: Partition { model: model.to_owned(), date }, name };
            Ok(Portion { part, rows: *rows, dead: dead.clone(), kept: *kept })
        };
        self.parts.iter().map(portion).collect()
    }
}

/// Sums up the current rows of a list's parts, and leaves their moments for the commit.
pub(crate) async fn moments(worker: &Worker, task: &Task, list: &Parts, full: bool) -> Result<Report> {
    let (store, results_bucket, card) = (&worker.store, &worker.results_bucket, &worker.card);
    let moments = portion::moments(store, results_bucket, card, list.portions(&card.id)?, full).await?;
    let key = run_key(&task.run, &format!("moments/{}.moments", task.task));
    worker.store.put(&worker.results_bucket, &key, "application/octet-stream", moments.to_bytes()).await?;
    Ok(report(list, key))
}

/// Projects the current rows of a list's parts, and leaves a sample for the picture.
pub(crate) async fn project(worker: &Worker, task: &Task, list: &Parts) -> Result<Report> {
    let unpublished: Unpublished =
        paper(&worker.store, &worker.results_bucket, &run_key(&task.run, UNPUBLISHED)).await?;
    let (parts, refit) = (list.portions(&worker.card.id)?, worker.refit(unpublished.record.components));
    let sample = refit.project(parts, unpublished.fit(), &unpublished.record.fit).await?;
    let key = run_key(&task.run, &format!("project/{}.sample.json", task.task));
    let body = serde_json::to_vec(&sample).map_err(Error::schema(&key))?;
    worker.store.put(&worker.results_bucket, &key, "application/json", body).await?;
    Ok(report(list, key))
}

fn report(list: &Parts, object: String) -> Report {
    let mut report = Report { object: Some(object), ..Report::default() };
    report.counts.add("parts", list.parts.len() as u64);
    report.counts.add("rows", list.current());
    report
}

/// Merges the moments of all tasks and fits them. Returns whether there is a fit to go on with.
pub(crate) async fn commit_moments(run: &Run, outcomes: &[Outcome]) -> Result<bool> {
    let plan: FitPlan = run.get(FIT_PLAN).await?;
    let Some(seen) = &plan.seen else { return Ok(false) };
    let dimension = run.card.dimension;
    let mut total = Moments::empty(dimension);
    let objects = objects(outcomes)?.into_iter();
    let fetched =
        objects.map(async |key| run.store.get(&run.results_bucket, key).await.map(|bytes| (key, bytes)));
    let mut fetched = futures::stream::iter(fetched).buffered(MOMENTS_AT_ONCE);
    while let Some((key, bytes)) = fetched.try_next().await? {
        total.merge(&Moments::from_bytes(key, dimension, &bytes)?)?;
    }
    let (record, fit) = refit(run, plan.components).fit(seen, &total)?;
    run.put(UNPUBLISHED, &Unpublished { version: VERSION, record, components: fit.components }).await?;
    Ok(true)
}

/// The objects that tasks left, all of which must be there.
fn objects(outcomes: &[Outcome]) -> Result<Vec<&str>> {
    let object = |outcome: &'_ Outcome| {
        let reason = outcome.errors.first().map_or("it left nothing", String::as_str);
        Error::Task(format!("the task {} failed: {reason}; run it again", outcome.task))
    };
    outcomes.iter().map(|outcome| outcome.object.as_deref().ok_or_else(|| object(outcome))).collect()
}

/// Plans to project the rows that were asked for: `each` gets the tasks.
///
/// # Errors
/// [`Error::S3`], or what `each` returns.
pub async fn plan_project(run: &Run, each: &mut impl FnMut(Task) -> Result<()>) -> Result<Counts> {
    let plan: FitPlan = run.get(FIT_PLAN).await?;
    let before = match (plan.projection, &plan.before) {
        (Projection::New, Some(fit)) => projected(run, fit).await?,
        _ => HashSet::new(),
    };
    let lists = if plan.projection == Projection::None { &[][..] } else { &plan.lists };
    let lists: Vec<Parts> = run.papers(lists.iter().map(String::as_str)).try_collect().await?;
    let tasks = (1..).zip(lists).filter_map(|(number, mut parts)| {
        parts.parts.retain(|part| !before.contains(&format!("date={}/{}", part.date, part.name)));
        let work = Work::Project { parts: parts.parts.len() as u64, rows: parts.current() };
        (!parts.parts.is_empty()).then(|| (format!("project-{number:06}"), parts, work))
    });
    run.tasks(tasks, each).await?;
    Ok(Counts::default())
}

/// The stems of the parts that a fit has projected.
async fn projected(run: &Run, fit: &str) -> Result<HashSet<String>> {
    stems(run, &reduced_prefix(&run.card.id, fit), ".parquet").await
}

/// The stems of the parts whose moments are kept.
async fn kept(run: &Run) -> Result<HashSet<String>> {
    stems(run, &moments_prefix(&run.card.id), ".moments").await
}

/// What the keys below a prefix have between it and their ending.
async fn stems(run: &Run, prefix: &str, ending: &str) -> Result<HashSet<String>> {
    let mut stems = HashSet::new();
    let note = |object: Listed| {
        let stem = object.key.strip_prefix(prefix).and_then(|key| key.strip_suffix(ending));
        stems.extend(stem.map(str::to_owned));
        Ok(())
    };
    run.store.list(&run.results_bucket, prefix, note).await?;
    Ok(stems)
}

/// Publishes the fit.
pub(crate) async fn commit_project(run: &Run, outcomes: &[Outcome]) -> Result<()> {
    let unpublished: Unpublished = run.get(UNPUBLISHED).await?;
    let mut sample = Sample::default();
    let mut samples = std::pin::pin!(run.papers(objects(outcomes)?));
    while let Some(some) = samples.try_next().await? {
        sample.merge(some);
    }
    let refit = refit(run, unpublished.record.components);
    refit.publish(&unpublished.record, &unpublished.fit(), &sample).await
}
