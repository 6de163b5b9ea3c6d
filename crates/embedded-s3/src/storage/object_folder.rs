//! Objects as files below their bucket's folder.
//!
//! # Guarantees
//!
//! * An object is replaced as a whole. Its bytes are in a temporary file on the same file system
//!   before its key is locked. The precondition check and the rename happen under that lock, so
//!   exactly one of several concurrent conditional puts succeeds.
//! * A reader continues to read the version that it opened. The rename unlinks the old file, but
//!   open handles keep it alive.
//! * Nothing is synced to disk. A killed process loses no data, but a power failure may. S3 itself
//!   is durable; a demo on a laptop does not need to be.
//!
//! # Metadata
//!
//! Only the bytes and the modification time of an object are stored, so any program can add
//! objects. The content type is derived from the extension. User metadata and tags are dropped.
//! A file is not an object if its name could not come from [`key_path`].

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::notification::{CreatedBy, Notifier, ObjectEvent};
use crate::storage::buckets::Buckets;
use crate::storage::error::StorageError;
use crate::storage::etag_cache::ETagCache;
use crate::storage::folder_cache::FolderCache;
use crate::storage::folders::{is_not_found, persist, prune_empty_parents};
use crate::storage::key_locks::KeyLocks;
use crate::storage::key_path;
use crate::storage::listing::{ListQuery, list_page};
use crate::storage::object::{Object, ObjectPage};
use crate::storage::precondition::Precondition;
use crate::storage::staged_object::StagedObject;

/// The data folder, with one subfolder per bucket.
#[derive(Debug)]
pub(crate) struct ObjectFolder {
    pub(crate) buckets: Buckets,
    pub(crate) notifier: Notifier,
    /// Folder of staged objects: on the same file system as the buckets, but outside all of them.
    staging: PathBuf,
    etags: ETagCache,
    folders: FolderCache,
    locks: KeyLocks,
    /// Keeps the data folder locked until the last pending write has finished.
    _folder_lock: File,
}

impl ObjectFolder {
    /// Opens a data folder whose server files are in `state`.
    ///
    /// `folder_lock` is the open, locked file that keeps other servers out of the folder.
    pub(crate) fn open(data: &Path, state: &Path, folder_lock: File) -> io::Result<Self> {
        let staging = state.join("tmp");
        // A killed process leaves its incomplete uploads here.
        match fs::remove_dir_all(&staging) {
            Err(error) if !is_not_found(&error) => return Err(error),
            _ => fs::create_dir_all(&staging)?,
        }
        Ok(Self {
            buckets: Buckets::new(data),
            notifier: Notifier::default(),
            staging,
            etags: ETagCache::new(state.join("etags")),
            folders: FolderCache::default(),
            locks: KeyLocks::new(),
            _folder_lock: folder_lock,
        })
    }

    /// Creates an empty staged object.
    pub(crate) fn stage(&self) -> Result<StagedObject, StorageError> {
        Ok(StagedObject::new(&self.staging)?)
    }

    /// Moves a staged object to its key if the precondition is met.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        staged: StagedObject,
        precondition: &Precondition,
        created_by: CreatedBy,
    ) -> Result<Object, StorageError> {
        let staged = staged.finish();
        let _no_bucket_changes = self.buckets.block_changes();
        let path = self.buckets.existing(bucket)?.join(key_path::object(key));
        let _key_lock = self.locks.lock(&path);
        self.check(&path, precondition)?;
        // The time of the put, not of its first byte: among puts of one key, the current object
        // must have the latest time.
        let modified = SystemTime::now();
        staged.file.as_file().set_modified(modified)?;
        let size = staged.file.as_file().metadata()?.len();
        // Cached before the rename: a reader of the new file must not miss an ETag that can't be
        // computed from the bytes.
        self.etags.insert_new(&path, staged.file.as_file(), &staged.etag, staged.is_md5)?;
        persist(staged.file, &path)?;
        self.notifier.notify(bucket, key, ObjectEvent::Created { by: created_by, size, etag: &staged.etag });
        Ok(Object { key: key.to_owned(), size, modified, etag: staged.etag })
    }

    /// Opens an object. The file is at its first byte.
    pub(crate) fn get(&self, bucket: &str, key: &str) -> Result<(Object, File), StorageError> {
        self.open_object(&self.buckets.existing(bucket)?.join(key_path::object(key)), key.to_owned())
    }

    /// Removes an object if the precondition is met.
    ///
    /// Removing a missing object succeeds unless the precondition requires one.
    pub(crate) fn remove(
        &self,
        bucket: &str,
        key: &str,
        precondition: &Precondition,
    ) -> Result<(), StorageError> {
        let bucket_folder = self.buckets.existing(bucket)?;
        let path = bucket_folder.join(key_path::object(key));
        let _key_lock = self.locks.lock(&path);
        self.check(&path, precondition)?;
        match fs::remove_file(&path) {
            Err(error) if is_not_found(&error) => return Ok(()),
            removed => removed?,
        }
        // After the file, so that a failed removal keeps an ETag that can't be computed.
        self.etags.remove(&path);
        prune_empty_parents(&path, &bucket_folder);
        self.notifier.notify(bucket, key, ObjectEvent::Removed);
        Ok(())
    }

    /// Returns one page of a bucket.
    pub(crate) fn list(&self, bucket: &str, query: &ListQuery) -> Result<ObjectPage, StorageError> {
        let folder = self.buckets.existing(bucket)?;
        let page = list_page(&folder, &self.folders, query)?;
        let mut objects = Vec::with_capacity(page.keys.len());
        for key in page.keys {
            match self.describe(&folder.join(key_path::object(&key)), key) {
                // A concurrent removal.
                Err(StorageError::NoSuchKey) => {}
                object => objects.push(object?),
            }
        }
        Ok(ObjectPage { objects, common_prefixes: page.common_prefixes, next: page.next })
    }

    fn open_object(&self, path: &Path, key: String) -> Result<(Object, File), StorageError> {
        let mut file = File::open(path).map_err(no_such_key_if_missing)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(StorageError::NoSuchKey);
        }
        let etag = self.etags.get_or_compute(path, &mut file)?;
        Ok((Object { key, size: metadata.len(), modified: metadata.modified()?, etag }, file))
    }

    /// Returns the metadata of the object at this path. Opens its file only if its `ETag` is not in
    /// memory.
    fn describe(&self, path: &Path, key: String) -> Result<Object, StorageError> {
        let metadata = fs::metadata(path).map_err(no_such_key_if_missing)?;
        match self.etags.get(path, &metadata)? {
            Some(etag) => Ok(Object { key, size: metadata.len(), modified: metadata.modified()?, etag }),
            None => Ok(self.open_object(path, key)?.0),
        }
    }

    /// Checks a precondition against the current object. The caller holds the key's lock.
    fn check(&self, path: &Path, precondition: &Precondition) -> Result<(), StorageError> {
        // Most writes are unconditional. They need not read the object that they replace.
        if *precondition == Precondition::None {
            return Ok(());
        }
        let current = match self.describe(path, String::new()) {
            Err(StorageError::NoSuchKey) => None,
            object => Some(object?.etag),
        };
        precondition.check(current.as_deref())
    }
}

fn no_such_key_if_missing(error: io::Error) -> StorageError {
    if is_not_found(&error) { StorageError::NoSuchKey } else { StorageError::Io(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(data: &Path) -> ObjectFolder {
        let state = data.join(".fruitvec");
        fs::create_dir_all(&state).unwrap();
        let lock = File::create(state.join("lock")).unwrap();
        let objects = ObjectFolder::open(data, &state, lock).unwrap();
        objects.buckets.create("photos").unwrap();
        objects
    }

    fn put(
        objects: &ObjectFolder,
        bytes: &[u8],
        precondition: &Precondition,
    ) -> Result<Object, StorageError> {
        let mut staged = objects.stage().unwrap();
        staged.write(bytes).unwrap();
        objects.put("photos", "a.jpg", staged, precondition, CreatedBy::Put)
    }

    #[test]
    fn a_bucket_name_does_not_give_access_to_the_servers_own_files() {
        let data = tempfile::tempdir().unwrap();
        let objects = open(data.path());
        for name in ["..", ".fruitvec", "a/b", "", "A"] {
            assert!(matches!(objects.get(name, "lock"), Err(StorageError::NoSuchBucket)), "{name}");
        }
    }

    #[test]
    fn one_of_several_concurrent_conditional_puts_succeeds() {
        let data = tempfile::tempdir().unwrap();
        let objects = open(data.path());
        let successes: usize = std::thread::scope(|scope| {
            let puts: Vec<_> = (0..8_u8)
                .map(|writer| {
                    let objects = &objects;
                    scope.spawn(move || usize::from(put(objects, &[writer], &Precondition::IfAbsent).is_ok()))
                })
                .collect();
            puts.into_iter().map(|put| put.join().unwrap()).sum()
        });
        assert_eq!(successes, 1);
    }

    #[test]
    fn a_reader_keeps_the_version_that_it_opened() {
        let data = tempfile::tempdir().unwrap();
        let objects = open(data.path());
        put(&objects, b"old", &Precondition::None).unwrap();
        let (_, mut file) = objects.get("photos", "a.jpg").unwrap();
        put(&objects, b"new", &Precondition::IfPresent).unwrap();
        assert_eq!(io::read_to_string(&mut file).unwrap(), "old");
        let (_, mut file) = objects.get("photos", "a.jpg").unwrap();
        assert_eq!(io::read_to_string(&mut file).unwrap(), "new");
    }
}
