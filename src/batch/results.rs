//! The results bucket, as the tasks of one model see it.

use serde::de::DeserializeOwned;

use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};
use crate::s3::Store;

/// One model's results in S3. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Results<'a> {
    pub(crate) store: &'a Store,
    pub(crate) bucket: &'a str,
    pub(crate) card: &'a ModelCard,
}

impl Results<'_> {
    /// Reads and parses a JSON object.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the object does not exist, [`Error::S3`], [`Error::Schema`].
    pub(crate) async fn read_json<T: DeserializeOwned>(self, key: &str) -> Result<T> {
        let bytes = self.store.get(self.bucket, key).await?;
        serde_json::from_slice(&bytes).map_err(Error::schema(key))
    }
}
