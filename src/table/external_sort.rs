//! An external merge sort that groups the records of the table by key.
//!
//! Records are collected in memory. Whenever they exceed a budget, they are sorted and written to a
//! temporary file. The files are then merged. This bounds memory for any number of parts, and the
//! parts need not be sorted.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};

use super::current_rows::{KeyResolver, KeyState};
use super::row_version::RowVersion;
use super::spill_format::{read_version, write_version};
use crate::error::{Error, Result};

/// Collects records in any order.
#[derive(Debug)]
pub struct ExternalSorter {
    budget: usize,
    used: usize,
    buffer: Vec<RowVersion>,
    spilled: Vec<File>,
}

impl ExternalSorter {
    /// Creates a sorter that keeps at most about `budget` bytes of records in memory.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self { budget, used: 0, buffer: Vec::new(), spilled: Vec::new() }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`Error::File`] when a temporary file can't be written.
    pub fn push(&mut self, version: RowVersion) -> Result<()> {
        self.used += size_of::<RowVersion>() + version.bucket.len() + version.key.len();
        self.buffer.push(version);
        if self.used > self.budget { self.spill().map_err(Error::temporary) } else { Ok(()) }
    }

    /// Returns the state of each key, in the order of buckets and keys.
    ///
    /// # Errors
    /// [`Error::File`] when a temporary file can't be read. Each item may fail the same way.
    pub fn key_states(mut self) -> Result<impl Iterator<Item = Result<KeyState>>> {
        self.buffer.sort_unstable();
        let mut runs: Vec<SortedRun> = Vec::with_capacity(self.spilled.len() + 1);
        for mut file in self.spilled {
            file.rewind().map_err(Error::temporary)?;
            runs.push(SortedRun::File(BufReader::new(file)));
        }
        // The last run stays in memory, so a small table never touches the disk.
        runs.push(SortedRun::Memory(self.buffer.into_iter()));
        let mut merge = Merge { runs, heap: BinaryHeap::new(), next: None };
        for run in 0..merge.runs.len() {
            merge.refill(run)?;
        }
        Ok(merge)
    }

    fn spill(&mut self) -> std::io::Result<()> {
        self.buffer.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for version in self.buffer.drain(..) {
            write_version(&mut file, &version)?;
        }
        self.used = 0;
        self.spilled.push(file.into_inner()?);
        Ok(())
    }
}

/// A sorted sequence of records.
enum SortedRun {
    File(BufReader<File>),
    Memory(std::vec::IntoIter<RowVersion>),
}

/// The smallest record of a run that is not merged yet.
#[derive(PartialEq, Eq)]
struct HeapEntry {
    version: RowVersion,
    run: usize,
}

impl Ord for HeapEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        // Reversed, because `BinaryHeap` pops the greatest entry first.
        (&other.version, other.run).cmp(&(&self.version, self.run))
    }
}

impl PartialOrd for HeapEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Merge {
    runs: Vec<SortedRun>,
    /// One entry for each run that is not exhausted.
    heap: BinaryHeap<HeapEntry>,
    /// The first record of the next key, which ended the previous key.
    next: Option<RowVersion>,
}

impl Merge {
    fn refill(&mut self, run: usize) -> Result<()> {
        let version = match &mut self.runs[run] {
            SortedRun::Memory(versions) => versions.next(),
            SortedRun::File(file) => read_version(file).map_err(Error::temporary)?,
        };
        self.heap.extend(version.map(|version| HeapEntry { version, run }));
        Ok(())
    }

    fn next_version(&mut self) -> Result<Option<RowVersion>> {
        if let Some(version) = self.next.take() {
            return Ok(Some(version));
        }
        let Some(HeapEntry { version, run }) = self.heap.pop() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some(version))
    }

    fn next_key(&mut self) -> Result<Option<KeyState>> {
        let Some(first) = self.next_version()? else { return Ok(None) };
        let (bucket, key) = (first.bucket.clone(), first.key.clone());
        let mut resolver = KeyResolver::default();
        resolver.add(first);
        while let Some(version) = self.next_version()? {
            if version.key != key || version.bucket != bucket {
                self.next = Some(version);
                break;
            }
            resolver.add(version);
        }
        Ok(Some(resolver.resolve()))
    }
}

impl Iterator for Merge {
    type Item = Result<KeyState>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_key().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::row_version::Origin;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key_states(versions: &[RowVersion], budget: usize) -> Vec<KeyState> {
        let mut sorter = ExternalSorter::new(budget);
        versions.iter().for_each(|version| sorter.push(version.clone()).unwrap());
        sorter.key_states().unwrap().map(|state| state.unwrap()).collect()
    }

    fn any_version() -> impl Strategy<Value = RowVersion> {
        let origin = prop_oneof![
            4 => (0u32..3, 0u32..3).prop_map(|(part, row)| Origin::Row { part, row }),
            1 => Just(Origin::Reject),
            1 => Just(Origin::Removal),
        ];
        ("[a-c]{1,2}", 0i64..5, 0i64..3, origin, 0u8..5).prop_map(
            |(key, last_modified, made_at, origin, except)| {
                let id =
                    if origin == Origin::Removal { except } else { u8::try_from(last_modified).unwrap() + 1 };
                let (bucket, photo_id) = ("photos".into(), [id; 16]);
                RowVersion { bucket, key, last_modified, made_at, photo_id, origin }
            },
        )
    }

    /// Applies the definition of the current rows to a map in memory.
    fn expected_current(versions: &[RowVersion]) -> Vec<Option<RowVersion>> {
        let mut keys: BTreeMap<&str, Vec<&RowVersion>> = BTreeMap::new();
        for version in versions {
            keys.entry(&version.key).or_default().push(version);
        }
        let hides = |removal: &RowVersion, version: &RowVersion| {
            removal.last_modified >= version.last_modified && removal.photo_id != version.photo_id
        };
        let current = |versions: Vec<&RowVersion>| {
            let (removals, versions): (Vec<_>, Vec<_>) =
                versions.into_iter().partition(|version| version.origin == Origin::Removal);
            let visible = versions
                .into_iter()
                .filter(|version| !removals.iter().any(|removal| hides(removal, version)));
            visible.max().cloned()
        };
        keys.into_values().map(current).collect()
    }

    proptest! {
        #[test]
        fn the_merge_agrees_with_the_definition(
            versions in prop::collection::vec(any_version(), 0..60), budget in 0usize..4000,
        ) {
            let states = key_states(&versions, budget);
            let current: Vec<_> = states.iter().map(|state| state.current.clone()).collect();
            prop_assert_eq!(current, expected_current(&versions));
            let merged: usize = states.iter().map(|state| state.versions().count()).sum();
            let pushed = versions.iter().filter(|version| version.origin != Origin::Removal).count();
            prop_assert_eq!(merged, pushed, "every version is current or dead");
        }
    }

    #[test]
    fn equal_keys_of_different_buckets_are_different_keys() {
        let version = |bucket: &str| RowVersion {
            bucket: bucket.into(),
            key: "a".into(),
            last_modified: 1,
            made_at: 0,
            photo_id: [1; 16],
            origin: Origin::Reject,
        };
        assert_eq!(key_states(&[version("b"), version("a")], 0).len(), 2);
    }
}
