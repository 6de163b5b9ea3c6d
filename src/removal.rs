//! Removals: the record that a key was gone from S3 at some time, and with it all that was known of it until then.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::partition::removal_key;
use crate::photo::Photo;
use crate::store::Store;

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
}

impl Removal {
    /// Writes the removal, unless one that reaches as far is there: of two that come out of order, the later stays.
    ///
    /// # Errors
    /// [`Error::S3`], which passes when another writer came between too often.
    pub async fn record(&self, store: &Store, results_bucket: &str) -> Result<()> {
        const TRIES: u32 = 5;
        let name = removal_key(&self.bucket, &self.key);
        for _ in 0..TRIES {
            let known = store.get_versioned(results_bucket, &name).await?;
            if let Some((bytes, _)) = &known
                && Self::parse(&name, bytes)?.up_to >= self.up_to
            {
                return Ok(());
            }
            let body = serde_json::to_vec(self).map_err(Error::schema(&name))?;
            let etag = known.as_ref().map(|(_, etag)| etag.as_str());
            if store.put_if_match(results_bucket, &name, "application/json", body, etag).await? {
                return Ok(());
            }
        }
        Err(Error::S3 {
            verb: "put if match",
            bucket: results_bucket.to_owned(),
            key: name,
            passing: true,
            cause: "others wrote the same removal at the same time".into(),
        })
    }

    /// Takes back what is recorded of a key, if that would hide an object last modified at `present`: a delete marker was undone,
    /// say, and the object is as old as before.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn retract(store: &Store, results_bucket: &str, present: &Photo) -> Result<()> {
        let name = removal_key(&present.bucket, &present.key);
        match store.get(results_bucket, &name).await {
            Ok(bytes) if Self::parse(&name, &bytes)?.up_to >= present.last_modified => {
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
