//! The sorted names in folders, cached for large folders.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::storage::file_version::MIN_TRUSTED_AGE;
use crate::storage::folders::is_not_found;
use crate::storage::key_path::EntryName;

/// Minimum number of names in a cached folder. Reading a smaller folder again is cheap, so caching
/// it would waste memory.
const MIN_CACHED_NAMES: usize = 1000;

/// The modification time of a folder and its sorted segments at that time.
type CachedFolder = (SystemTime, Arc<[String]>);

/// Reads the names in folders, and caches those of large folders until they change.
#[derive(Debug, Default)]
pub(crate) struct FolderCache {
    cached: Mutex<HashMap<PathBuf, CachedFolder>>,
}

impl FolderCache {
    /// Returns the sorted key segments in this folder. A subfolder's segment ends in `/`.
    ///
    /// A missing folder has no segments.
    pub(crate) fn segments(&self, folder: &Path) -> io::Result<Arc<[String]>> {
        // Read before the folder is, so that a concurrent change makes the entry stale.
        let now = SystemTime::now();
        let changed = match fs::metadata(folder) {
            Ok(metadata) => metadata.modified()?,
            Err(error) if is_not_found(&error) => return Ok(Arc::new([])),
            Err(error) => return Err(error),
        };
        if let Some(segments) = self.lookup(folder, changed) {
            return Ok(segments);
        }
        // Read without the lock, so that a slow folder does not block other listings.
        let mut segments = Vec::new();
        let is_flat = read_segments(folder, "", &mut segments)?;
        segments.sort_unstable();
        let segments: Arc<[String]> = segments.into();
        // A change in a continuation folder does not update the time of this folder.
        if is_flat && segments.len() >= MIN_CACHED_NAMES && changed + MIN_TRUSTED_AGE < now {
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            cached.insert(folder.to_owned(), (changed, Arc::clone(&segments)));
        }
        Ok(segments)
    }

    /// Returns the cached segments of a folder, or evicts them if the folder has changed since.
    fn lookup(&self, folder: &Path, changed: SystemTime) -> Option<Arc<[String]>> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        match cached.get(folder) {
            Some((time, segments)) if *time == changed => return Some(Arc::clone(segments)),
            Some(_) => drop(cached.remove(folder)),
            None => {}
        }
        None
    }
}

/// Appends the segments in a folder, each with `prefix` in front.
///
/// Returns whether the folder has no continuation folder, which contains the rest of long segments.
fn read_segments(folder: &Path, prefix: &str, segments: &mut Vec<String>) -> io::Result<bool> {
    let mut is_flat = true;
    let entries = match fs::read_dir(folder) {
        Err(error) if is_not_found(&error) => return Ok(is_flat),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        // A link to a folder counts as a folder, for data that is stored elsewhere.
        let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| EntryName::parse(name, is_folder)) else {
            continue;
        };
        match name {
            EntryName::Object(segment) => segments.push(format!("{prefix}{segment}")),
            EntryName::Folder(segment) => segments.push(format!("{prefix}{segment}/")),
            EntryName::SegmentStart(start) => {
                is_flat = false;
                read_segments(&entry.path(), &format!("{prefix}{start}"), segments)?;
            }
        }
    }
    Ok(is_flat)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_large_folder_is_cached_until_it_changes() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("x");
        fs::create_dir(&folder).unwrap();
        for number in 0..MIN_CACHED_NAMES {
            fs::write(folder.join(format!("{number:05}.jpg")), "").unwrap();
        }
        let cache = FolderCache::default();
        let seconds_ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
        fs::File::open(&folder).unwrap().set_modified(seconds_ago(1)).unwrap();
        cache.segments(&folder).unwrap();
        assert!(cache.cached.lock().unwrap().is_empty(), "the folder had just changed");
        fs::File::open(&folder).unwrap().set_modified(seconds_ago(100)).unwrap();
        assert!(Arc::ptr_eq(&cache.segments(&folder).unwrap(), &cache.segments(&folder).unwrap()));
        fs::write(folder.join("new.jpg"), "").unwrap();
        assert_eq!(cache.segments(&folder).unwrap().len(), MIN_CACHED_NAMES + 1);
    }
}
