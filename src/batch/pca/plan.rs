//! Plans the PCA stages: which parts each task sums up or projects.

use std::collections::HashSet;

use futures::TryStreamExt;
use ring::digest::{SHA256, digest};

use super::fit::{FitInput, parts_with_current_rows};
use super::publish::Publisher;
use super::records::{FIT_PLAN, FitOptions, FitPlan, PartList, PartSelection, Projection};
use crate::batch::run::Run;
use crate::batch::task::{Task, TaskKind};
use crate::contract::layout::{format_date, moments_prefix, reduced_prefix};
use crate::contract::run::{Counts, Job, VERSION};
use crate::error::{Error, Result};
use crate::s3::ObjectMeta;
use crate::table::{PartRows, Snapshot};

/// Target number of rows per task.
const TASK_ROWS: u64 = 200_000;
/// Target number of parts per task, unless that makes more than [`TASKS`] tasks.
const TASK_PARTS: usize = 64;
/// Target maximum of tasks. With 1280 dimensions each task leaves 6.6 MB of moments for the commit.
const TASKS: usize = 512;

/// Plans to sum the moments of the current rows. Calls `on_task` with every task. There are no
/// tasks when there is nothing to fit.
///
/// # Errors
/// [`Error::NothingToDo`] when the job only fits a PCA and the table has no current rows,
/// [`Error::S3`], or the error that `on_task` returns.
pub async fn plan_moments(
    run: &Run,
    options: FitOptions,
    on_task: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Counts> {
    let FitOptions { components, full, projection } = options;
    let snapshot = Snapshot::take(&run.store, &run.results_bucket, &run.card.id).await?;
    let mut input = FitInput::new(&snapshot, &run.card, components);
    if projection != Projection::All {
        // Marks the fit as a different one. Otherwise a later run that projects all rows would find
        // a fit with equal inputs, and skip the projection. The digest contains the variant's name,
        // so renaming a variant would repeat such fits once.
        input.inputs = hex::encode(digest(&SHA256, format!("{} {projection:?}", input.inputs).as_bytes()));
    }
    let mut counts = Counts::default();
    counts.add("rows_seen", input.rows);
    counts.add("parts_seen", input.parts as u64);
    if input.rows == 0 && run.job == Job::Pca {
        return Err(Error::NothingToDo("there are no embeddings to fit a PCA to".into()));
    }
    let (input, previous) = changed_input(run, input, full).await?;
    let groups = match &input {
        Some(_) => group_parts(&snapshot, &parts_with_cached_moments(run).await?),
        None => Vec::new(),
    };
    let lists = plan_moments_tasks(run, groups, full, on_task).await?;
    let plan = FitPlan { version: VERSION, input, components, projection, previous, lists };
    run.put(FIT_PLAN, &plan).await?;
    Ok(counts)
}

/// Returns the input unless it has no rows or the newest fit had the same one, and the newest fit's
/// id.
async fn changed_input(run: &Run, input: FitInput, full: bool) -> Result<(Option<FitInput>, Option<String>)> {
    let publisher = Publisher::new(run.results());
    let latest = publisher.latest().await?;
    let unchanged = match &latest {
        Some(latest) if !full && latest.inputs == input.inputs => publisher.has(&latest.fit).await?,
        _ => false,
    };
    let input = Some(input).filter(|input| input.rows > 0 && !unchanged);
    Ok((input, latest.map(|latest| latest.fit)))
}

/// Makes the moments tasks, and returns the keys of their lists.
async fn plan_moments_tasks(
    run: &Run,
    groups: Vec<PartList>,
    full: bool,
    on_task: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Vec<String>> {
    let tasks = (1..).zip(groups).map(|(number, list)| {
        let kind = TaskKind::Moments { parts: list.parts.len() as u64, rows: list.current_rows(), full };
        (format!("moments-{number:06}"), list, kind)
    });
    let mut lists = Vec::new();
    run.tasks(tasks, &mut |task| {
        lists.push(task.list.clone());
        on_task(task)
    })
    .await?;
    Ok(lists)
}

/// Groups the parts with current rows into lists for one task each.
fn group_parts(snapshot: &Snapshot, cached: &HashSet<String>) -> Vec<PartList> {
    let count = parts_with_current_rows(snapshot).count();
    let max_parts = TASK_PARTS.max(count.div_ceil(TASKS));
    // With this many parts the number of tasks matters more than their rows.
    let limit_rows = max_parts == TASK_PARTS;
    let mut groups: Vec<PartList> = Vec::new();
    for part in parts_with_current_rows(snapshot) {
        let is_full = |group: &PartList| {
            group.parts.len() >= max_parts || (limit_rows && group.current_rows() >= TASK_ROWS)
        };
        if groups.last().is_none_or(is_full) {
            groups.push(PartList { version: VERSION, parts: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.parts.push(selection(part, cached));
        }
    }
    groups
}

fn selection(PartRows { part, rows, dead, .. }: &PartRows, cached: &HashSet<String>) -> PartSelection {
    PartSelection {
        date: format_date(part.partition.date),
        name: part.name.to_string(),
        rows: *rows,
        dead: dead.clone(),
        cached: cached.contains(&part.path_in_model()),
    }
}

/// Plans to project the rows that the options ask for. Calls `on_task` with every task.
///
/// # Errors
/// [`Error::S3`], or the error that `on_task` returns.
pub async fn plan_project(run: &Run, on_task: &mut impl FnMut(Task) -> Result<()>) -> Result<Counts> {
    let plan: FitPlan = run.get(FIT_PLAN).await?;
    let projected = match (plan.projection, &plan.previous) {
        (Projection::New, Some(fit)) => parts_projected_by(run, fit).await?,
        _ => HashSet::new(),
    };
    let lists = if plan.projection == Projection::None { &[][..] } else { &plan.lists };
    let lists: Vec<PartList> = run.read_files(lists.iter().map(String::as_str)).try_collect().await?;
    let tasks = (1..).zip(lists).filter_map(|(number, mut list)| {
        list.parts.retain(|part| !projected.contains(&format!("date={}/{}", part.date, part.name)));
        let kind = TaskKind::Project { parts: list.parts.len() as u64, rows: list.current_rows() };
        (!list.parts.is_empty()).then(|| (format!("project-{number:06}"), list, kind))
    });
    run.tasks(tasks, on_task).await?;
    Ok(Counts::default())
}

/// Returns the `Part::path_in_model` of the parts that a fit projected.
async fn parts_projected_by(run: &Run, fit: &str) -> Result<HashSet<String>> {
    paths_in_model(run, &reduced_prefix(&run.card.id, fit), ".parquet").await
}

/// Returns the `Part::path_in_model` of the parts with cached moments.
async fn parts_with_cached_moments(run: &Run) -> Result<HashSet<String>> {
    paths_in_model(run, &moments_prefix(&run.card.id), ".moments").await
}

/// Returns the paths in the model of the objects under a prefix whose keys end in `extension`.
async fn paths_in_model(run: &Run, prefix: &str, extension: &str) -> Result<HashSet<String>> {
    let mut paths = HashSet::new();
    let add = |object: ObjectMeta| {
        let path = object.key.strip_prefix(prefix).and_then(|key| key.strip_suffix(extension));
        paths.extend(path.map(str::to_owned));
        Ok(())
    };
    run.store.list(&run.results_bucket, prefix, add).await?;
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use time::OffsetDateTime;
    use time::macros::date;

    use super::*;
    use crate::contract::layout::{Part, PartName, Partition};

    fn part(number: usize, rows: u32, dead: &[u32]) -> PartRows {
        let partition = Partition { model: "m".into(), date: date!(2026 - 11 - 23) };
        PartRows {
            part: Part { partition, name: PartName::parse(&format!("p{number:06}")).unwrap() },
            rows,
            dead: dead.to_vec(),
            size_bytes: 0,
            written_at: OffsetDateTime::UNIX_EPOCH,
            compacted: false,
            replaces: Vec::new(),
            replaced_by: Vec::new(),
        }
    }

    fn snapshot(parts: Vec<PartRows>) -> Snapshot {
        Snapshot { taken_at: OffsetDateTime::UNIX_EPOCH, parts, rejected: BTreeMap::new() }
    }

    /// Groups parts of one size, and returns the number of parts per group.
    fn group_lengths(count: usize, rows: u32) -> Vec<usize> {
        let parts = (0..count).map(|number| part(number, rows, &[])).collect();
        group_parts(&snapshot(parts), &HashSet::new()).iter().map(|group| group.parts.len()).collect()
    }

    #[test]
    fn a_task_has_up_to_64_parts() {
        assert!(group_lengths(0, 10).is_empty());
        assert_eq!(group_lengths(130, 10), [64, 64, 2]);
        assert_eq!(group_lengths(TASKS * TASK_PARTS, 10), [TASK_PARTS; TASKS]);
    }

    #[test]
    fn a_task_ends_with_the_part_that_reaches_200_000_rows() {
        assert_eq!(group_lengths(5, 150_000), [2, 2, 1]);
        assert_eq!(group_lengths(3, 1_000_000), [1, 1, 1]);
    }

    #[test]
    fn a_large_table_makes_at_most_512_tasks() {
        let lengths = group_lengths(TASKS * TASK_PARTS * 2 + 1, 1_000_000);
        assert!(lengths.len() <= TASKS, "{} tasks", lengths.len());
        assert_eq!(lengths.iter().sum::<usize>(), TASKS * TASK_PARTS * 2 + 1);
    }

    #[test]
    fn only_parts_with_current_rows_are_grouped() {
        let parts = vec![part(0, 2, &[0, 1]), part(1, 3, &[1]), part(2, 0, &[]), part(3, 1, &[])];
        let cached = HashSet::from(["date=2026-11-23/p000003".to_owned()]);
        let selection = |name: &str, rows, dead: &[u32], cached| PartSelection {
            date: "2026-11-23".into(),
            name: name.into(),
            rows,
            dead: dead.to_vec(),
            cached,
        };
        let parts_in_list = vec![selection("p000001", 3, &[1], false), selection("p000003", 1, &[], true)];
        let groups = group_parts(&snapshot(parts), &cached);
        assert_eq!(groups, [PartList { version: VERSION, parts: parts_in_list }]);
        assert_eq!(groups[0].current_rows(), 3);
    }
}
