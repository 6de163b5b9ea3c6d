//! The keys of a bucket in S3's order, a page at a time.
//!
//! The order is that of the keys' bytes. A folder sorts with the `/` that ends it, so the names in each folder can
//! be sorted on their own and the tree walked in order: a page reads no folder that lies outside its range.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::keys::{self, Name};

/// Folders with fewer names are read again for each page; they are quick, and the memory is not theirs.
const LARGE_FOLDER: usize = 1000;
/// A folder that changed more recently than this is not remembered: another change may bear the same time stamp.
const SETTLED: Duration = Duration::from_secs(2);

/// Which keys are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    /// Only keys that begin so.
    pub(crate) prefix: String,
    /// Keys with this after the prefix are rolled up to what comes before its end. Not empty.
    pub(crate) delimiter: Option<String>,
    /// Only keys whose bytes are not less than these.
    pub(crate) from: Vec<u8>,
    /// At most this many keys and rolled-up prefixes together.
    pub(crate) limit: usize,
}

/// What a query finds, in order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) keys: Vec<String>,
    pub(crate) common_prefixes: Vec<String>,
    /// `from` of the next page; `None` if this is the last.
    pub(crate) next: Option<Vec<u8>>,
}

/// The least bytes greater than this key: `from` of what comes after it.
pub(crate) fn after(key: &str) -> Vec<u8> {
    [key.as_bytes(), b"\0"].concat()
}

/// The least bytes greater than every key with this prefix, which is not empty.
pub(crate) fn past(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        // No byte of UTF-8 is 0xff.
        *last += 1;
    }
    bytes
}

/// One page of the bucket in this folder.
pub(crate) fn page(bucket: &Path, folders: &Folders, query: &Query) -> io::Result<Page> {
    let mut page = Page::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut walk = Walk { bucket, folders, levels: Vec::new() };
    let mut next = query.from.clone().max(query.prefix.clone().into_bytes());
    walk.seek(&next)?;
    while let Some(key) = walk.next()?.filter(|key| key.starts_with(&query.prefix)) {
        if page.keys.len() + page.common_prefixes.len() == query.limit {
            page.next = Some(next);
            break;
        }
        match common_prefix(&key, query) {
            Some(prefix) => {
                next = past(prefix);
                page.common_prefixes.push(prefix.to_owned());
                walk.seek(&next)?;
            }
            None => {
                next = after(&key);
                page.keys.push(key);
            }
        }
    }
    Ok(page)
}

fn common_prefix<'a>(key: &'a str, query: &Query) -> Option<&'a str> {
    let delimiter = query.delimiter.as_deref()?;
    let at = key[query.prefix.len()..].find(delimiter)?;
    Some(&key[..query.prefix.len() + at + delimiter.len()])
}

/// A walk over a bucket's keys, in order.
struct Walk<'a> {
    bucket: &'a Path,
    folders: &'a Folders,
    levels: Vec<Level>,
}

/// A folder on the way to where the walk is.
struct Level {
    /// What all keys in it begin with.
    prefix: String,
    names: Arc<[String]>,
    next: usize,
}

impl Walk<'_> {
    /// Moves before the first key whose bytes are not less than these.
    fn seek(&mut self, from: &[u8]) -> io::Result<()> {
        self.levels.clear();
        let mut prefix = String::new();
        loop {
            let rest = &from[prefix.len()..];
            let names = self.names(&prefix)?;
            let next = names.partition_point(|name| name.as_bytes() < rest);
            // A folder that begins before `from` may end after it. It can only be the one just before.
            let entered = next.checked_sub(1).map(|before| names[before].clone());
            let entered = entered.filter(|name| name.ends_with('/') && rest.starts_with(name.as_bytes()));
            self.levels.push(Level { prefix: prefix.clone(), names, next });
            match entered {
                Some(name) => prefix.push_str(&name),
                None => return Ok(()),
            }
        }
    }

    fn next(&mut self) -> io::Result<Option<String>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.get(level.next) else {
                self.levels.pop();
                continue;
            };
            level.next += 1;
            let key = format!("{}{name}", level.prefix);
            if !name.ends_with('/') {
                return Ok(Some(key));
            }
            let names = self.names(&key)?;
            self.levels.push(Level { prefix: key, names, next: 0 });
        }
        Ok(None)
    }

    fn names(&self, prefix: &str) -> io::Result<Arc<[String]>> {
        self.folders.names(&self.bucket.join(keys::folder(prefix)))
    }
}

/// When a folder last changed, and the names that it has had since.
type Remembered = (SystemTime, Arc<[String]>);

/// The names in folders, sorted; large ones are remembered for as long as they do not change.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    remembered: Mutex<HashMap<PathBuf, Remembered>>,
}

impl Folders {
    /// The segments that the names in this folder stand for, sorted; a folder's ends in `/`. None if it is gone.
    fn names(&self, folder: &Path) -> io::Result<Arc<[String]>> {
        let now = SystemTime::now();
        let changed = match fs::metadata(folder) {
            Ok(metadata) => metadata.modified()?,
            Err(error) if is_gone(&error) => return Ok(Arc::new([])),
            Err(error) => return Err(error),
        };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        match remembered.get(folder) {
            Some((then, names)) if *then == changed => return Ok(Arc::clone(names)),
            Some(_) => drop(remembered.remove(folder)),
            None => {}
        }
        drop(remembered);
        let mut names = Vec::new();
        let whole = read(folder, "", &mut names)?;
        names.sort_unstable();
        let names: Arc<[String]> = names.into();
        if whole && names.len() >= LARGE_FOLDER && changed + SETTLED < now {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.insert(folder.to_owned(), (changed, Arc::clone(&names)));
        }
        Ok(names)
    }
}

/// Adds the segments of this folder's names, each behind `beginning`. Whether they are all in this very folder, and
/// not in one where a long segment goes on.
fn read(folder: &Path, beginning: &str, names: &mut Vec<String>) -> io::Result<bool> {
    let mut whole = true;
    let entries = match fs::read_dir(folder) {
        Err(error) if is_gone(&error) => return Ok(whole),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        let Some(name) = entry.file_name().to_str().and_then(|name| Name::parse(name, is_folder)) else {
            continue;
        };
        match name {
            Name::Object(segment) => names.push(format!("{beginning}{segment}")),
            Name::Folder(segment) => names.push(format!("{beginning}{segment}/")),
            Name::Beginning(piece) => {
                whole = false;
                read(&entry.path(), &format!("{beginning}{piece}"), names)?;
            }
        }
    }
    Ok(whole)
}

/// Whether there is no such file. A file where a folder should be means the same: no key leads there.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(keys: &[String]) -> tempfile::TempDir {
        let bucket = tempfile::tempdir().unwrap();
        for key in keys {
            let path = bucket.path().join(keys::path(key));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, key).unwrap();
        }
        bucket
    }

    /// All pages of a query.
    fn pages(bucket: &Path, query: &Query) -> Vec<Page> {
        let folders = Folders::default();
        let mut query = query.clone();
        let mut pages = Vec::new();
        loop {
            let page = page(bucket, &folders, &query).unwrap();
            let next = page.next.clone();
            pages.push(page);
            match next {
                Some(next) => query.from = next,
                None => return pages,
            }
        }
    }

    #[test]
    fn a_folder_is_rolled_up_once_and_an_empty_one_never() {
        let bucket = bucket(&["a/1", "a/2", "a", "b/c/3", "z.txt"].map(str::to_owned));
        fs::create_dir_all(bucket.path().join("empty/inside")).unwrap();
        let query = Query { delimiter: Some("/".into()), limit: 2, ..Query::default() };
        let pages = pages(bucket.path(), &query);
        assert_eq!(pages[0].keys, ["a"]);
        assert_eq!(pages[0].common_prefixes, ["a/"]);
        assert_eq!(pages[1].keys, ["z.txt"]);
        assert_eq!(pages[1].common_prefixes, ["b/"]);
        assert_eq!(pages.len(), 2);
    }

    #[test]
    fn a_large_folder_is_remembered_until_it_changes() {
        let keys: Vec<_> = (0..LARGE_FOLDER).map(|number| format!("x/{number:05}.jpg")).collect();
        let bucket = bucket(&keys);
        let folder = bucket.path().join("x");
        let folders = Folders::default();
        let at = |seconds| SystemTime::now() - Duration::from_secs(seconds);
        fs::File::open(&folder).unwrap().set_modified(at(1)).unwrap();
        folders.names(&folder).unwrap();
        assert!(folders.remembered.lock().unwrap().is_empty(), "it had just changed");
        fs::File::open(&folder).unwrap().set_modified(at(100)).unwrap();
        assert!(Arc::ptr_eq(&folders.names(&folder).unwrap(), &folders.names(&folder).unwrap()));
        fs::write(folder.join("new.jpg"), "").unwrap();
        assert_eq!(folders.names(&folder).unwrap().len(), LARGE_FOLDER + 1);
    }

    proptest! {
        // Each case writes files.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pages_are_the_sorted_keys(
            keys in proptest::collection::btree_set("[ab/.0é!]{1,6}|a{250,256}[b😀%/]{0,3}", 0..40),
            prefix in "[ab/.]{0,2}",
            delimiter in proptest::option::of("[/b.]"),
            from in "[ab/.0é]{0,4}",
            limit in 1_usize..6,
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let bucket = bucket(&keys);
            let query = Query { prefix, delimiter, from: from.into_bytes(), limit };
            let pages = pages(bucket.path(), &query);
            let wanted = keys.iter().filter(|key| key.starts_with(&query.prefix) && key.as_bytes() >= &query.from[..]);
            let (rolled, plain): (Vec<_>, Vec<_>) = wanted.partition(|key| common_prefix(key, &query).is_some());
            let mut rolled: Vec<_> = rolled.into_iter().filter_map(|key| common_prefix(key, &query)).collect();
            rolled.dedup();
            prop_assert!(pages.iter().rev().skip(1).all(|page| page.keys.len() + page.common_prefixes.len() == limit));
            prop_assert_eq!(pages.iter().flat_map(|page| &page.keys).collect::<Vec<_>>(), plain);
            prop_assert_eq!(pages.iter().flat_map(|page| &page.common_prefixes).collect::<Vec<_>>(), rolled);
        }
    }
}
