//! Removals: records that a key was gone from S3 at some time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::contract::layout::removal_key;
use crate::contract::photo::{Photo, PhotoId};
use crate::error::{Error, Result};
use crate::s3::Store;
use crate::s3::compare_and_swap::{Swap, compare_and_swap};

/// Two writers rarely race for one removal, and each is quick, so a lost race is retried without a
/// wait.
const RETRY_BACKOFF: Duration = Duration::ZERO;

/// The content of a removal object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The bucket of the key.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// Hides every row and reject of the key whose `last_modified` is at or before this time.
    #[serde(with = "time::serde::rfc3339")]
    pub up_to: OffsetDateTime,
    /// The id of the one photo that is not hidden: an older version of the object, which is current
    /// again because the newer one was deleted for good. Only a backfill writes it.
    #[serde(default, rename = "spares", skip_serializing_if = "Option::is_none")]
    pub except_photo_id: Option<String>,
}

impl Removal {
    /// Writes the removal, unless the stored one hides at least as much.
    ///
    /// Removals may arrive out of order, so an earlier one never replaces a later one.
    ///
    /// # Errors
    /// [`Error::S3`], transient when other writers win every race.
    pub async fn record(&self, store: &Store, results_bucket: &str) -> Result<()> {
        let name = removal_key(&self.bucket, &self.key);
        compare_and_swap(store, results_bucket, &name, RETRY_BACKOFF, async |stored| {
            let stored = Self::parse_stored(&name, stored)?;
            if stored.as_ref().is_some_and(|stored| stored.covers(self)) {
                return Ok((Swap::Keep, ()));
            }
            Ok((self.extending(&name, stored.as_ref())?, ()))
        })
        .await
    }

    /// Makes the version of a key that S3 holds the current one in the table.
    ///
    /// Deletes a removal that hides the version. If other rows of the key take precedence, writes a
    /// removal that hides those; `superseded` is the latest `last_modified` among them. Returns
    /// whether S3 still holds this version.
    ///
    /// # Errors
    /// [`Error::S3`], transient when other writers win every race.
    pub async fn reconcile(
        store: &Store,
        results_bucket: &str,
        (bucket, key, id): (&str, &str, PhotoId),
        superseded: Option<OffsetDateTime>,
    ) -> Result<bool> {
        let name = removal_key(bucket, key);
        compare_and_swap(store, results_bucket, &name, RETRY_BACKOFF, async |stored| {
            let stored = Self::parse_stored(&name, stored)?;
            // The HEAD follows the read of the removal. A removal that is recorded in between
            // changes the object, so the swap fails and S3 is asked again.
            let present = match store.head(bucket, key).await {
                Ok(present) if present.id() == id => present,
                Ok(_) | Err(Error::NotFound { .. }) => return Ok((Swap::Keep, false)),
                Err(error) => return Err(error),
            };
            let swap = match (superseded, stored) {
                (Some(up_to), stored) => {
                    let (bucket, key) = (bucket.to_owned(), key.to_owned());
                    let removal = Self { bucket, key, up_to, except_photo_id: Some(id.to_string()) };
                    removal.replacing(&name, stored.as_ref())?
                }
                (None, Some(stored)) if stored.hides(&present) => Swap::Delete,
                (None, _) => Swap::Keep,
            };
            Ok((swap, true))
        })
        .await
    }

    /// Deletes the key's removal if it hides a photo that S3 holds.
    ///
    /// That happens when a delete marker is removed: the object is back, with its old last-modified
    /// time.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn retract(store: &Store, results_bucket: &str, present: &Photo) -> Result<()> {
        let name = removal_key(&present.bucket, &present.key);
        match store.get(results_bucket, &name).await {
            Ok(bytes) if Self::parse(&name, &bytes)?.hides(present) => {
                store.delete(results_bucket, &[name]).await
            }
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Parses a removal object. `object` names it in errors.
    ///
    /// # Errors
    /// [`Error::Schema`].
    pub fn parse(object: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(Error::schema(object))
    }

    fn parse_stored(object: &str, bytes: Option<&[u8]>) -> Result<Option<Self>> {
        bytes.map(|bytes| Self::parse(object, bytes)).transpose()
    }

    /// Returns whether this hides everything that `other` hides.
    fn covers(&self, other: &Self) -> bool {
        self.up_to >= other.up_to
            && (self.except_photo_id.is_none() || self.except_photo_id == other.except_photo_id)
    }

    /// Returns the swap that makes this removal the stored one, exception included. The stored
    /// `up_to` never moves back.
    fn replacing(&self, object: &str, stored: Option<&Self>) -> Result<Swap> {
        let is_stored =
            |stored: &Self| stored.up_to >= self.up_to && stored.except_photo_id == self.except_photo_id;
        if stored.is_some_and(is_stored) { Ok(Swap::Keep) } else { self.extending(object, stored) }
    }

    /// Returns the swap that writes this removal, with the stored `up_to` if that is later.
    fn extending(&self, object: &str, stored: Option<&Self>) -> Result<Swap> {
        let up_to = stored.map_or(self.up_to, |stored| stored.up_to.max(self.up_to));
        let body = serde_json::to_vec(&Self { up_to, ..self.clone() }).map_err(Error::schema(object))?;
        Ok(Swap::Write(body))
    }

    /// Returns whether this hides the row of a photo.
    fn hides(&self, photo: &Photo) -> bool {
        self.up_to >= photo.last_modified
            && self.except_photo_id.as_deref() != Some(photo.id().to_string().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const EARLY: OffsetDateTime = datetime!(2026-11-23 10:00 UTC);
    const LATE: OffsetDateTime = datetime!(2026-11-23 11:00 UTC);

    fn photo(etag: &str, last_modified: OffsetDateTime) -> Photo {
        let (bucket, key) = ("photos".into(), "a.jpg".into());
        Photo { bucket, key, etag: etag.into(), size_bytes: 1, last_modified }
    }

    fn removal(up_to: OffsetDateTime, except: Option<&str>) -> Removal {
        let except_photo_id = except.map(|etag| photo(etag, up_to).id().to_string());
        Removal { bucket: "photos".into(), key: "a.jpg".into(), up_to, except_photo_id }
    }

    fn written(swap: Result<Swap>) -> Option<Removal> {
        match swap.unwrap() {
            Swap::Write(body) => Some(Removal::parse("removals/x.json", &body).unwrap()),
            Swap::Keep => None,
            Swap::Delete => panic!("a removal is never deleted here"),
        }
    }

    #[test]
    fn a_removal_hides_photos_up_to_its_time() {
        let removal = removal(EARLY, None);
        assert!(removal.hides(&photo("old", EARLY)));
        assert!(!removal.hides(&photo("old", LATE)));
    }

    #[test]
    fn a_removal_does_not_hide_the_photo_that_it_excepts() {
        let removal = removal(LATE, Some("old"));
        assert!(!removal.hides(&photo("old", EARLY)));
        assert!(removal.hides(&photo("new", LATE)));
    }

    #[test]
    fn a_removal_covers_those_that_hide_no_more() {
        assert!(removal(EARLY, None).covers(&removal(EARLY, None)));
        assert!(removal(LATE, None).covers(&removal(EARLY, Some("old"))));
        assert!(removal(LATE, Some("old")).covers(&removal(EARLY, Some("old"))));
        assert!(!removal(EARLY, None).covers(&removal(LATE, None)), "it ends earlier");
        assert!(!removal(LATE, Some("old")).covers(&removal(EARLY, None)), "it excepts a photo");
        assert!(!removal(LATE, Some("old")).covers(&removal(EARLY, Some("new"))), "it excepts another photo");
    }

    #[test]
    fn a_written_removal_never_ends_before_the_stored_one() {
        let (early, late) = (removal(EARLY, None), removal(LATE, None));
        assert_eq!(written(early.extending("x", None)), Some(early.clone()));
        assert_eq!(written(early.extending("x", Some(&late))), Some(late.clone()));
        assert_eq!(written(late.extending("x", Some(&early))), Some(late));
    }

    #[test]
    fn extending_replaces_the_exception_of_the_stored_removal() {
        let stored = removal(LATE, Some("old"));
        assert_eq!(written(removal(EARLY, None).extending("x", Some(&stored))), Some(removal(LATE, None)));
    }

    #[test]
    fn reconciling_keeps_a_removal_with_the_same_exception_and_a_later_end() {
        let wanted = removal(EARLY, Some("old"));
        assert_eq!(written(wanted.replacing("x", Some(&removal(LATE, Some("old"))))), None);
        assert_eq!(written(wanted.replacing("x", Some(&wanted))), None);
        let extended = Some(removal(LATE, Some("old")));
        assert_eq!(written(wanted.replacing("x", Some(&removal(LATE, Some("new"))))), extended);
        assert_eq!(written(wanted.replacing("x", Some(&removal(LATE, None)))), extended);
        assert_eq!(written(wanted.replacing("x", None)), Some(wanted));
    }

    #[test]
    fn the_json_field_of_the_exception_is_named_spares() {
        let json = serde_json::to_value(removal(EARLY, Some("old"))).unwrap();
        assert_eq!(json["spares"], photo("old", EARLY).id().to_string());
        assert_eq!(json["up_to"], "2026-11-23T10:00:00Z");
        let plain = serde_json::to_string(&removal(EARLY, None)).unwrap();
        assert_eq!(plain, r#"{"bucket":"photos","key":"a.jpg","up_to":"2026-11-23T10:00:00Z"}"#);
        assert_eq!(Removal::parse("x", plain.as_bytes()).unwrap(), removal(EARLY, None));
    }
}
