//! Decides on the action of a backfill for one key.

use time::OffsetDateTime;

use super::records::Reconcile;
use crate::contract::photo::PhotoId;
use crate::error::{Error, Result};
use crate::rejection::RejectCode;
use crate::s3::ObjectMeta;
use crate::table::current_rows::KeyState;
use crate::table::{Origin, RowVersion, from_micros, micros};

/// Which rejected photos to retry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Retry {
    /// None of them.
    #[default]
    Nothing,
    /// Those with one of these codes.
    Codes(Vec<RejectCode>),
    /// All of them.
    Everything,
}

impl Retry {
    /// Returns whether to retry a photo that was rejected with a code.
    pub(super) fn includes(&self, code: Option<RejectCode>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Codes(codes) => code.is_some_and(|code| codes.contains(&code)),
            Self::Everything => true,
        }
    }
}

/// What to do about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAction {
    /// Nothing: the table is up to date.
    Agrees,
    /// Embed the photo, and then reconcile the key if requested.
    Embed(Option<Reconcile>),
    /// Reconcile the key. The version that S3 holds is in the table, but not current.
    Restore(Reconcile),
    /// Record the removal of the key.
    Remove {
        /// The greatest `last_modified` of the key's rows and rejects.
        up_to: OffsetDateTime,
    },
}

/// Decides what to do about a key, given S3's listing and the table's state of it.
///
/// `retry` returns whether to retry a rejected photo.
///
/// # Errors
/// [`Error::Internal`] when a time in the table is out of range.
pub(super) fn decide(
    bucket: &str,
    listed: Option<&ObjectMeta>,
    state: Option<&KeyState>,
    retry: impl Fn(&RowVersion) -> bool,
) -> Result<KeyAction> {
    let Some(listed) = listed else { return state.map_or(Ok(KeyAction::Agrees), decide_missing) };
    let Some(state) = state else { return Ok(KeyAction::Embed(None)) };
    let id = *PhotoId::of(bucket, &listed.key, &listed.etag).as_bytes();
    // The id depends on the `ETag` but not on the time. An object that was written again with the
    // same content needs no new row.
    if let Some(current) = state.current.as_ref().filter(|version| version.photo_id == id) {
        let retried = current.origin == Origin::Reject && retry(current);
        return Ok(if retried { KeyAction::Embed(None) } else { KeyAction::Agrees });
    }
    let last_modified = micros(listed.last_modified);
    let known = state
        .versions()
        .filter(|version| (version.last_modified, version.photo_id) == (last_modified, id))
        .max();
    // If the photo is yet to be embedded, its row will have a later time than all known ones,
    // unless the clocks differ.
    let made_at = known.map_or(micros(OffsetDateTime::now_utc()), |known| known.made_at);
    let takes_precedence = |version: &&RowVersion| {
        version.photo_id != id
            && (version.last_modified, version.made_at, version.photo_id) > (last_modified, made_at, id)
    };
    let superseded = state.versions().filter(takes_precedence).map(|version| version.last_modified).max();
    let reconcile = Reconcile { superseded: superseded.map(time).transpose()? };
    Ok(match known {
        Some(_) => KeyAction::Restore(reconcile),
        None if superseded.is_some() || state.hides(last_modified, &id) => KeyAction::Embed(Some(reconcile)),
        None => KeyAction::Embed(None),
    })
}

/// Decides what to do about a key that S3 does not list.
fn decide_missing(state: &KeyState) -> Result<KeyAction> {
    let newest = state.versions().map(|version| version.last_modified).max();
    match newest.filter(|_| state.current.is_some()) {
        Some(newest) => Ok(KeyAction::Remove { up_to: time(newest)? }),
        // Removals hide all versions already.
        None => Ok(KeyAction::Agrees),
    }
}

fn time(micros: i64) -> Result<OffsetDateTime> {
    from_micros(micros)
        .ok_or_else(|| Error::Internal(format!("{micros} microseconds since 1970 are out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::external_sort::ExternalSorter;

    const OLD: &str = "old";
    const NEW: &str = "new";

    fn at(second: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(second).unwrap()
    }

    fn listed(etag: &str, second: i64) -> ObjectMeta {
        ObjectMeta { key: "a".into(), etag: etag.into(), size_bytes: 1, last_modified: at(second) }
    }

    fn version(etag: &str, second: i64, made: i64, origin: Origin) -> RowVersion {
        let photo_id = *PhotoId::of("photos", "a", etag).as_bytes();
        let (last_modified, made_at) = (micros(at(second)), micros(at(made)));
        RowVersion { bucket: "photos".into(), key: "a".into(), last_modified, made_at, photo_id, origin }
    }

    fn row(etag: &str, second: i64, made: i64) -> RowVersion {
        version(etag, second, made, Origin::Row { part: 0, row: 0 })
    }

    fn reject(etag: &str, second: i64, made: i64) -> RowVersion {
        version(etag, second, made, Origin::Reject)
    }

    fn removal(second: i64, except: Option<&str>) -> RowVersion {
        let mut removal = version(except.unwrap_or_default(), second, 0, Origin::Removal);
        if except.is_none() {
            removal.photo_id = [0; 16];
        }
        removal
    }

    /// Returns the action for a key with these records in the table.
    fn action(listed: Option<&ObjectMeta>, versions: &[RowVersion]) -> KeyAction {
        action_with_retry(listed, versions, &Retry::Nothing)
    }

    fn action_with_retry(listed: Option<&ObjectMeta>, versions: &[RowVersion], retry: &Retry) -> KeyAction {
        let mut sorter = ExternalSorter::new(1 << 20);
        versions.iter().for_each(|version| sorter.push(version.clone()).unwrap());
        let state = sorter.key_states().unwrap().next().map(Result::unwrap);
        let retry = |_: &RowVersion| retry.includes(Some(RejectCode::Empty));
        decide("photos", listed, state.as_ref(), retry).unwrap()
    }

    fn reconcile(superseded: Option<i64>) -> Reconcile {
        Reconcile { superseded: superseded.map(at) }
    }

    #[test]
    fn a_new_photo_or_a_changed_one_is_embedded() {
        assert_eq!(action(Some(&listed(NEW, 5)), &[]), KeyAction::Embed(None));
        assert_eq!(action(Some(&listed(NEW, 5)), &[row(OLD, 4, 9)]), KeyAction::Embed(None));
        assert_eq!(action(Some(&listed(NEW, 5)), &[row(NEW, 5, 9)]), KeyAction::Agrees);
        assert_eq!(action(Some(&listed(NEW, 5)), &[reject(NEW, 5, 9)]), KeyAction::Agrees);
        assert_eq!(action(Some(&listed(NEW, 5)), &[reject(OLD, 5, 9)]), KeyAction::Embed(None));
    }

    #[test]
    fn a_rejected_photo_is_retried_on_request() {
        let photo = listed(NEW, 5);
        let action = |version: RowVersion, retry: Retry| action_with_retry(Some(&photo), &[version], &retry);
        assert_eq!(action(reject(NEW, 5, 9), Retry::Everything), KeyAction::Embed(None));
        let (same, other) = (vec![RejectCode::Empty], vec![RejectCode::TooManyBytes]);
        assert_eq!(action(reject(NEW, 5, 9), Retry::Codes(same)), KeyAction::Embed(None));
        assert_eq!(action(reject(NEW, 5, 9), Retry::Codes(other)), KeyAction::Agrees);
        assert_eq!(action(row(NEW, 5, 9), Retry::Everything), KeyAction::Agrees);
    }

    #[test]
    fn a_missing_photo_is_removed_once() {
        assert_eq!(action(None, &[row(OLD, 4, 9), row(NEW, 5, 9)]), KeyAction::Remove { up_to: at(5) });
        assert_eq!(action(None, &[reject(OLD, 4, 9)]), KeyAction::Remove { up_to: at(4) });
        assert_eq!(action(None, &[row(OLD, 4, 9), removal(4, None)]), KeyAction::Agrees);
        assert_eq!(
            action(None, &[row(OLD, 4, 9), removal(4, Some(OLD))]),
            KeyAction::Remove { up_to: at(4) }
        );
    }

    #[test]
    fn a_version_that_a_removal_hides_is_restored_if_s3_lists_it() {
        let back = listed(OLD, 4);
        let hidden = [row(OLD, 4, 9), removal(7, None)];
        assert_eq!(action(Some(&back), &hidden), KeyAction::Restore(reconcile(None)));
        assert_eq!(action(Some(&back), &hidden[1..]), KeyAction::Embed(Some(reconcile(None))));
        assert_eq!(action(Some(&back), &[removal(3, None)]), KeyAction::Embed(None));
    }

    #[test]
    fn an_older_version_that_s3_lists_again_takes_precedence_over_the_newer_one() {
        let back = listed(OLD, 4);
        let known = [row(OLD, 4, 9), row(NEW, 6, 9)];
        assert_eq!(action(Some(&back), &known), KeyAction::Restore(reconcile(Some(6))));
        assert_eq!(action(Some(&back), &known[1..]), KeyAction::Embed(Some(reconcile(Some(6)))));
        let reconciled = [&known[..], &[removal(6, Some(OLD))]].concat();
        assert_eq!(action(Some(&back), &reconciled), KeyAction::Agrees);
        let newer_is_rejected = [row(OLD, 4, 9), reject(NEW, 6, 9)];
        assert_eq!(action(Some(&back), &newer_is_rejected), KeyAction::Restore(reconcile(Some(6))));
    }

    #[test]
    fn of_two_versions_in_the_same_second_the_one_in_s3_becomes_current() {
        let both = [row(OLD, 4, 20), row(NEW, 4, 10)];
        assert_eq!(action(Some(&listed(NEW, 4)), &both), KeyAction::Restore(reconcile(Some(4))));
        assert_eq!(action(Some(&listed(OLD, 4)), &both), KeyAction::Agrees);
        assert_eq!(action(Some(&listed(NEW, 4)), &both[..1]), KeyAction::Embed(None));
    }
}
