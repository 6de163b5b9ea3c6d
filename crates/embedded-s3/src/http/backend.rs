//! The state that all requests share.

use std::fs::File;
use std::sync::Arc;

use s3s::S3Result;

use crate::http::blocking::run_blocking;
use crate::http::conditions::ReadConditions;
use crate::storage::error::StorageError;
use crate::storage::multipart::MultipartUploads;
use crate::storage::object::Object;
use crate::storage::object_folder::ObjectFolder;

/// The stored objects and the multipart uploads in progress.
pub(crate) struct Backend {
    objects: Arc<ObjectFolder>,
    uploads: Arc<MultipartUploads>,
}

impl Backend {
    pub(crate) fn new(objects: Arc<ObjectFolder>) -> Self {
        Self { objects, uploads: Arc::default() }
    }

    /// Runs an operation on the objects.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&ObjectFolder) -> Result<T, StorageError> + Send + 'static,
    ) -> S3Result<T> {
        let objects = Arc::clone(&self.objects);
        run_blocking(move || operation(&objects)).await
    }

    /// Runs an operation on the objects and the multipart uploads.
    pub(crate) async fn run_with_uploads<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&ObjectFolder, &MultipartUploads) -> Result<T, StorageError> + Send + 'static,
    ) -> S3Result<T> {
        let uploads = Arc::clone(&self.uploads);
        self.run(move |objects| operation(objects, &uploads)).await
    }

    /// Opens an object for a conditional read.
    pub(crate) async fn open(
        &self,
        bucket: String,
        key: String,
        conditions: &ReadConditions,
    ) -> S3Result<(Object, File)> {
        let (object, file) = self.run(move |objects| objects.get(&bucket, &key)).await?;
        conditions.check(&object)?;
        Ok((object, file))
    }

    /// Opens the source object of a copy.
    pub(crate) async fn open_source(
        &self,
        bucket: String,
        key: String,
        conditions: &ReadConditions,
    ) -> S3Result<(Object, File)> {
        let (object, file) = self.run(move |objects| objects.get(&bucket, &key)).await?;
        conditions.check_source(&object)?;
        Ok((object, file))
    }
}
