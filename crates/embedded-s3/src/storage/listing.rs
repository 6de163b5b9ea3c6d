//! Lists the keys of a bucket in S3's order, one page at a time.
//!
//! Keys are ordered by their bytes. A folder sorts by its name with the final `/`, so the names of
//! each folder can be sorted separately and the tree walked in key order. A page does not read
//! folders outside its range.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::storage::folder_cache::FolderCache;
use crate::storage::key_path;

/// The keys to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListQuery {
    /// Lists only keys with this prefix.
    pub(crate) prefix: String,
    /// Groups keys that have this delimiter after the prefix into a common prefix. Not empty.
    pub(crate) delimiter: Option<String>,
    /// Lists only keys whose bytes are at or after this position.
    pub(crate) from: Vec<u8>,
    /// Maximum number of keys and common prefixes, taken together.
    pub(crate) limit: usize,
}

/// One page of keys and common prefixes, each in order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct KeyPage {
    pub(crate) keys: Vec<String>,
    pub(crate) common_prefixes: Vec<String>,
    /// `from` of the next page. `None` on the last page.
    pub(crate) next: Option<Vec<u8>>,
}

/// Returns the first position after this key.
pub(crate) fn after_key(key: &str) -> Vec<u8> {
    [key.as_bytes(), b"\0"].concat()
}

/// Returns the first position after all keys with this prefix, which must not be empty.
fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        // Can't overflow: the byte 0xff never occurs in UTF-8.
        *last += 1;
    }
    bytes
}

/// Lists one page of the bucket in this folder.
pub(crate) fn list_page(bucket: &Path, folders: &FolderCache, query: &ListQuery) -> io::Result<KeyPage> {
    let mut page = KeyPage::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut walk = KeyWalk { bucket, folders, open: Vec::new() };
    // No key before the prefix can match, so the walk starts there at the earliest.
    let mut next = query.from.clone().max(query.prefix.clone().into_bytes());
    walk.seek(&next)?;
    while let Some(key) = walk.next()?.filter(|key| key.starts_with(&query.prefix)) {
        // Checked with a key at hand, because a full page may also be the last one.
        if page.keys.len() + page.common_prefixes.len() == query.limit {
            page.next = Some(next);
            break;
        }
        match common_prefix(&key, query) {
            Some(prefix) => {
                // Skips the rest of the group without reading it.
                next = after_prefix(prefix);
                page.common_prefixes.push(prefix.to_owned());
                walk.seek(&next)?;
            }
            None => {
                next = after_key(&key);
                page.keys.push(key);
            }
        }
    }
    Ok(page)
}

fn common_prefix<'a>(key: &'a str, query: &ListQuery) -> Option<&'a str> {
    let delimiter = query.delimiter.as_deref()?;
    let at = key[query.prefix.len()..].find(delimiter)?;
    Some(&key[..query.prefix.len() + at + delimiter.len()])
}

/// A cursor over a bucket's keys, in order.
struct KeyWalk<'a> {
    bucket: &'a Path,
    folders: &'a FolderCache,
    /// The folders from the bucket's root to the current position.
    open: Vec<OpenFolder>,
}

/// A folder on the path to the current position.
struct OpenFolder {
    /// The prefix of all its keys.
    prefix: String,
    segments: Arc<[String]>,
    /// Index of the next segment to visit.
    next: usize,
}

impl KeyWalk<'_> {
    /// Moves to the first key at or after this position.
    fn seek(&mut self, from: &[u8]) -> io::Result<()> {
        self.open.clear();
        let mut prefix = String::new();
        loop {
            let rest = &from[prefix.len()..];
            let segments = self.segments(&prefix)?;
            let next = segments.partition_point(|segment| segment.as_bytes() < rest);
            // A folder that sorts before the position may still have keys after it. Only the folder
            // directly before the position can.
            let entered = next.checked_sub(1).map(|before| segments[before].clone());
            let entered =
                entered.filter(|segment| segment.ends_with('/') && rest.starts_with(segment.as_bytes()));
            self.open.push(OpenFolder { prefix: prefix.clone(), segments, next });
            match entered {
                Some(segment) => prefix.push_str(&segment),
                None => return Ok(()),
            }
        }
    }

    fn next(&mut self) -> io::Result<Option<String>> {
        while let Some(folder) = self.open.last_mut() {
            let Some(segment) = folder.segments.get(folder.next) else {
                self.open.pop();
                continue;
            };
            folder.next += 1;
            let key = format!("{}{segment}", folder.prefix);
            if !segment.ends_with('/') {
                return Ok(Some(key));
            }
            let segments = self.segments(&key)?;
            self.open.push(OpenFolder { prefix: key, segments, next: 0 });
        }
        Ok(None)
    }

    fn segments(&self, prefix: &str) -> io::Result<Arc<[String]>> {
        self.folders.segments(&self.bucket.join(key_path::folder(prefix)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn bucket(keys: &[String]) -> tempfile::TempDir {
        let bucket = tempfile::tempdir().unwrap();
        for key in keys {
            let path = bucket.path().join(key_path::object(key));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, key).unwrap();
        }
        bucket
    }

    fn all_pages(bucket: &Path, query: &ListQuery) -> Vec<KeyPage> {
        let folders = FolderCache::default();
        let mut query = query.clone();
        let mut pages = Vec::new();
        loop {
            let page = list_page(bucket, &folders, &query).unwrap();
            let next = page.next.clone();
            pages.push(page);
            match next {
                Some(next) => query.from = next,
                None => return pages,
            }
        }
    }

    #[test]
    fn a_folder_becomes_one_common_prefix_and_an_empty_one_none() {
        let bucket = bucket(&["a/1", "a/2", "a", "b/c/3", "z.txt"].map(str::to_owned));
        fs::create_dir_all(bucket.path().join("empty/inside")).unwrap();
        let query = ListQuery { delimiter: Some("/".into()), limit: 2, ..ListQuery::default() };
        let pages = all_pages(bucket.path(), &query);
        assert_eq!(pages[0].keys, ["a"]);
        assert_eq!(pages[0].common_prefixes, ["a/"]);
        assert_eq!(pages[1].keys, ["z.txt"]);
        assert_eq!(pages[1].common_prefixes, ["b/"]);
        assert_eq!(pages.len(), 2);
    }

    #[test]
    fn a_full_last_page_has_no_next_page() {
        let bucket = bucket(&["a.jpg", "b.jpg"].map(str::to_owned));
        let query = ListQuery { limit: 2, ..ListQuery::default() };
        assert_eq!(all_pages(bucket.path(), &query).len(), 1);
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
            let query = ListQuery { prefix, delimiter, from: from.into_bytes(), limit };
            let pages = all_pages(bucket.path(), &query);
            let expected = keys.iter().filter(|key| {
                key.starts_with(&query.prefix) && key.as_bytes() >= &query.from[..]
            });
            let (grouped, plain): (Vec<_>, Vec<_>) =
                expected.partition(|key| common_prefix(key, &query).is_some());
            let mut groups: Vec<_> =
                grouped.into_iter().filter_map(|key| common_prefix(key, &query)).collect();
            groups.dedup();
            let mut but_last = pages.iter().rev().skip(1);
            prop_assert!(but_last.all(|page| page.keys.len() + page.common_prefixes.len() == limit));
            let listed = pages.iter().flat_map(|page| &page.keys);
            prop_assert_eq!(listed.collect::<Vec<_>>(), plain);
            let listed = pages.iter().flat_map(|page| &page.common_prefixes);
            prop_assert_eq!(listed.collect::<Vec<_>>(), groups);
        }
    }
}
