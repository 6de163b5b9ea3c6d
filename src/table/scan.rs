//! A scan of the whole table, key by key.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::current_rows::KeyState;
use super::part_rows::PartRows;
use super::row_version::{Origin, RowVersion};
use super::snapshot::Snapshot;
use super::table_reader::{TableReader, TableRecords};
use crate::contract::photo::PhotoId;
use crate::error::{Error, Result};
use crate::rejection::RejectCode;
use crate::s3::Store;

/// The maximum attempts to read a table while compaction deletes parts that were listed.
const MAX_ATTEMPTS: u32 = 3;

/// Whether the current version of a photo is a row or a reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotoStatus {
    /// The photo has a current row.
    Embedded,
    /// The photo has a reject.
    Rejected,
}

/// Iterates over the states of all keys, and collects a [`Snapshot`] on the way.
pub struct Scan {
    snapshot: Snapshot,
    codes: BTreeMap<[u8; 16], RejectCode>,
    key_states: Box<dyn Iterator<Item = Result<KeyState>> + Send>,
}

impl Scan {
    /// Reads the key columns of all parts, all rejects and all removals.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when an object has unexpected content.
    pub async fn begin(store: &Store, results_bucket: &str, model: &str) -> Result<Self> {
        let reader = TableReader { store, results_bucket, model };
        let mut attempt = 1;
        let (taken_at, records) = loop {
            let taken_at = OffsetDateTime::now_utc();
            match reader.read().await {
                // A part was listed, then replaced and deleted. Its rows are in a part that the
                // next listing includes.
                Err(Error::NotFound { .. }) if attempt < MAX_ATTEMPTS => attempt += 1,
                records => break (taken_at, records?),
            }
        };
        let TableRecords { parts, versions, codes } = records;
        let snapshot = Snapshot { taken_at, parts, rejected: BTreeMap::new() };
        Ok(Self { snapshot, codes, key_states: Box::new(versions.key_states()?) })
    }

    /// Returns the state of the next key, in the order of buckets and keys.
    ///
    /// # Errors
    /// [`Error::File`] when a temporary file can't be read.
    pub fn next_key(&mut self) -> Result<Option<KeyState>> {
        let Some(mut state) = self.key_states.next().transpose()? else { return Ok(None) };
        prefer_replacement(&self.snapshot.parts, &mut state);
        if let Some(version) = state.current.as_ref().filter(|version| version.origin == Origin::Reject)
            && let Some(code) = self.code(version)
        {
            *self.snapshot.rejected.entry(code).or_default() += 1;
        }
        for version in &state.dead {
            if let Origin::Row { part, row } = version.origin {
                self.snapshot.parts[part as usize].dead.push(row);
            }
        }
        Ok(Some(state))
    }

    /// Returns the reason of a reject; `None` for a row.
    #[must_use]
    pub fn code(&self, version: &RowVersion) -> Option<RejectCode> {
        self.codes.get(&version.photo_id).copied()
    }

    /// Scans the remaining keys, and returns the snapshot.
    ///
    /// # Errors
    /// As [`Scan::next_key`].
    pub fn finish(mut self) -> Result<Snapshot> {
        while self.next_key()?.is_some() {}
        // Rows were marked as dead in the order of keys, which is not always the order of the part.
        self.snapshot.parts.iter_mut().for_each(|part| part.dead.sort_unstable());
        Ok(self.snapshot)
    }
}

// These methods are here because `Scan` uses `Snapshot`, and two files must not import each other.
impl Snapshot {
    /// Reads the key columns of all parts, all rejects and all removals.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when an object has unexpected content.
    pub async fn take(store: &Store, results_bucket: &str, model: &str) -> Result<Self> {
        Scan::begin(store, results_bucket, model).await?.finish()
    }

    /// Like [`Snapshot::take`], and calls `each` for every current row and reject.
    ///
    /// # Errors
    /// As [`Snapshot::take`].
    pub async fn take_each(
        store: &Store,
        results_bucket: &str,
        model: &str,
        mut each: impl FnMut(PhotoId, PhotoStatus),
    ) -> Result<Self> {
        let mut scan = Scan::begin(store, results_bucket, model).await?;
        while let Some(state) = scan.next_key()? {
            if let Some(version) = state.current {
                let rejected = version.origin == Origin::Reject;
                let status = if rejected { PhotoStatus::Rejected } else { PhotoStatus::Embedded };
                each(PhotoId::from(version.photo_id), status);
            }
        }
        scan.finish()
    }
}

/// Makes a copy of the current row current instead, if the row's part was replaced and the copy's
/// part was not.
///
/// Copies of a row are equally good, but a replaced part can be deleted only once it has no current
/// row.
fn prefer_replacement(parts: &[PartRows], state: &mut KeyState) {
    let is_replaced = |version: &RowVersion| match version.origin {
        Origin::Row { part, .. } => !parts[part as usize].replaced_by.is_empty(),
        Origin::Reject | Origin::Removal => false,
    };
    let Some(current) = state.current.as_mut().filter(|version| is_replaced(version)) else { return };
    let is_copy = |version: &&mut RowVersion| {
        (version.last_modified, version.photo_id) == (current.last_modified, current.photo_id)
            && version.origin != Origin::Reject
            && !is_replaced(version)
    };
    if let Some(copy) = state.dead.iter_mut().find(is_copy) {
        std::mem::swap(current, copy);
    }
}

#[cfg(test)]
mod tests {
    use super::super::part_rows::index_replacements;
    use super::super::part_rows::tests::part_rows;
    use super::*;

    const OLD: Origin = Origin::Row { part: 0, row: 7 };
    const NEW: Origin = Origin::Row { part: 1, row: 7 };
    const UNRELATED: Origin = Origin::Row { part: 2, row: 7 };

    /// Returns three parts, of which the second replaces the first.
    fn parts() -> [PartRows; 3] {
        let mut parts = [part_rows("old", &[]), part_rows("new", &["old"]), part_rows("unrelated", &[])];
        index_replacements(&mut parts);
        parts
    }

    fn version(last_modified: i64, origin: Origin) -> RowVersion {
        let photo_id = [u8::try_from(last_modified).unwrap(); 16];
        let (bucket, key) = ("photos".into(), "a".into());
        RowVersion { bucket, key, last_modified, made_at: 0, photo_id, origin }
    }

    fn preferred(current: RowVersion, dead: &[RowVersion]) -> (Origin, Vec<Origin>) {
        let mut state = KeyState { current: Some(current), dead: dead.to_vec(), removals: Vec::new() };
        prefer_replacement(&parts(), &mut state);
        (state.current.unwrap().origin, state.dead.iter().map(|version| version.origin).collect())
    }

    #[test]
    fn a_copy_outside_the_replaced_part_becomes_current() {
        assert_eq!(preferred(version(5, OLD), &[version(5, NEW)]), (NEW, vec![OLD]));
        assert_eq!(preferred(version(5, OLD), &[version(5, UNRELATED)]), (UNRELATED, vec![OLD]));
    }

    #[test]
    fn a_copy_that_was_embedded_at_another_time_becomes_current() {
        let copy = RowVersion { made_at: -1, ..version(5, NEW) };
        assert_eq!(preferred(version(5, OLD), &[copy]), (NEW, vec![OLD]));
    }

    #[test]
    fn a_current_row_outside_a_replaced_part_stays_current() {
        assert_eq!(preferred(version(5, NEW), &[version(5, OLD)]), (NEW, vec![OLD]));
        assert_eq!(preferred(version(5, UNRELATED), &[version(5, NEW)]), (UNRELATED, vec![NEW]));
    }

    #[test]
    fn a_row_without_a_copy_stays_current_in_a_replaced_part() {
        assert_eq!(preferred(version(5, OLD), &[]), (OLD, vec![]));
        let other_row_of_part = Origin::Row { part: 0, row: 8 };
        let dead = [version(5, other_row_of_part)];
        assert_eq!(preferred(version(5, OLD), &dead), (OLD, vec![other_row_of_part]), "also replaced");
    }

    #[test]
    fn another_version_or_a_reject_is_not_a_copy() {
        assert_eq!(preferred(version(5, OLD), &[version(4, NEW)]), (OLD, vec![NEW]));
        let other_photo = RowVersion { photo_id: [9; 16], ..version(5, NEW) };
        assert_eq!(preferred(version(5, OLD), &[other_photo]), (OLD, vec![NEW]));
        let dead = [version(5, Origin::Reject)];
        assert_eq!(preferred(version(5, OLD), &dead), (OLD, vec![Origin::Reject]));
    }

    #[test]
    fn a_current_reject_stays_current() {
        let reject = version(5, Origin::Reject);
        assert_eq!(preferred(reject, &[version(5, NEW)]), (Origin::Reject, vec![NEW]));
    }

    #[test]
    fn a_key_without_a_current_version_is_unchanged() {
        let mut state = KeyState { current: None, dead: vec![version(5, NEW)], removals: Vec::new() };
        prefer_replacement(&parts(), &mut state);
        assert_eq!(state.current, None);
    }

    #[test]
    fn a_scan_counts_rejects_and_marks_dead_rows() {
        let states = [
            KeyState {
                current: Some(version(5, OLD)),
                dead: vec![version(5, NEW), version(4, Origin::Row { part: 2, row: 1 })],
                removals: Vec::new(),
            },
            KeyState { current: Some(version(6, Origin::Reject)), dead: Vec::new(), removals: Vec::new() },
            KeyState {
                current: None,
                dead: vec![version(3, Origin::Row { part: 2, row: 0 })],
                removals: Vec::new(),
            },
        ];
        let snapshot = Snapshot {
            taken_at: OffsetDateTime::UNIX_EPOCH,
            parts: parts().to_vec(),
            rejected: BTreeMap::new(),
        };
        let codes = BTreeMap::from([([6; 16], RejectCode::Corrupt)]);
        let scan = Scan { snapshot, codes, key_states: Box::new(states.into_iter().map(Ok)) };
        let snapshot = scan.finish().unwrap();
        assert_eq!(snapshot.rejected, BTreeMap::from([(RejectCode::Corrupt, 1)]));
        let dead: Vec<_> = snapshot.parts.into_iter().map(|part| part.dead).collect();
        assert_eq!(dead, [vec![7], vec![], vec![0, 1]]);
    }
}
