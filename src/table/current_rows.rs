//! The rule that decides which row of a key is current.
//!
//! Photos are embedded at least once, late and out of order, so the table may have several rows and
//! rejects of one key. The version with the greatest (`last_modified`, `made_at`, photo id) is
//! current, unless a removal of the key hides it. If that version is a reject, or if every version
//! is hidden, the key has no current row.
//!
//! A removal hides every version whose `last_modified` is at or before its own, except one photo id
//! that it may name. That exception lets an older version of an object become current again after
//! the newer one was deleted for good, although rows with a later `last_modified` exist.
//!
//! All readers of the table go through this module.

use super::row_version::{Origin, RowVersion};

/// The current version of one key, and all its other versions and removals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// The current row or reject. `None` if removals hide all versions.
    pub current: Option<RowVersion>,
    /// The other rows and rejects: superseded, removed, or stored twice.
    pub dead: Vec<RowVersion>,
    /// The removals of the key.
    pub removals: Vec<RowVersion>,
}

impl KeyState {
    /// Returns one of the records. All of them have the same bucket and key.
    #[must_use]
    pub fn any(&self) -> Option<&RowVersion> {
        self.current.iter().chain(&self.dead).chain(&self.removals).next()
    }

    /// Returns all rows and rejects, current or not.
    pub fn versions(&self) -> impl Iterator<Item = &RowVersion> {
        self.current.iter().chain(&self.dead)
    }

    /// Returns whether a removal hides a version of the key.
    #[must_use]
    pub fn hides(&self, last_modified: i64, photo_id: &[u8; 16]) -> bool {
        is_hidden(&self.removals, last_modified, photo_id)
    }
}

fn is_hidden(removals: &[RowVersion], last_modified: i64, photo_id: &[u8; 16]) -> bool {
    removals.iter().any(|removal| removal.last_modified >= last_modified && removal.photo_id != *photo_id)
}

/// Collects the records of one key, which must be added in ascending order.
#[derive(Default)]
pub(super) struct KeyResolver {
    versions: Vec<RowVersion>,
    removals: Vec<RowVersion>,
}

impl KeyResolver {
    pub(super) fn add(&mut self, version: RowVersion) {
        match version.origin {
            Origin::Removal => self.removals.push(version),
            Origin::Row { .. } | Origin::Reject => self.versions.push(version),
        }
    }

    /// Applies the rule.
    pub(super) fn resolve(self) -> KeyState {
        let Self { versions: mut dead, removals } = self;
        let is_visible =
            |version: &RowVersion| !is_hidden(&removals, version.last_modified, &version.photo_id);
        // The versions are in ascending order, so the last visible one is the greatest.
        let current = dead.iter().rposition(is_visible).map(|greatest| dead.remove(greatest));
        KeyState { current, dead, removals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(last_modified: i64, made_at: i64, origin: Origin) -> RowVersion {
        let id = if origin == Origin::Removal { 0 } else { last_modified + 1 };
        let photo_id = [u8::try_from(id).unwrap(); 16];
        RowVersion { bucket: "photos".into(), key: "a".into(), last_modified, made_at, photo_id, origin }
    }

    fn row(last_modified: i64, row: u32) -> RowVersion {
        version(last_modified, 0, Origin::Row { part: 0, row })
    }

    fn resolve(versions: &[RowVersion]) -> KeyState {
        let (mut sorted, mut resolver) = (versions.to_vec(), KeyResolver::default());
        sorted.sort();
        sorted.into_iter().for_each(|version| resolver.add(version));
        resolver.resolve()
    }

    fn current(versions: &[RowVersion]) -> Option<Origin> {
        resolve(versions).current.map(|version| version.origin)
    }

    #[test]
    fn the_newer_row_of_an_overwritten_photo_is_current_in_any_order() {
        let newer = Some(Origin::Row { part: 0, row: 2 });
        assert_eq!(current(&[row(1, 1), row(2, 2)]), newer);
        assert_eq!(current(&[row(2, 2), row(1, 1)]), newer);
    }

    #[test]
    fn within_the_same_second_the_later_embedding_is_current() {
        let (early, late) = (Origin::Row { part: 0, row: 0 }, Origin::Row { part: 1, row: 0 });
        assert_eq!(current(&[version(5, 2, late), version(5, 1, early)]), Some(late));
    }

    #[test]
    fn a_good_photo_overwritten_by_a_corrupt_one_has_no_current_row() {
        let reject = version(2, 0, Origin::Reject);
        assert_eq!(current(&[row(1, 0), reject.clone()]), Some(Origin::Reject));
        assert_eq!(current(&[row(3, 0), reject]), Some(Origin::Row { part: 0, row: 0 }));
    }

    #[test]
    fn a_reject_wins_a_tie_with_a_row() {
        let (row, reject) = (row(5, 7), version(5, 0, Origin::Reject));
        assert_eq!(current(&[reject, row]), Some(Origin::Reject));
    }

    #[test]
    fn a_removal_hides_versions_up_to_its_time_and_none_later() {
        let removal = version(5, 0, Origin::Removal);
        assert_eq!(current(&[row(5, 0), removal.clone()]), None);
        assert_eq!(current(&[removal.clone(), row(6, 0)]), Some(Origin::Row { part: 0, row: 0 }));
        assert_eq!(current(&[removal]), None);
    }

    #[test]
    fn a_row_stored_twice_is_current_once() {
        let state = resolve(&[row(1, 0), version(1, 0, Origin::Row { part: 1, row: 0 })]);
        assert_eq!((state.current.iter().len(), state.dead.len()), (1, 1));
    }

    #[test]
    fn removing_an_overwritten_photo_does_not_bring_back_the_old_row() {
        assert_eq!(current(&[row(1, 0), row(4, 1), version(5, 0, Origin::Removal)]), None);
    }

    /// An older version became current again because the newer one was deleted for good.
    #[test]
    fn a_removal_hides_everything_except_the_id_that_it_names() {
        let (old, new) = (row(1, 0), row(4, 1));
        let except_old = RowVersion { photo_id: old.photo_id, ..version(4, 0, Origin::Removal) };
        assert_eq!(current(&[old.clone(), new.clone(), except_old.clone()]), Some(old.origin));
        assert_eq!(current(&[new.clone(), except_old.clone()]), None);
        assert_eq!(current(&[old, new, except_old, row(5, 2)]), Some(Origin::Row { part: 0, row: 2 }));
    }

    #[test]
    fn a_key_with_only_a_removal_still_has_a_record() {
        let state = resolve(&[version(5, 0, Origin::Removal)]);
        assert_eq!(state.any().map(|removal| removal.last_modified), Some(5));
        assert_eq!(state.versions().count(), 0);
        assert!(state.hides(5, &[1; 16]) && !state.hides(6, &[1; 16]));
    }
}
