//! Selects the parts to rewrite and the parts to delete.

use std::collections::{BTreeMap, BTreeSet};

use time::{Date, Duration, OffsetDateTime};

use crate::batch::grouping::groups;
use crate::contract::layout::Partition;
use crate::table::{PartRows, Snapshot};

/// The default target size of a rewritten part, in bytes.
pub const PART_BYTES: u64 = 128 << 20;
/// The default grace period before a replaced part is deleted.
pub const GRACE: Duration = Duration::hours(24);

/// The limit on the size of the parts that one task reads, in bytes.
const TASK_BYTES: u64 = 1 << 30;
/// The limit on the rows that one task reads. All their columns except the embeddings are in
/// memory.
const TASK_ROWS: u64 = 150_000;

/// The user's options for a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactOptions {
    /// The target size of a rewritten part, in bytes.
    pub part_bytes: u64,
    /// The grace period before a replaced part is deleted.
    pub grace: Duration,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { part_bytes: PART_BYTES, grace: GRACE }
    }
}

/// Returns the parts to rewrite, as indices into the snapshot. Each group is for one task.
#[must_use]
pub fn rewrites(snapshot: &Snapshot, options: &CompactOptions, today: Date) -> Vec<Vec<usize>> {
    // The threshold is well below the target. A rewritten part may turn out somewhat smaller than
    // the target, and must not be rewritten again for that.
    let is_small = |part: &PartRows| part.size_bytes < options.part_bytes * 2 / 5;
    let is_scattered = |part: &PartRows| !part.dead.is_empty() || (is_small(part) && part.rows > 0);
    // Today's parts are left alone, because more photos of today may arrive. Superseded parts have
    // no rows to keep, and are deleted later.
    let mut dates: BTreeMap<&Partition, Vec<usize>> = BTreeMap::new();
    for (index, part) in snapshot.parts.iter().enumerate() {
        if part.part.partition.date < today && !part.is_superseded() && is_scattered(part) {
            dates.entry(&part.part.partition).or_default().push(index);
        }
    }
    // Rewriting a single part without dead rows would gain nothing.
    let is_worthwhile = |group: &Vec<usize>| {
        group.len() > 1 || group.iter().any(|&index| !snapshot.parts[index].dead.is_empty())
    };
    dates.into_values().flat_map(|indices| group_parts(snapshot, indices)).filter(is_worthwhile).collect()
}

/// Groups the parts of one date into tasks.
fn group_parts(snapshot: &Snapshot, indices: Vec<usize>) -> Vec<Vec<usize>> {
    groups(indices, [TASK_BYTES, TASK_ROWS], |&index| {
        let part = &snapshot.parts[index];
        [part.size_bytes, u64::from(part.rows)]
    })
}

/// Returns the parts to delete, as indices into the snapshot.
///
/// These are superseded parts whose first replacement is older than the grace period. A replacement
/// without rows is also deleted after the grace period, once the parts that it replaces are gone.
#[must_use]
pub fn deletions(snapshot: &Snapshot, grace: Duration, now: OffsetDateTime) -> BTreeSet<usize> {
    // A reader that started before the replacement was written does not know it, and still reads
    // the replaced part.
    let is_old = |part: &PartRows| part.written_at + grace <= now;
    let is_deletable = |part: &PartRows| {
        let replaced = part.is_superseded() && part.replaced_by.iter().any(|&by| is_old(&snapshot.parts[by]));
        replaced || (part.rows == 0 && part.compacted && part.replaces.is_empty() && is_old(part))
    };
    (0..snapshot.parts.len()).filter(|&index| is_deletable(&snapshot.parts[index])).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::{date, datetime};

    use super::*;
    use crate::contract::layout::{Part, PartName};

    pub(in crate::batch::compact) const TODAY: Date = date!(2026 - 11 - 24);
    /// A date before today.
    pub(in crate::batch::compact) const PAST: Date = date!(2026 - 11 - 20);

    const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
    const NONE: [[usize; 0]; 0] = [];

    pub(in crate::batch::compact) fn name(name: &str) -> PartName {
        PartName::parse(name).unwrap()
    }

    /// Returns a part with rows of 1000 bytes each, written 26 hours before now.
    pub(in crate::batch::compact) fn part(date: Date, part: &str, rows: u32, dead: &[u32]) -> PartRows {
        let partition = Partition { model: "m".into(), date };
        PartRows {
            part: Part { partition, name: name(part) },
            rows,
            dead: dead.to_vec(),
            size_bytes: u64::from(rows) * 1000,
            written_at: datetime!(2026-11-23 10:00 UTC),
            compacted: false,
            replaces: Vec::new(),
            replaced_by: Vec::new(),
        }
    }

    pub(in crate::batch::compact) fn snapshot(parts: Vec<PartRows>) -> Snapshot {
        Snapshot { taken_at: NOW, parts, rejected: BTreeMap::new() }
    }

    /// Returns options with a target of 100 rows per part.
    pub(in crate::batch::compact) fn options() -> CompactOptions {
        CompactOptions { part_bytes: 100_000, grace: GRACE }
    }

    #[test]
    fn small_parts_of_past_dates_and_parts_with_dead_rows_are_rewritten() {
        let found = |parts| rewrites(&snapshot(parts), &options(), TODAY);
        assert_eq!(found(vec![part(PAST, "a", 5, &[]), part(PAST, "b", 5, &[])]), [[0, 1]]);
        assert_eq!(found(vec![part(TODAY, "a", 5, &[]), part(TODAY, "b", 5, &[1])]), NONE);
        assert_eq!(found(vec![part(PAST, "a", 5, &[])]), NONE, "a single part cannot be merged");
        assert_eq!(found(vec![part(PAST, "a", 5, &[2])]), [[0]]);
        let small_and_large = vec![part(PAST, "a", 90, &[]), part(PAST, "b", 5, &[])];
        assert_eq!(found(small_and_large), NONE, "only one part is small");
        let parts = vec![part(PAST, "a", 90, &[7]), part(PAST, "b", 5, &[]), part(PAST, "c", 90, &[])];
        assert_eq!(found(parts), [[0, 1]]);
    }

    #[test]
    fn parts_of_different_dates_are_not_merged() {
        let other = date!(2026 - 11 - 21);
        let parts = vec![part(PAST, "a", 5, &[]), part(other, "b", 5, &[]), part(other, "c", 5, &[])];
        assert_eq!(rewrites(&snapshot(parts), &options(), TODAY), [[1, 2]]);
    }

    #[test]
    fn a_task_reads_a_bounded_number_of_rows() {
        let parts = (0..4).map(|number| part(PAST, &format!("p{number}"), 70_000, &[3])).collect();
        assert_eq!(rewrites(&snapshot(parts), &options(), TODAY), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn a_rewritten_part_is_not_rewritten_again() {
        let parts = (0..5).map(|number| part(PAST, &format!("p{number}"), 90, &[])).collect();
        assert_eq!(rewrites(&snapshot(parts), &options(), TODAY), NONE);
    }

    #[test]
    fn a_superseded_part_is_deleted_after_the_grace_period_and_not_rewritten() {
        let mut old = part(PAST, "a", 2, &[0, 1]);
        old.replaced_by = vec![1];
        let mut new = part(PAST, "b", 2, &[]);
        new.replaces = vec![name("a")];
        let both = snapshot(vec![old.clone(), new.clone()]);
        assert_eq!(rewrites(&both, &options(), TODAY), NONE);
        assert_eq!(deletions(&both, GRACE, NOW), BTreeSet::from([0]));
        assert_eq!(deletions(&both, Duration::hours(27), NOW), BTreeSet::new(), "not yet");

        // One of its photos was uploaded again after the compaction, so it is a part like any
        // other.
        old.dead = vec![1];
        let current_again = snapshot(vec![old, new]);
        assert_eq!(deletions(&current_again, GRACE, NOW), BTreeSet::new());
        assert_eq!(rewrites(&current_again, &options(), TODAY), [[0, 1]]);
    }

    #[test]
    fn a_replacement_without_rows_is_deleted_last() {
        let mut parts = vec![part(PAST, "a", 2, &[0, 1]), part(PAST, "b", 0, &[])];
        (parts[0].replaced_by, parts[1].replaces, parts[1].compacted) = (vec![1], vec![name("a")], true);
        assert_eq!(deletions(&snapshot(parts.clone()), GRACE, NOW), BTreeSet::from([0]));
        parts.remove(0);
        // A snapshot does not name replaced parts that are no longer listed.
        parts[0].replaces.clear();
        assert_eq!(deletions(&snapshot(parts), GRACE, NOW), BTreeSet::from([0]));
        let not_compacted = snapshot(vec![part(PAST, "b", 0, &[])]);
        assert_eq!(deletions(&not_compacted, GRACE, NOW), BTreeSet::new(), "no compaction wrote it");
    }
}
