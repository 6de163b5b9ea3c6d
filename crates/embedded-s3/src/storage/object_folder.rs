//! Buckets and objects as folders and files.
//!
//! What is kept here, whoever asks and however many at once:
//!
//! * An object is replaced whole: its bytes are in a temporary file on the same file system before its key's lock is
//!   taken; the condition is checked and the file renamed under that lock. Of any number of conditional puts
//!   exactly one wins.
//! * Who reads goes on reading what they opened: a rename leaves the old file to those who hold it.
//! * Nothing is synced to the disk: a process that dies loses nothing, a machine that loses power may. S3 itself
//!   would not; a laptop's demonstration need not.
//!
//! Kept of an object are its bytes and the time, so that any program may put a file there. Its content type is told
//! from its extension; user metadata and tags are not kept. A file with a name that [`keys`] would not
//! write is no object.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::draft::Draft;
use super::etags::ETags;
use super::keys;
use super::listing::{self, Folders, Query, is_gone};
use super::notification::{Change, Created, Notifier};
use super::refusal::Refusal;

/// Locks for all keys together; two keys that share one wait for each other, and that is all.
const LOCKS: usize = 256;
/// How often a folder that vanished under a put is made again. It vanishes when its last object is removed.
const FOLDER_TRIES: usize = 100;

/// What must hold of the object that is there when another is put in its place, or when it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing.
    Anything,
    /// There is none.
    Absence,
    /// There is one.
    Presence,
    /// There is one with this `ETag`, without quotes.
    ETag(String),
}

/// An object as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    /// Without quotes.
    pub(crate) etag: String,
}

/// A page of objects, in the order of their keys.
pub(crate) struct Objects {
    pub(crate) objects: Vec<Object>,
    pub(crate) common_prefixes: Vec<String>,
    /// Where the next page begins; `None` if this is the last.
    pub(crate) next: Option<Vec<u8>>,
}

/// The folder that holds the buckets.
#[derive(Debug)]
pub(crate) struct Store {
    data: PathBuf,
    /// Where drafts lie; on the same file system, outside all buckets.
    drafts: PathBuf,
    etags: ETags,
    folders: Folders,
    /// Who is told of changes.
    pub(crate) notifier: Notifier,
    /// Held for writing while a bucket is made or deleted, so that no put makes its folder again.
    buckets: RwLock<()>,
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
    /// The lock on the folder: held for as long as anything can still write there.
    _only: File,
}

impl Store {
    /// The store in this folder, with its own files in `own` below it, of which `only` is the locked one.
    pub(crate) fn open(data: &Path, own: &Path, only: File) -> io::Result<Self> {
        let drafts = own.join("tmp");
        // What a process that died had begun to receive.
        match fs::remove_dir_all(&drafts) {
            Err(error) if !is_gone(&error) => return Err(error),
            _ => fs::create_dir_all(&drafts)?,
        }
        Ok(Self {
            data: data.to_owned(),
            drafts,
            etags: ETags::new(own.join("etags")),
            folders: Folders::default(),
            notifier: Notifier::default(),
            buckets: RwLock::default(),
            locks: std::iter::repeat_with(Mutex::default).take(LOCKS).collect(),
            hasher: RandomState::new(),
            _only: only,
        })
    }

    /// The folder of a bucket that exists.
    pub(crate) fn bucket(&self, bucket: &str) -> Result<PathBuf, Refusal> {
        let folder = self.bucket_folder(bucket)?;
        if folder.is_dir() { Ok(folder) } else { Err(Refusal::NoSuchBucket) }
    }

    /// Where a bucket's folder is. A name that is none may lead out of the data, and is refused.
    fn bucket_folder(&self, bucket: &str) -> Result<PathBuf, Refusal> {
        let valid = s3s::path::check_bucket_name(bucket);
        if valid { Ok(self.data.join(bucket)) } else { Err(Refusal::NoSuchBucket) }
    }

    /// All buckets by name, with the time they were made.
    pub(crate) fn buckets(&self) -> Result<Vec<(String, SystemTime)>, Refusal> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(&self.data)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = entry.metadata()?;
            if metadata.is_dir() && s3s::path::check_bucket_name(&name) {
                buckets.push((name, metadata.created().or_else(|_| metadata.modified())?));
            }
        }
        buckets.sort();
        Ok(buckets)
    }

    /// Makes a bucket.
    pub(crate) fn create_bucket(&self, bucket: &str) -> Result<(), Refusal> {
        let _alone = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        match fs::create_dir(self.bucket_folder(bucket)?) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Refusal::BucketExists),
            made => Ok(made?),
        }
    }

    /// Deletes a bucket that holds nothing.
    pub(crate) fn delete_bucket(&self, bucket: &str) -> Result<(), Refusal> {
        let _alone = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        match remove_empty(&self.bucket(bucket)?) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Err(Refusal::BucketNotEmpty),
            removed => Ok(removed?),
        }
    }

    /// A draft of an object.
    pub(crate) fn draft(&self) -> Result<Draft, Refusal> {
        Ok(Draft::new(&self.drafts)?)
    }

    /// Puts a draft in its place, if what is expected holds of what is there.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        draft: Draft,
        expected: &Expected,
        how: Created,
    ) -> Result<Object, Refusal> {
        let received = draft.finish();
        let _shared = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        let path = self.bucket(bucket)?.join(keys::path(key));
        let _held = self.lock(&path);
        self.expect(&path, expected)?;
        // The time of the put, not of its first byte: of two puts of a key, the later one is the one that is there.
        let modified = SystemTime::now();
        received.file.as_file().set_modified(modified)?;
        let size = received.file.as_file().metadata()?.len();
        self.etags.note(&path, received.file.as_file(), &received.etag, received.is_md5)?;
        rename(received.file, &path)?;
        self.notifier.announce(bucket, key, Change::Created { how, size, etag: &received.etag });
        Ok(Object { key: key.to_owned(), size, modified, etag: received.etag })
    }

    /// An object and its bytes, from the first.
    pub(crate) fn get(&self, bucket: &str, key: &str) -> Result<(Object, File), Refusal> {
        self.read(&self.bucket(bucket)?.join(keys::path(key)), key.to_owned())
    }

    /// Removes an object, if what is expected holds of it. There being none is no failure unless one is expected.
    pub(crate) fn remove(&self, bucket: &str, key: &str, expected: &Expected) -> Result<(), Refusal> {
        let bucket_folder = self.bucket(bucket)?;
        let path = bucket_folder.join(keys::path(key));
        let _held = self.lock(&path);
        self.expect(&path, expected)?;
        match fs::remove_file(&path) {
            Err(error) if is_gone(&error) => return Ok(()),
            removed => removed?,
        }
        self.etags.forget(&path);
        remove_empty_parents(&path, &bucket_folder);
        self.notifier.announce(bucket, key, Change::Removed);
        Ok(())
    }

    /// A page of a bucket. What is removed meanwhile is left out.
    pub(crate) fn list(&self, bucket: &str, query: &Query) -> Result<Objects, Refusal> {
        let folder = self.bucket(bucket)?;
        let page = listing::page(&folder, &self.folders, query)?;
        let mut objects = Vec::with_capacity(page.keys.len());
        for key in page.keys {
            match self.describe(&folder.join(keys::path(&key)), key) {
                Err(Refusal::NoSuchKey) => {}
                object => objects.push(object?),
            }
        }
        Ok(Objects { objects, common_prefixes: page.common_prefixes, next: page.next })
    }

    fn read(&self, path: &Path, key: String) -> Result<(Object, File), Refusal> {
        let mut file = File::open(path).map_err(missing)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Refusal::NoSuchKey);
        }
        let etag = self.etags.of(path, &mut file)?;
        Ok((Object { key, size: metadata.len(), modified: metadata.modified()?, etag }, file))
    }

    /// The object at this path; its file is opened only if its `ETag` is not known.
    fn describe(&self, path: &Path, key: String) -> Result<Object, Refusal> {
        let metadata = fs::metadata(path).map_err(missing)?;
        match self.etags.known(path, &metadata)? {
            Some(etag) => Ok(Object { key, size: metadata.len(), modified: metadata.modified()?, etag }),
            None => Ok(self.read(path, key)?.0),
        }
    }

    /// Refuses what is done under a condition that does not hold. The key's lock is held.
    fn expect(&self, path: &Path, expected: &Expected) -> Result<(), Refusal> {
        if *expected == Expected::Anything {
            return Ok(());
        }
        let there = match self.describe(path, String::new()) {
            Err(Refusal::NoSuchKey) => None,
            object => Some(object?.etag),
        };
        match (expected, there) {
            (Expected::Presence | Expected::ETag(_), None) => Err(Refusal::NoSuchKey),
            (Expected::Absence, Some(_)) => Err(Refusal::PreconditionFailed),
            (Expected::ETag(wanted), Some(etag)) if *wanted != etag => Err(Refusal::PreconditionFailed),
            _ => Ok(()),
        }
    }

    fn lock(&self, path: &Path) -> std::sync::MutexGuard<'_, ()> {
        let lock = self.hasher.hash_one(path) % LOCKS as u64;
        self.locks[lock as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(error: io::Error) -> Refusal {
    if is_gone(&error) { Refusal::NoSuchKey } else { Refusal::Io(error) }
}

/// Renames a draft to its path, making the folders above it.
fn rename(mut file: NamedTempFile, path: &Path) -> io::Result<()> {
    for _ in 1..FOLDER_TRIES {
        match file.persist(path) {
            Ok(_) => return Ok(()),
            Err(failed) if is_gone(&failed.error) => file = failed.file,
            Err(failed) => return Err(failed.error),
        }
        match path.parent().map_or(Ok(()), fs::create_dir_all) {
            // Another thread has made it and a third has pruned it since: as much as if it were gone.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || is_gone(&error) => {}
            made => made?,
        }
    }
    file.persist(path).map(drop).map_err(|failed| failed.error)
}

/// Removes the folders that the removal of this file has left empty, but not the bucket's.
fn remove_empty_parents(path: &Path, bucket_folder: &Path) {
    for folder in path.ancestors().skip(1).take_while(|folder| *folder != bucket_folder) {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Removes a folder that holds nothing but empty folders.
fn remove_empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A removal may prune a folder between the moment a put has made it and the moment it renames its file there.
    #[test]
    fn puts_and_removals_in_one_folder_do_not_trip_each_other() {
        let bucket = tempfile::tempdir().unwrap();
        let take_turns = &|writer: usize| {
            let path = bucket.path().join(format!("deep/er/{writer}.jpg"));
            for _ in 0..1000 {
                rename(NamedTempFile::new_in(bucket.path()).unwrap(), &path).unwrap();
                fs::remove_file(&path).unwrap();
                remove_empty_parents(&path, bucket.path());
            }
        };
        std::thread::scope(|scope| {
            for writer in 0..4 {
                scope.spawn(move || take_turns(writer));
            }
        });
        assert_eq!(fs::read_dir(bucket.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_name_that_leads_out_of_the_data_is_no_bucket() {
        let data = tempfile::tempdir().unwrap();
        let own = data.path().join(".fruitvec");
        fs::create_dir(&own).unwrap();
        let store = Store::open(data.path(), &own, File::create(own.join("lock")).unwrap()).unwrap();
        for name in ["..", ".fruitvec", "a/b", "", "A"] {
            assert!(matches!(store.create_bucket(name), Err(Refusal::NoSuchBucket)), "{name}");
            assert!(matches!(store.get(name, "lock"), Err(Refusal::NoSuchBucket)), "{name}");
        }
    }
}
