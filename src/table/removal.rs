//! Removals: the record that a key was gone from S3 at some time, and with it all that was known of it until then.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::partition::removal_key;
use crate::photo::{Photo, PhotoId};
use crate::store::Store;

/// How often a removal is written when others write the same one at the same time.
const TRIES: u32 = 5;

/// The content of a removal object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The bucket the key was in.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// Every row and reject of the key that is last modified at or before this does not hold any more.
    #[serde(with = "time::serde::rfc3339")]
    pub up_to: OffsetDateTime,
    /// The id of the one photo that holds nevertheless: an older version of the object that came back when the newer was deleted for
    /// good. Only a backfill writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spares: Option<String>,
}

impl Removal {
    /// Writes the removal, unless one that reaches as far is there: of two that come out of order, the later stays.
    ///
    /// # Errors
    /// [`Error::S3`], which passes when another writer came between too often.
    pub async fn record(&self, store: &Store, results_bucket: &str) -> Result<()> {
        let name = removal_key(&self.bucket, &self.key);
        for _ in 0..TRIES {
            let (known, etag) = Self::known(store, results_bucket, &name).await?;
            if known.as_ref().is_some_and(|known| known.covers(self)) {
                return Ok(());
            }
            if self.replace(store, results_bucket, &name, known.as_ref(), etag.as_deref()).await? {
                return Ok(());
            }
        }
        Err(contended(results_bucket, name))
    }

    /// The removal of that name with the `ETag` of its object, where there is one.
    async fn known(
        store: &Store,
        results_bucket: &str,
        name: &str,
    ) -> Result<(Option<Self>, Option<String>)> {
        match store.get_versioned(results_bucket, name).await? {
            Some((bytes, etag)) => Ok((Some(Self::parse(name, &bytes)?), Some(etag))),
            None => Ok((None, None)),
        }
    }

    /// Whether all that `other` hides is hidden by this already.
    fn covers(&self, other: &Self) -> bool {
        self.up_to >= other.up_to && (self.spares.is_none() || self.spares == other.spares)
    }

    /// Writes this in the place of what is known, reaching no less far. Returns whether nobody came between.
    async fn replace(
        &self,
        store: &Store,
        results_bucket: &str,
        name: &str,
        known: Option<&Self>,
        etag: Option<&str>,
    ) -> Result<bool> {
        let up_to = known.map_or(self.up_to, |known| known.up_to.max(self.up_to));
        let body = serde_json::to_vec(&Self { up_to, ..self.clone() }).map_err(Error::schema(name))?;
        store.put_if_match(results_bucket, name, "application/json", body, etag).await
    }

    /// Lets the version of a key that S3 holds be the one that holds in the table: takes back a removal that hides it and, where rows of
    /// the key are greater than its own, up to `superseded`, hides those. S3 is asked again after the removal was read, so that a
    /// removal that is recorded meanwhile is never overwritten. Returns whether S3 still holds this version.
    ///
    /// # Errors
    /// [`Error::S3`], which passes when another writer came between too often.
    pub async fn settle(
        store: &Store,
        results_bucket: &str,
        (bucket, key, id): (&str, &str, PhotoId),
        superseded: Option<OffsetDateTime>,
    ) -> Result<bool> {
        let name = removal_key(bucket, key);
        for _ in 0..TRIES {
            let (known, etag) = Self::known(store, results_bucket, &name).await?;
            let present = match store.head(bucket, key).await {
                Ok(present) if present.id() == id => present,
                Ok(_) | Err(Error::Gone { .. }) => return Ok(false),
                Err(error) => return Err(error),
            };
            let settled = match (superseded, known, etag) {
                (Some(up_to), known, etag) => {
                    let spares = Some(id.to_string());
                    let sparing = Self { bucket: bucket.to_owned(), key: key.to_owned(), up_to, spares };
                    known.as_ref().is_some_and(|known| known.up_to >= up_to && known.spares == sparing.spares)
                        || sparing
                            .replace(store, results_bucket, &name, known.as_ref(), etag.as_deref())
                            .await?
                }
                (None, Some(known), Some(etag)) if known.hides(&present) => {
                    store.delete_if_match(results_bucket, &name, &etag).await?
                }
                (None, _, _) => true,
            };
            if settled {
                return Ok(true);
            }
        }
        Err(contended(results_bucket, name))
    }

    /// Whether the row of this photo does not hold because of this.
    fn hides(&self, photo: &Photo) -> bool {
        self.up_to >= photo.last_modified && self.spares.as_deref() != Some(photo.id().to_string().as_str())
    }

    /// Takes back what is recorded of a key, if that would hide an object last modified at `present`: a delete marker was undone,
    /// say, and the object is as old as before.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn retract(store: &Store, results_bucket: &str, present: &Photo) -> Result<()> {
        let name = removal_key(&present.bucket, &present.key);
        match store.get(results_bucket, &name).await {
            Ok(bytes) if Self::parse(&name, &bytes)?.hides(present) => {
                store.delete(results_bucket, &[name]).await
            }
            Ok(_) | Err(Error::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The removal in these bytes; `object` is named in errors.
    ///
    /// # Errors
    /// [`Error::Schema`].
    pub fn parse(object: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(Error::schema(object))
    }
}

fn contended(results_bucket: &str, key: String) -> Error {
    Error::S3 {
        verb: "put if match",
        bucket: results_bucket.to_owned(),
        key,
        passing: true,
        cause: "others wrote the same removal at the same time".into(),
    }
}
