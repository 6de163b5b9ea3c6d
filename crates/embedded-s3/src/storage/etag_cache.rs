//! A cache of the files' `ETag`s.
//!
//! An `ETag` is the MD5 of the bytes. A multipart upload instead assigns one derived from the MD5s
//! of its parts, which can't be computed from the file.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use md5::{Digest, Md5};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::storage::file_version::{FileVersion, MIN_TRUSTED_AGE, changed, nanoseconds};

/// Minimum size of a file whose computed `ETag` is cached on disk. Hashing a smaller file again in
/// the next process costs no more than reading the entry.
const MIN_CACHED_BYTES: u64 = 1 << 20;

/// An entry on disk.
#[derive(Debug, Serialize, Deserialize)]
struct CacheEntry {
    etag: String,
    #[serde(rename = "stamp")]
    version: FileVersion,
    /// Time of the last change to the file's bytes or metadata. Detects an edit whose program set
    /// the modification time back. Absent if the `ETag` was assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_ns: Option<u64>,
}

/// The origin of an entry on disk.
///
/// Each origin has its own file, because a reader may finish hashing an object while an upload
/// replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Assigned by a multipart upload.
    Assigned,
    /// Computed from the bytes.
    Computed,
}

/// `ETag`s in memory, with those that are expensive or impossible to compute also on disk.
#[derive(Debug)]
pub(crate) struct ETagCache {
    /// Folder of the entries on disk.
    folder: PathBuf,
    in_memory: Mutex<HashMap<PathBuf, (FileVersion, String)>>,
}

impl ETagCache {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, in_memory: Mutex::default() }
    }

    /// Returns the `ETag` of an open file, without quotes, and rewinds the file.
    pub(crate) fn get_or_compute(&self, path: &Path, file: &mut File) -> io::Result<String> {
        let metadata = file.metadata()?;
        let version = FileVersion::from_metadata(&metadata)?;
        if let Some(etag) = self.lookup(path, version) {
            return Ok(etag);
        }
        // An assigned ETag comes first, because hashing would return another one.
        let etag = match self.read_entry(path, version, Origin::Assigned, None) {
            Some(etag) => etag,
            None if version.size < MIN_CACHED_BYTES => hex::encode(md5(file)?),
            None => self.compute_large(path, file, version, changed(&metadata)?)?,
        };
        self.insert(path, version, &etag);
        Ok(etag)
    }

    /// Returns the MD5 of a large file, from disk or else computed and then cached on disk.
    fn compute_large(
        &self,
        path: &Path,
        file: &mut File,
        version: FileVersion,
        changed: SystemTime,
    ) -> io::Result<String> {
        let changed_ns = Some(nanoseconds(changed));
        if let Some(etag) = self.read_entry(path, version, Origin::Computed, changed_ns) {
            return Ok(etag);
        }
        // Checked before the file is read, because hashing takes long enough for it to change.
        let is_trusted = changed.elapsed().is_ok_and(|age| age >= MIN_TRUSTED_AGE);
        let etag = hex::encode(md5(file)?);
        if is_trusted {
            let entry = CacheEntry { etag: etag.clone(), version, changed_ns };
            // An error only means that the next process computes the ETag again.
            drop(self.write_entry(path, Origin::Computed, &entry));
        }
        Ok(etag)
    }

    /// Returns the `ETag` of a file with this metadata if it is in memory.
    pub(crate) fn get(&self, path: &Path, metadata: &Metadata) -> io::Result<Option<String>> {
        Ok(self.lookup(path, FileVersion::from_metadata(metadata)?))
    }

    /// Records the `ETag` of a file that is about to be renamed to this path.
    pub(crate) fn insert_new(&self, path: &Path, file: &File, etag: &str, is_md5: bool) -> io::Result<()> {
        let version = FileVersion::from_metadata(&file.metadata()?)?;
        self.remove_entries(path);
        if !is_md5 {
            let entry = CacheEntry { etag: etag.to_owned(), version, changed_ns: None };
            self.write_entry(path, Origin::Assigned, &entry)?;
        }
        self.insert(path, version, etag);
        Ok(())
    }

    /// Removes the `ETag` of a deleted file.
    pub(crate) fn remove(&self, path: &Path) {
        self.in_memory.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        self.remove_entries(path);
    }

    fn lookup(&self, path: &Path, version: FileVersion) -> Option<String> {
        let in_memory = self.in_memory.lock().unwrap_or_else(PoisonError::into_inner);
        in_memory.get(path).filter(|(cached, _)| *cached == version).map(|(_, etag)| etag.clone())
    }

    fn insert(&self, path: &Path, version: FileVersion, etag: &str) {
        let mut in_memory = self.in_memory.lock().unwrap_or_else(PoisonError::into_inner);
        in_memory.insert(path.to_owned(), (version, etag.to_owned()));
    }

    fn write_entry(&self, path: &Path, origin: Origin, entry: &CacheEntry) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        // Not atomic: an incomplete entry fails to parse and counts as absent.
        fs::write(self.entry_path(path, origin), serde_json::to_vec(entry)?)
    }

    /// Returns the `ETag` on disk. `None` if it is absent, unreadable or of another version.
    fn read_entry(
        &self,
        path: &Path,
        version: FileVersion,
        origin: Origin,
        changed_ns: Option<u64>,
    ) -> Option<String> {
        let json = fs::read(self.entry_path(path, origin)).ok()?;
        let entry: CacheEntry = serde_json::from_slice(&json).ok()?;
        (entry.version == version && entry.changed_ns == changed_ns).then_some(entry.etag)
    }

    fn remove_entries(&self, path: &Path) {
        for origin in [Origin::Assigned, Origin::Computed] {
            // Usually fails, because most files have no entry.
            drop(fs::remove_file(self.entry_path(path, origin)));
        }
    }

    /// Returns the file of an entry.
    ///
    /// Its name is a digest, because a path can be too long for a file name. The digest covers the
    /// path below the data folder only, so entries stay valid when the data folder moves.
    fn entry_path(&self, path: &Path, origin: Origin) -> PathBuf {
        let data = self.folder.ancestors().nth(2).unwrap_or(Path::new(""));
        let path = path.strip_prefix(data).unwrap_or(path);
        let name = hex::encode(digest(&SHA256, path.as_os_str().as_encoded_bytes()));
        self.folder.join(name + if origin == Origin::Assigned { ".json" } else { ".md5.json" })
    }
}

/// Returns the MD5 of a whole file and rewinds it.
fn md5(file: &mut File) -> io::Result<[u8; 16]> {
    file.rewind()?;
    let mut digest = Md5::new();
    // Most files are small. Zeroing a full-size buffer would cost more than hashing them.
    let mut buffer = vec![0; file.metadata()?.len().clamp(1, 1 << 16) as usize];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    file.rewind()?;
    Ok(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const MD5_OF_ABC: &str = "900150983cd24fb0d6963f7d28e17f72";

    fn cache(data: &Path) -> ETagCache {
        ETagCache::new(data.join(".fruitvec/etags"))
    }

    #[test]
    fn an_assigned_etag_survives_a_restart_until_the_file_is_edited() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("big.bin");
        fs::write(&path, "abc").unwrap();
        cache(data.path()).insert_new(&path, &File::open(&path).unwrap(), "parts-2", false).unwrap();
        let etag = |cache: &ETagCache| cache.get_or_compute(&path, &mut File::open(&path).unwrap()).unwrap();
        assert_eq!(etag(&cache(data.path())), "parts-2");
        let edited = SystemTime::now() + Duration::from_secs(10);
        File::options().write(true).open(&path).unwrap().set_modified(edited).unwrap();
        assert_eq!(etag(&cache(data.path())), MD5_OF_ABC);
    }

    #[test]
    fn a_removed_etag_is_not_found_again() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("big.bin");
        fs::write(&path, "abc").unwrap();
        let cache = cache(data.path());
        cache.insert_new(&path, &File::open(&path).unwrap(), "parts-2", false).unwrap();
        cache.remove(&path);
        assert_eq!(cache.get(&path, &fs::metadata(&path).unwrap()).unwrap(), None);
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 0);
    }

    #[test]
    fn the_format_on_disk_stays_the_same() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("photos/a.jpg");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "abc").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(7)).unwrap();
        cache(data.path()).insert_new(&path, &file, "parts-2", false).unwrap();
        let name = hex::encode(digest(&SHA256, b"photos/a.jpg"));
        let entry = fs::read_to_string(data.path().join(format!(".fruitvec/etags/{name}.json"))).unwrap();
        assert_eq!(entry, r#"{"etag":"parts-2","stamp":{"modified_ns":7000000000,"size":3}}"#);

        let version = FileVersion::from_metadata(&file.metadata().unwrap()).unwrap();
        let computed = CacheEntry { etag: MD5_OF_ABC.into(), version, changed_ns: Some(8) };
        cache(data.path()).write_entry(&path, Origin::Computed, &computed).unwrap();
        let entry = fs::read_to_string(data.path().join(format!(".fruitvec/etags/{name}.md5.json"))).unwrap();
        assert!(entry.ends_with(r#""stamp":{"modified_ns":7000000000,"size":3},"changed_ns":8}"#), "{entry}");
    }
}
