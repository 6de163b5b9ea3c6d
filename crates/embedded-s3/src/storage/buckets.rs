//! Buckets as folders of the data folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use crate::storage::error::StorageError;
use crate::storage::folders::remove_empty_tree;

/// The buckets in a data folder.
#[derive(Debug)]
pub(crate) struct Buckets {
    data: PathBuf,
    /// Held for writing while a bucket is created or deleted. A put holds it for reading, because a
    /// put that creates missing folders could otherwise bring a deleted bucket back.
    changes: RwLock<()>,
}

impl Buckets {
    pub(crate) fn new(data: &Path) -> Self {
        Self { data: data.to_owned(), changes: RwLock::default() }
    }

    /// Returns the folder of an existing bucket.
    pub(crate) fn existing(&self, bucket: &str) -> Result<PathBuf, StorageError> {
        let folder = self.folder(bucket)?;
        if folder.is_dir() { Ok(folder) } else { Err(StorageError::NoSuchBucket) }
    }

    /// Returns the path of a bucket's folder, which may not exist.
    fn folder(&self, bucket: &str) -> Result<PathBuf, StorageError> {
        // An invalid name such as `..` could lead outside the data folder.
        let valid = s3s::path::check_bucket_name(bucket);
        if valid { Ok(self.data.join(bucket)) } else { Err(StorageError::NoSuchBucket) }
    }

    /// Returns all buckets, sorted by name, with their creation times.
    pub(crate) fn list(&self) -> Result<Vec<(String, SystemTime)>, StorageError> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(&self.data)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = entry.metadata()?;
            if metadata.is_dir() && s3s::path::check_bucket_name(&name) {
                // Some file systems do not record when a folder was created.
                buckets.push((name, metadata.created().or_else(|_| metadata.modified())?));
            }
        }
        buckets.sort();
        Ok(buckets)
    }

    /// Creates a bucket.
    pub(crate) fn create(&self, bucket: &str) -> Result<(), StorageError> {
        let _exclusive = self.changes.write().unwrap_or_else(PoisonError::into_inner);
        match fs::create_dir(self.folder(bucket)?) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(StorageError::BucketAlreadyOwnedByYou)
            }
            created => Ok(created?),
        }
    }

    /// Deletes an empty bucket.
    pub(crate) fn delete(&self, bucket: &str) -> Result<(), StorageError> {
        let _exclusive = self.changes.write().unwrap_or_else(PoisonError::into_inner);
        match remove_empty_tree(&self.existing(bucket)?) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                Err(StorageError::BucketNotEmpty)
            }
            removed => Ok(removed?),
        }
    }

    /// Blocks the creation and deletion of buckets while the guard is alive.
    pub(crate) fn block_changes(&self) -> RwLockReadGuard<'_, ()> {
        self.changes.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_of_the_data_folder_is_not_a_bucket() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join(".fruitvec")).unwrap();
        let buckets = Buckets::new(data.path());
        for name in ["..", ".fruitvec", "a/b", "", "A"] {
            assert!(matches!(buckets.create(name), Err(StorageError::NoSuchBucket)), "{name}");
            assert!(matches!(buckets.existing(name), Err(StorageError::NoSuchBucket)), "{name}");
        }
        assert_eq!(buckets.list().unwrap(), []);
    }

    #[test]
    fn a_bucket_is_created_once_and_deleted_when_empty() {
        let data = tempfile::tempdir().unwrap();
        let buckets = Buckets::new(data.path());
        buckets.create("photos").unwrap();
        assert!(matches!(buckets.create("photos"), Err(StorageError::BucketAlreadyOwnedByYou)));
        let object = data.path().join("photos/a.jpg");
        fs::write(&object, "").unwrap();
        assert!(matches!(buckets.delete("photos"), Err(StorageError::BucketNotEmpty)));
        fs::remove_file(&object).unwrap();
        buckets.delete("photos").unwrap();
        assert!(matches!(buckets.existing("photos"), Err(StorageError::NoSuchBucket)));
    }
}
