//! Compares the listing of the photos bucket with the table, key by key.

use std::cmp::Ordering;

use super::key_action::{KeyAction, Retry, decide};
use crate::batch::run::Run;
use crate::contract::photo::PhotoId;
use crate::contract::run::Counts;
use crate::error::Result;
use crate::s3::ObjectMeta;
use crate::s3::parallel_list::Listing;
use crate::table::current_rows::KeyState;
use crate::table::{Origin, RowVersion, Scan, Snapshot};

/// A key in S3's listing, in the table, or in both.
#[derive(Debug)]
pub struct KeyDiff {
    /// The object in the listing. `None` if S3 does not list the key.
    pub listed: Option<ObjectMeta>,
    /// The key's rows, rejects and removals. `None` if the table has none.
    pub state: Option<KeyState>,
    /// What to do about the key.
    pub action: KeyAction,
}

/// Merges the listing and the table in the order of keys. Memory does not grow with either.
pub struct Comparison<'a> {
    scan: Scan,
    listing: Listing,
    bucket: &'a str,
    retry: &'a Retry,
    next_listed: Option<ObjectMeta>,
    next_state: Option<KeyState>,
}

impl<'a> Comparison<'a> {
    /// Reads the table, and starts to list the photos bucket.
    ///
    /// # Errors
    /// As [`Scan::begin`] and [`Listing::next`].
    pub async fn begin(run: &'a Run, retry: &'a Retry) -> Result<Self> {
        // The table is read first. A photo that is uploaded in between is embedded twice, which
        // does no harm. In the other order its row would look like the row of a missing photo.
        let scan = Scan::begin(&run.store, &run.results_bucket, &run.card.id).await?;
        let listing = Listing::of(&run.store, &run.photos_bucket);
        let bucket = &run.photos_bucket;
        let mut comparison = Self { scan, listing, bucket, retry, next_listed: None, next_state: None };
        comparison.next_listed = comparison.listing.next().await?;
        comparison.next_state = comparison.read_state()?;
        Ok(comparison)
    }

    /// Returns the next key in byte order, or `None` at the end.
    ///
    /// # Errors
    /// As [`Comparison::begin`].
    pub async fn next(&mut self) -> Result<Option<KeyDiff>> {
        // Both sides are sorted by key, so the smaller key is in one of them only.
        let order = match (&self.next_listed, &self.next_state) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(listed), Some(state)) => {
                listed.key.as_str().cmp(state.any().map_or("", |version| version.key.as_str()))
            }
        };
        let (mut listed, mut state) = (None, None);
        if order.is_le() {
            listed = std::mem::replace(&mut self.next_listed, self.listing.next().await?);
        }
        if order.is_ge() {
            let next = self.read_state()?;
            state = std::mem::replace(&mut self.next_state, next);
        }
        let retry = |version: &RowVersion| self.retry.includes(self.scan.code(version));
        let action = decide(self.bucket, listed.as_ref(), state.as_ref(), retry)?;
        Ok(Some(KeyDiff { listed, state, action }))
    }

    /// Returns the table's state of the next key in this photos bucket. A table may also have
    /// photos of other buckets.
    fn read_state(&mut self) -> Result<Option<KeyState>> {
        while let Some(state) = self.scan.next_key()? {
            if state.any().is_some_and(|version| version.bucket == self.bucket) {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// Returns the snapshot of the table that was compared.
    ///
    /// # Errors
    /// As [`Scan::finish`].
    pub fn finish(self) -> Result<Snapshot> {
        self.scan.finish()
    }
}

/// Counts a key: `photos_listed`, `rows` (current ones), `rejects`, `missing`, `stale`, `retried`,
/// `restored`, `gone`.
pub fn count(diff: &KeyDiff, counts: &mut Counts) {
    counts.add("photos_listed", u64::from(diff.listed.is_some()));
    let current = diff.state.as_ref().and_then(|state| state.current.as_ref());
    let rejected = current.is_some_and(|version| version.origin == Origin::Reject);
    counts.add(if rejected { "rejects" } else { "rows" }, u64::from(current.is_some()));
    let name = match &diff.action {
        KeyAction::Agrees => return,
        KeyAction::Embed(_) if current.is_none() => "missing",
        KeyAction::Embed(_) if lists_current_version(diff) => "retried",
        KeyAction::Embed(_) => "stale",
        KeyAction::Restore(_) => "restored",
        KeyAction::Remove { .. } => "gone",
    };
    counts.add(name, 1);
}

/// Returns whether S3 lists the version that is current in the table.
fn lists_current_version(diff: &KeyDiff) -> bool {
    let current = diff.state.as_ref().and_then(|state| state.current.as_ref());
    diff.listed.as_ref().zip(current).is_some_and(|(listed, current)| {
        *PhotoId::of(&current.bucket, &listed.key, &listed.etag).as_bytes() == current.photo_id
    })
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::batch::backfill::records::Reconcile;

    fn listed(etag: &str) -> Option<ObjectMeta> {
        let (key, etag) = ("a".into(), etag.into());
        Some(ObjectMeta { key, etag, size_bytes: 1, last_modified: OffsetDateTime::UNIX_EPOCH })
    }

    fn state(etag: &str, origin: Origin) -> Option<KeyState> {
        let photo_id = *PhotoId::of("photos", "a", etag).as_bytes();
        let (bucket, key) = ("photos".into(), "a".into());
        let current = Some(RowVersion { bucket, key, last_modified: 0, made_at: 0, photo_id, origin });
        Some(KeyState { current, dead: Vec::new(), removals: Vec::new() })
    }

    fn counted(listed: Option<ObjectMeta>, state: Option<KeyState>, action: KeyAction) -> Vec<(String, u64)> {
        let mut counts = Counts::default();
        count(&KeyDiff { listed, state, action }, &mut counts);
        counts.iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }

    #[test]
    fn each_difference_has_its_count() {
        const ROW: Origin = Origin::Row { part: 0, row: 0 };
        let embed = KeyAction::Embed(None);
        let restore = KeyAction::Restore(Reconcile { superseded: None });
        let remove = KeyAction::Remove { up_to: OffsetDateTime::UNIX_EPOCH };
        let cases: [(_, _, _, &[&str]); 7] = [
            (listed("e"), state("e", ROW), KeyAction::Agrees, &["photos_listed", "rows"]),
            (listed("e"), None, embed, &["missing", "photos_listed"]),
            (listed("e"), state("old", ROW), embed, &["photos_listed", "rows", "stale"]),
            (listed("e"), state("old", Origin::Reject), embed, &["photos_listed", "rejects", "stale"]),
            (listed("e"), state("e", Origin::Reject), embed, &["photos_listed", "rejects", "retried"]),
            (listed("e"), state("new", ROW), restore, &["photos_listed", "restored", "rows"]),
            (None, state("e", ROW), remove, &["gone", "rows"]),
        ];
        for (listed, state, action, names) in cases {
            let expected: Vec<_> = names.iter().map(|name| (name.to_string(), 1)).collect();
            assert_eq!(counted(listed, state, action), expected, "{action:?}");
        }
    }
}
