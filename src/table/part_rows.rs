//! A part of the table, and which of its rows are dead.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::contract::layout::{Part, PartName};
use crate::error::{Error, Result};

/// One part, with the state of its rows in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRows {
    /// The part's partition and name.
    pub part: Part,
    /// The number of rows, current or dead.
    pub rows: u32,
    /// The indices of the dead rows, in ascending order: superseded, removed, or stored twice.
    pub dead: Vec<u32>,
    /// The object's size.
    pub size_bytes: u64,
    /// The time of the put, by S3's clock.
    pub written_at: OffsetDateTime,
    /// Whether a compaction wrote the part to replace others.
    pub compacted: bool,
    /// The names of the parts that this one replaces, as far as they are still listed.
    pub replaces: Vec<PartName>,
    /// The indices, in [`Snapshot::parts`](crate::table::Snapshot::parts), of the parts that
    /// replace this one.
    pub replaced_by: Vec<usize>,
}

impl PartRows {
    /// Returns the number of current rows.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.rows - u32::try_from(self.dead.len()).unwrap_or(self.rows)
    }

    /// Returns whether the part was replaced and has no current row, so that nothing is lost
    /// without it.
    ///
    /// A replaced part may have the only current row of a photo that was uploaded again after the
    /// compaction. Such a part is not superseded.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        !self.replaced_by.is_empty() && self.current() == 0
    }
}

/// Checks that every part that was listed but could not be read is replaced by one that was read.
///
/// Only compaction deletes parts, and the replacement of a deleted part names it. If no replacement
/// was read, the listing was made before the replacement was written, and must be repeated.
///
/// # Errors
/// The error of the first missing part without a replacement.
pub(super) fn check_missing_were_compacted(missing: Vec<(Part, Error)>, parts: &[PartRows]) -> Result<()> {
    for (missing, error) in missing {
        let replaces = |part: &PartRows| {
            part.part.partition == missing.partition && part.replaces.contains(&missing.name)
        };
        if !parts.iter().any(replaces) {
            return Err(error);
        }
    }
    Ok(())
}

/// Fills in [`PartRows::replaced_by`] from the names in [`PartRows::replaces`].
pub(super) fn index_replacements(parts: &mut [PartRows]) {
    let indices: HashMap<Part, usize> =
        parts.iter().enumerate().map(|(index, part)| (part.part.clone(), index)).collect();
    let mut replacements = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        for name in &part.replaces {
            let replaced = Part { partition: part.part.partition.clone(), name: name.clone() };
            // A part that names itself must not count as replaced, or it could be deleted.
            let replaced = indices.get(&replaced).filter(|&&replaced| replaced != index);
            replacements.extend(replaced.map(|&replaced| (replaced, index)));
        }
    }
    replacements.into_iter().for_each(|(replaced, by)| parts[replaced].replaced_by.push(by));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::contract::layout::Partition;
    use time::macros::date;

    fn name(name: &str) -> PartName {
        PartName::parse(name).unwrap()
    }

    /// Returns a part with ten rows, all current.
    pub(in crate::table) fn part_rows(part: &str, replaces: &[&str]) -> PartRows {
        let partition = Partition { model: "m".into(), date: date!(2026 - 11 - 23) };
        PartRows {
            part: Part { partition, name: name(part) },
            rows: 10,
            dead: Vec::new(),
            size_bytes: 1000,
            written_at: OffsetDateTime::UNIX_EPOCH,
            compacted: !replaces.is_empty(),
            replaces: replaces.iter().map(|replaced| name(replaced)).collect(),
            replaced_by: Vec::new(),
        }
    }

    fn missing(part: Part) -> Vec<(Part, Error)> {
        let key = part.embeddings_key();
        vec![(part, Error::NotFound { bucket: "results".into(), key })]
    }

    #[test]
    fn rows_that_are_not_dead_are_current() {
        let part = PartRows { dead: vec![0, 3], ..part_rows("a", &[]) };
        assert_eq!(part.current(), 8);
    }

    #[test]
    fn a_part_is_superseded_if_it_is_replaced_and_all_its_rows_are_dead() {
        let part = part_rows("a", &[]);
        let all_dead = PartRows { dead: (0..10).collect(), ..part.clone() };
        let replaced = PartRows { replaced_by: vec![1], ..part };
        assert!(!all_dead.is_superseded(), "nothing replaces it");
        assert!(!replaced.is_superseded(), "its rows are current");
        assert!(!PartRows { dead: (0..9).collect(), ..replaced }.is_superseded(), "one row is current");
        assert!(PartRows { replaced_by: vec![1], ..all_dead }.is_superseded());
    }

    #[test]
    fn a_missing_part_is_accepted_if_a_part_replaces_it() {
        let old = part_rows("old", &[]).part;
        let replacement = part_rows("new", &["other", "old"]);
        assert!(check_missing_were_compacted(missing(old.clone()), &[replacement]).is_ok());
        let unrelated = [part_rows("old", &[]), part_rows("new", &["other"])];
        let error = check_missing_were_compacted(missing(old.clone()), &unrelated).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
        assert!(check_missing_were_compacted(missing(old), &[]).is_err());
        assert!(check_missing_were_compacted(Vec::new(), &[]).is_ok());
    }

    #[test]
    fn a_replacement_of_another_date_does_not_count() {
        let mut old = part_rows("old", &[]).part;
        old.partition.date = date!(2026 - 11 - 24);
        let replacement = part_rows("new", &["old"]);
        assert!(check_missing_were_compacted(missing(old), &[replacement]).is_err());
    }

    #[test]
    fn replacements_are_indexed_by_the_part_that_they_replace() {
        let mut parts = [
            part_rows("a", &[]),
            part_rows("b", &["a"]),
            part_rows("c", &["a", "b", "deleted"]),
            part_rows("d", &["d"]),
        ];
        index_replacements(&mut parts);
        let replaced_by = parts.map(|part| part.replaced_by);
        assert_eq!(replaced_by, [vec![1, 2], vec![2], vec![], vec![]]);
    }

    #[test]
    fn a_part_of_another_date_is_not_replaced() {
        let mut parts = [part_rows("a", &[]), part_rows("b", &["a"])];
        parts[0].part.partition.date = date!(2026 - 11 - 24);
        index_replacements(&mut parts);
        assert!(parts[0].replaced_by.is_empty());
    }
}
