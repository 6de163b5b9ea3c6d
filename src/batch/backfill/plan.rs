//! Plans a backfill: groups the differences between S3 and the table into tasks.

use super::diff::{Comparison, KeyDiff, count};
use super::key_action::{KeyAction, Retry};
use super::records::{KeyList, MissingKey, PhotoList, PhotoToEmbed};
use crate::batch::grouping::groups;
use crate::batch::run::Run;
use crate::batch::task::{Task, TaskKind};
use crate::contract::run::{Counts, VERSION};
use crate::error::{Error, Result};
use crate::s3::ObjectMeta;
use crate::table::current_rows::KeyState;

/// Target number of tasks for the buffered photos. Each slot of a cluster should get work, and all
/// slots should finish at about the same time.
const TASKS: usize = 64;
/// The range of the limit on photos per task. A task writes parts of 500 rows, so a lower limit
/// would make the parts smaller.
const TASK_PHOTOS: (usize, usize) = (500, 2000);
/// The range of the limit on bytes of photos per task.
const TASK_BYTES: (u64, u64) = (250_000_000, 1_000_000_000);
/// Keys per task that only checks and records keys.
const TASK_KEYS: usize = 1000;
/// The percentage of the current rows and rejects that may be removed without confirmation.
const MAX_REMOVED_PERCENT: u64 = 5;

/// Plans a backfill. Calls `on_task` with every task, and returns the counts of [`count`].
///
/// # Errors
/// [`Error::ConfirmationRequired`] when more than 5 % of the current rows and rejects would be
/// removed and `confirmed` is false. Then no task may be executed.
pub async fn plan(
    run: &Run,
    retry: &Retry,
    confirmed: bool,
    on_task: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Counts> {
    let mut comparison = Comparison::begin(run, retry).await?;
    let mut counts = Counts::default();
    let mut planner = TaskPlanner::new(run);
    while let Some(diff) = comparison.next().await? {
        count(&diff, &mut counts);
        planner.add(diff, on_task).await?;
    }
    planner.finish(on_task).await?;
    // The number of removals is known only at the end of the listing. Embed tasks were passed on
    // before, to keep memory bounded, so the caller must not execute them if this fails.
    if !confirmed {
        check_removals(&counts, &run.photos_bucket)?;
    }
    planner.reconcile_tasks.into_iter().try_for_each(on_task)?;
    Ok(counts)
}

/// Checks that few enough photos are missing from the bucket. Many missing photos are more likely a
/// wrong bucket than deleted photos.
fn check_removals(counts: &Counts, photos_bucket: &str) -> Result<()> {
    let (missing, current) = (counts.get("gone"), counts.get("rows") + counts.get("rejects"));
    if missing * 100 <= current * MAX_REMOVED_PERCENT {
        return Ok(());
    }
    Err(Error::ConfirmationRequired(format!(
        "{missing} of {current} photos in the table are not in s3://{photos_bucket}, which is more than \
         {MAX_REMOVED_PERCENT} %; nothing was done; check that this is the right bucket, and if the photos \
         were deleted on purpose, confirm with --yes"
    )))
}

/// Collects differences, and writes a task's list when it is full.
struct TaskPlanner<'a> {
    run: &'a Run,
    /// Photos to embed, with their sizes.
    photos: Vec<(u64, PhotoToEmbed)>,
    /// The sum of the sizes.
    bytes: u64,
    missing: Vec<MissingKey>,
    present: Vec<PhotoToEmbed>,
    embed_tasks: usize,
    /// Held back until the number of removals is known, and confirmed if necessary.
    reconcile_tasks: Vec<Task>,
}

impl<'a> TaskPlanner<'a> {
    fn new(run: &'a Run) -> Self {
        let (photos, missing, present) = (Vec::new(), Vec::new(), Vec::new());
        Self { run, photos, bytes: 0, missing, present, embed_tasks: 0, reconcile_tasks: Vec::new() }
    }

    async fn add(&mut self, diff: KeyDiff, on_task: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        let photo = |listed: ObjectMeta, reconcile| {
            let ObjectMeta { key, etag, .. } = listed;
            PhotoToEmbed { key, etag, reconcile }
        };
        match (diff.action, diff.listed) {
            (KeyAction::Embed(reconcile), Some(listed)) => {
                self.bytes += listed.size_bytes;
                self.photos.push((listed.size_bytes, photo(listed, reconcile)));
                if self.photos.len() >= TASKS * TASK_PHOTOS.1 || self.bytes >= TASKS as u64 * TASK_BYTES.1 {
                    self.plan_embed(on_task).await?;
                }
            }
            (KeyAction::Restore(reconcile), Some(listed)) => {
                self.present.push(photo(listed, Some(reconcile)));
            }
            (KeyAction::Remove { up_to }, None) => {
                let key = diff.state.as_ref().and_then(KeyState::any).map(|version| version.key.clone());
                self.missing.extend(key.map(|key| MissingKey { key, up_to }));
            }
            _ => (),
        }
        if self.missing.len() + self.present.len() >= TASK_KEYS {
            self.plan_reconcile().await?;
        }
        Ok(())
    }

    async fn finish(&mut self, on_task: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        if !self.photos.is_empty() {
            self.plan_embed(on_task).await?;
        }
        if !self.missing.is_empty() || !self.present.is_empty() {
            self.plan_reconcile().await?;
        }
        Ok(())
    }

    /// Makes tasks of the buffered photos.
    async fn plan_embed(&mut self, on_task: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        let (photos, bytes) = (std::mem::take(&mut self.photos), std::mem::take(&mut self.bytes));
        let (run, first) = (self.run, self.embed_tasks + 1);
        let groups = group_photos(photos, bytes);
        self.embed_tasks += groups.len();
        let lists = (first..).zip(groups).map(|(number, (bytes, photos))| {
            let kind = TaskKind::Embed { photos: photos.len() as u64, bytes };
            let list = PhotoList { version: VERSION, bucket: run.photos_bucket.clone(), photos };
            (format!("embed-{number:06}"), list, kind)
        });
        run.tasks(lists, on_task).await
    }

    /// Makes a task of the buffered keys.
    async fn plan_reconcile(&mut self) -> Result<()> {
        let name = format!("settle-{:06}", self.reconcile_tasks.len() + 1);
        let (missing, present) = (std::mem::take(&mut self.missing), std::mem::take(&mut self.present));
        let kind = TaskKind::Reconcile { keys: (missing.len() + present.len()) as u64 };
        let list = KeyList { version: VERSION, bucket: self.run.photos_bucket.clone(), missing, present };
        self.reconcile_tasks.push(self.run.task(name, &list, kind).await?);
        Ok(())
    }
}

/// Groups photos, given with their sizes, into tasks. Returns each group with its total size.
fn group_photos(photos: Vec<(u64, PhotoToEmbed)>, bytes: u64) -> Vec<(u64, Vec<PhotoToEmbed>)> {
    let max_photos = photos.len().div_ceil(TASKS).clamp(TASK_PHOTOS.0, TASK_PHOTOS.1);
    let max_bytes = (bytes / TASKS as u64).clamp(TASK_BYTES.0, TASK_BYTES.1);
    let groups = groups(photos, [max_photos as u64, max_bytes], |(size, _)| [1, *size]);
    let sum_sizes = |group: Vec<(u64, PhotoToEmbed)>| {
        let bytes = group.iter().map(|(size, _)| size).sum();
        (bytes, group.into_iter().map(|(_, photo)| photo).collect())
    };
    groups.into_iter().map(sum_sizes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups photos of one size, and returns the number of photos per group.
    fn group_lengths(count: usize, size: u64) -> Vec<usize> {
        let photo = || PhotoToEmbed { key: "a".into(), etag: "e".into(), reconcile: None };
        let photos = (0..count).map(|_| (size, photo())).collect();
        let groups = group_photos(photos, count as u64 * size);
        assert!(groups.iter().all(|(bytes, group)| *bytes == group.len() as u64 * size));
        groups.into_iter().map(|(_, group)| group.len()).collect()
    }

    #[test]
    fn a_few_photos_make_small_tasks_and_many_make_64_larger_ones() {
        assert_eq!(group_lengths(1200, 1), [500, 500, 200]);
        assert_eq!(group_lengths(64_000, 1), [1000; 64]);
        assert_eq!(group_lengths(TASKS * 2000, 1), [2000; TASKS]);
        assert!(group_lengths(0, 1).is_empty());
    }

    #[test]
    fn a_task_of_large_photos_has_at_most_1_gb_but_at_least_one_photo() {
        assert_eq!(group_lengths(1000, 100_000_000), [10; 100]);
        assert_eq!(group_lengths(3, 2_000_000_000), [1; 3]);
    }

    #[test]
    fn more_than_5_percent_of_removals_need_confirmation() {
        let check = |gone: u64, rows: u64, rejects: u64| {
            let mut counts = Counts::default();
            counts.add("gone", gone);
            counts.add("rows", rows);
            counts.add("rejects", rejects);
            check_removals(&counts, "photos")
        };
        assert!(check(0, 0, 0).is_ok());
        assert!(check(5, 60, 40).is_ok());
        let error = check(6, 60, 40).unwrap_err();
        assert!(matches!(&error, Error::ConfirmationRequired(text) if text.contains("6 of 100")), "{error}");
        assert!(error.to_string().contains("s3://photos") && error.to_string().contains("--yes"), "{error}");
    }
}
