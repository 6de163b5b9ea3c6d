//! Plans a compaction: makes tasks that rewrite parts, and tasks that delete objects.

use std::collections::{BTreeSet, HashSet};

use time::OffsetDateTime;

use super::delete_batcher::DeleteBatcher;
use super::records::{DeleteList, PartToDelete, PartToRead, Rewrite};
use super::selection::{CompactOptions, deletions, rewrites};
use super::sidecars::Sidecars;
use crate::batch::run::Run;
use crate::batch::task::{Task, TaskKind};
use crate::contract::layout::{Partition, format_date, reject_key};
use crate::contract::photo::PhotoId;
use crate::contract::run::{Counts, VERSION};
use crate::error::Result;
use crate::table::current_rows::KeyState;
use crate::table::{Origin, PartRows, Scan, Snapshot, from_micros};

/// Plans a compaction. Calls `on_task` with every task, and returns the counts `parts`,
/// `parts_to_compact` and `parts_to_delete`.
///
/// # Errors
/// [`Error::S3`](crate::error::Error::S3), or the error that `on_task` returns.
pub async fn plan(
    run: &Run,
    options: &CompactOptions,
    on_task: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Counts> {
    let now = OffsetDateTime::now_utc();
    // Sidecars are listed before the parts. A sidecar is written after its part, so every listed
    // one whose part is not in the snapshot is an orphan.
    let sidecars = Sidecars::list(run.results()).await?;
    let mut deletes = DeleteTasks { run, batcher: DeleteBatcher::default(), tasks: 0 };
    let mut scan = Scan::begin(&run.store, &run.results_bucket, &run.card.id).await?;
    while let Some(state) = scan.next_key()? {
        for key in dead_rejects(&state, &run.card.id) {
            deletes.add_object(key, on_task).await?;
        }
    }
    let snapshot = scan.finish()?;
    let groups = rewrites(&snapshot, options, now.date());
    let deletions = deletions(&snapshot, options.grace, now);
    let lists = (1..).zip(&groups).map(|(number, group)| {
        let (list, kind) = rewrite_list(&snapshot, group, options);
        (format!("compact-{number:06}"), list, kind)
    });
    run.tasks(lists, on_task).await?;
    for &index in &deletions {
        if let Some(part) = part_to_delete(&snapshot, &deletions, index, &sidecars) {
            deletes.add_part(part, on_task).await?;
        }
    }
    for key in sidecars.orphans(&snapshot) {
        deletes.add_object(key, on_task).await?;
    }
    deletes.finish(on_task).await?;
    let mut counts = Counts::default();
    counts.add("parts", snapshot.parts.len() as u64);
    counts.add("parts_to_compact", groups.iter().map(Vec::len).sum::<usize>() as u64);
    counts.add("parts_to_delete", deletions.len() as u64);
    Ok(counts)
}

/// Returns the keys of the rejects of a key that are not current.
fn dead_rejects(state: &KeyState, model: &str) -> impl Iterator<Item = String> {
    let rejects = state.dead.iter().filter(|version| version.origin == Origin::Reject);
    rejects.filter_map(move |version| {
        let date = from_micros(version.last_modified)?.date();
        Some(reject_key(&Partition { model: model.to_owned(), date }, PhotoId::from(version.photo_id)))
    })
}

/// Returns the list and the kind of the task that rewrites a group of parts.
fn rewrite_list(snapshot: &Snapshot, group: &[usize], options: &CompactOptions) -> (Rewrite, TaskKind) {
    let parts: Vec<&PartRows> = group.iter().map(|&index| &snapshot.parts[index]).collect();
    let bytes: u64 = parts.iter().map(|part| part.size_bytes).sum();
    let rows: u64 = parts.iter().map(|part| u64::from(part.rows)).sum();
    let current: u64 = parts.iter().map(|part| u64::from(part.current())).sum();
    // Assumes that all rows have the same size. In 128 bits, because the product may exceed 64.
    let current_bytes = u128::from(bytes) * u128::from(current) / u128::from(rows.max(1));
    let into = current_bytes.div_ceil(u128::from(options.part_bytes.max(1)));
    let into = into.clamp(1, u128::from(current.max(1))) as u64;
    let part_to_read = |part: &&PartRows| PartToRead {
        name: part.part.name.to_string(),
        size_bytes: part.size_bytes,
        dead: part.dead.clone(),
    };
    let list = Rewrite {
        version: VERSION,
        date: parts.first().map(|part| format_date(part.part.partition.date)).unwrap_or_default(),
        parts: parts.iter().map(part_to_read).collect(),
        replaces: replaced_names(snapshot, group),
        into,
    };
    (list, TaskKind::Compact { parts: group.len() as u64, rows, bytes })
}

/// Returns the names of a group's parts, and of the superseded parts that they replaced.
fn replaced_names(snapshot: &Snapshot, group: &[usize]) -> Vec<String> {
    let indices: HashSet<usize> = group.iter().copied().collect();
    let Some(&first) = group.first() else { return Vec::new() };
    let partition = &snapshot.parts[first].part.partition;
    let is_replaced = |(index, part): &(usize, &PartRows)| {
        indices.contains(index)
            || (part.part.partition == *partition
                && part.is_superseded()
                && part.replaced_by.iter().any(|by| indices.contains(by)))
    };
    snapshot
        .parts
        .iter()
        .enumerate()
        .filter(is_replaced)
        .map(|(_, part)| part.part.name.to_string())
        .collect()
}

/// Returns how to delete a part, or `None` if all its replacements are to be deleted too.
///
/// In that case a later run deletes it, once a replacement exists that stays.
fn part_to_delete(
    snapshot: &Snapshot,
    deletions: &BTreeSet<usize>,
    index: usize,
    sidecars: &Sidecars,
) -> Option<PartToDelete> {
    let part = &snapshot.parts[index];
    let mut keys = sidecars.of(&part.part);
    keys.push(part.part.embeddings_key());
    let staying = part.replaced_by.iter().filter(|by| !deletions.contains(by));
    let replaced_by: Vec<_> = staying.map(|&by| snapshot.parts[by].part.embeddings_key()).collect();
    (!replaced_by.is_empty() || part.rows == 0).then_some(PartToDelete { keys, replaced_by })
}

/// Makes tasks of deletions.
struct DeleteTasks<'a> {
    run: &'a Run,
    batcher: DeleteBatcher,
    tasks: usize,
}

impl DeleteTasks<'_> {
    async fn add_part(
        &mut self,
        part: PartToDelete,
        on_task: &mut impl FnMut(Task) -> Result<()>,
    ) -> Result<()> {
        let list = self.batcher.add_part(part);
        self.write(list, on_task).await
    }

    async fn add_object(&mut self, key: String, on_task: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        let list = self.batcher.add_object(key);
        self.write(list, on_task).await
    }

    async fn finish(mut self, on_task: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        let list = self.batcher.finish();
        self.write(list, on_task).await
    }

    /// Writes a list, if the batcher has completed one, and makes a task of it.
    async fn write(
        &mut self,
        list: Option<DeleteList>,
        on_task: &mut impl FnMut(Task) -> Result<()>,
    ) -> Result<()> {
        let Some(list) = list else { return Ok(()) };
        self.tasks += 1;
        let kind = TaskKind::Delete { objects: list.len() as u64 };
        on_task(self.run.task(format!("sweep-{:06}", self.tasks), &list, kind).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::compact::selection::tests::{PAST, TODAY, name, options, part, snapshot};
    use crate::table::RowVersion;

    #[test]
    fn a_group_is_rewritten_into_parts_of_the_target_size() {
        let parts = (0..30).map(|number| part(PAST, &format!("p{number:02}"), 15, &[])).collect();
        let snapshot = snapshot(parts);
        let groups = rewrites(&snapshot, &options(), TODAY);
        let (list, kind) = rewrite_list(&snapshot, &groups[0], &options());
        assert_eq!((groups.len(), list.into, list.parts.len()), (1, 5, 30));
        assert_eq!(kind, TaskKind::Compact { parts: 30, rows: 450, bytes: 450_000 });
        assert_eq!((list.date.as_str(), list.parts[7].name.as_str()), ("2026-11-20", "p07"));
    }

    #[test]
    fn dead_rows_do_not_count_toward_the_target_size() {
        let dead: Vec<u32> = (0..250).collect();
        let snapshot = snapshot(vec![part(PAST, "a", 400, &dead), part(PAST, "b", 0, &[])]);
        assert_eq!(rewrite_list(&snapshot, &[0], &options()).0.into, 2);
        assert_eq!(rewrite_list(&snapshot, &[1], &options()).0.into, 1, "a part without rows");
    }

    #[test]
    fn a_replacement_names_the_parts_that_its_inputs_replaced() {
        let mut parts = vec![part(PAST, "a", 2, &[0, 1]), part(PAST, "b", 2, &[]), part(PAST, "c", 2, &[])];
        (parts[0].replaced_by, parts[1].replaces) = (vec![1], vec![name("a")]);
        let snapshot = snapshot(parts);
        let groups = rewrites(&snapshot, &options(), TODAY);
        let (list, _) = rewrite_list(&snapshot, &groups[0], &options());
        assert_eq!(list.replaces, ["a", "b", "c"]);
        assert_eq!((list.parts.len(), list.into), (2, 1));
    }

    #[test]
    fn a_part_is_deleted_only_if_a_replacement_stays() {
        let mut parts = vec![part(PAST, "a", 1, &[0]), part(PAST, "b", 1, &[0]), part(PAST, "c", 1, &[])];
        (parts[0].replaced_by, parts[1].replaced_by) = (vec![1, 2], vec![2]);
        let snapshot = snapshot(parts);
        let key = |part: &str| format!("embeddings/model=m/date=2026-11-20/{part}.parquet");
        let moments = "moments/model=m/date=2026-11-20/a.moments".to_owned();
        let sidecars = Sidecars::from_keys([moments.clone()]);
        let delete = |deletions: BTreeSet<usize>| part_to_delete(&snapshot, &deletions, 0, &sidecars);
        let keys = vec![moments, key("a")];
        let replaced_by = vec![key("b"), key("c")];
        assert_eq!(delete(BTreeSet::from([0])), Some(PartToDelete { keys: keys.clone(), replaced_by }));
        let replaced_by = vec![key("c")];
        assert_eq!(delete(BTreeSet::from([0, 1])), Some(PartToDelete { keys, replaced_by }));
        assert_eq!(delete(BTreeSet::from([0, 1, 2])), None);
    }

    #[test]
    fn a_part_without_rows_is_deleted_without_a_replacement() {
        let snapshot = snapshot(vec![part(PAST, "a", 0, &[])]);
        let sidecars = Sidecars::from_keys([]);
        let deleted = part_to_delete(&snapshot, &BTreeSet::from([0]), 0, &sidecars).unwrap();
        let key = "embeddings/model=m/date=2026-11-20/a.parquet".to_owned();
        assert_eq!(deleted, PartToDelete { keys: vec![key], replaced_by: Vec::new() });
    }

    #[test]
    fn only_dead_rejects_are_deleted() {
        let version = |last_modified, origin| {
            let (bucket, key) = ("photos".into(), "a".into());
            RowVersion { bucket, key, last_modified, made_at: 0, photo_id: [7; 16], origin }
        };
        let state = KeyState {
            current: Some(version(3, Origin::Reject)),
            dead: vec![version(0, Origin::Reject), version(1, Origin::Row { part: 0, row: 0 })],
            removals: vec![version(2, Origin::Removal)],
        };
        let key = format!("rejects/model=m/date=1970-01-01/{}.json", "07".repeat(16));
        assert_eq!(dead_rejects(&state, "m").collect::<Vec<_>>(), [key]);
    }
}
