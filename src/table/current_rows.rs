//! The current rows: which of all that was ever written about a key holds now.
//!
//! The table is a set to which photos are added at least once, late, and out of order. For each bucket and key the row or reject
//! with the greatest (`last_modified`, `made_at`, photo id) holds; none does if that is a reject, or if a removal of the key
//! reaches up to its `last_modified`. Everything that reads the table goes through here.
//!
//! A removal may spare one photo id: then it hides what is as old but that. So an older version of an object that came back, since the
//! newer one was deleted for good, can hold although rows of a later `last_modified` are there.
//!
//! It works as an external merge sort by key, so that memory is bounded however many parts there are and however they are sorted:
//! claims are collected, sorted and written to a temporary file whenever there are too many, and the files merged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use crate::error::{Error, Result};

/// What one object says of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The photo's bucket.
    pub bucket: String,
    /// The photo's key.
    pub key: String,
    /// Microseconds since 1970: when the photo was last modified; of a removal, the time up to which it holds.
    pub last_modified: i64,
    /// Microseconds since 1970: when the row or reject was made.
    pub made_at: i64,
    /// The photo's id; of a removal, the id that it spares, or zeros.
    pub photo_id: [u8; 16],
    /// Who says so.
    pub source: Source,
}

/// Where a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The photo's embedding is this row.
    Row {
        /// The number of the part, as the reader counts them.
        part: u32,
        /// The number of the row in it.
        row: u32,
    },
    /// The photo can't be embedded.
    Reject,
    /// The key was gone.
    Removal,
}

/// What holds for one key, and what does not (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The row or reject that holds, if one does.
    pub current: Option<Claim>,
    /// The rows and rejects that don't: superseded, removed, or stored twice.
    pub dead: Vec<Claim>,
    /// The removals of the key.
    pub removals: Vec<Claim>,
}

impl Standing {
    /// Any of its claims: they are all of one bucket and key.
    #[must_use]
    pub fn any(&self) -> Option<&Claim> {
        self.current.iter().chain(&self.dead).chain(&self.removals).next()
    }

    /// Its rows and rejects, whether they hold or not.
    pub fn versions(&self) -> impl Iterator<Item = &Claim> {
        self.current.iter().chain(&self.dead)
    }

    /// Whether a removal hides a version of the key.
    #[must_use]
    pub fn hides(&self, last_modified: i64, photo_id: &[u8; 16]) -> bool {
        hidden(&self.removals, last_modified, photo_id)
    }
}

/// Whether one of these removals reaches so far, and does not spare this photo.
fn hidden(removals: &[Claim], last_modified: i64, photo_id: &[u8; 16]) -> bool {
    removals.iter().any(|removal| removal.last_modified >= last_modified && removal.photo_id != *photo_id)
}

/// Claims on their way to be sorted.
#[derive(Debug)]
pub struct Claims {
    budget: usize,
    used: usize,
    buffer: Vec<Claim>,
    runs: Vec<std::fs::File>,
}

impl Claims {
    /// Takes claims, with at most about `budget` bytes of them in memory.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self { budget, used: 0, buffer: Vec::new(), runs: Vec::new() }
    }

    /// Takes one more.
    ///
    /// # Errors
    /// [`Error::File`] when the temporary file can't be written.
    pub fn push(&mut self, claim: Claim) -> Result<()> {
        self.used += size_of::<Claim>() + claim.bucket.len() + claim.key.len();
        self.buffer.push(claim);
        if self.used > self.budget { self.spill().map_err(Error::temporary) } else { Ok(()) }
    }

    /// What holds for each key, in the order of buckets and keys.
    ///
    /// # Errors
    /// [`Error::File`] when a temporary file can't be read; so says each item, too.
    pub fn standings(mut self) -> Result<impl Iterator<Item = Result<Standing>>> {
        self.buffer.sort_unstable();
        let mut sources: Vec<Run> = Vec::with_capacity(self.runs.len() + 1);
        for mut file in self.runs {
            file.rewind().map_err(Error::temporary)?;
            sources.push(Run::File(BufReader::new(file)));
        }
        sources.push(Run::Memory(self.buffer.into_iter()));
        let mut merge = Merge { sources, heads: BinaryHeap::new(), next: None };
        for source in 0..merge.sources.len() {
            merge.refill(source)?;
        }
        Ok(merge)
    }

    fn spill(&mut self) -> std::io::Result<()> {
        self.buffer.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for claim in self.buffer.drain(..) {
            write(&mut file, &claim)?;
        }
        self.used = 0;
        self.runs.push(file.into_inner()?);
        Ok(())
    }
}

/// A sorted run of claims.
enum Run {
    File(BufReader<std::fs::File>),
    Memory(std::vec::IntoIter<Claim>),
}

/// The smallest claim of a run. The order is reversed: a heap gives the greatest first.
#[derive(PartialEq, Eq)]
struct Head {
    claim: Claim,
    source: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        (&other.claim, other.source).cmp(&(&self.claim, self.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Merge {
    sources: Vec<Run>,
    heads: BinaryHeap<Head>,
    next: Option<Claim>,
}

impl Merge {
    fn refill(&mut self, source: usize) -> Result<()> {
        let claim = match &mut self.sources[source] {
            Run::Memory(claims) => claims.next(),
            Run::File(file) => read(file).map_err(Error::temporary)?,
        };
        self.heads.extend(claim.map(|claim| Head { claim, source }));
        Ok(())
    }

    fn claim(&mut self) -> Result<Option<Claim>> {
        if let Some(claim) = self.next.take() {
            return Ok(Some(claim));
        }
        let Some(Head { claim, source }) = self.heads.pop() else { return Ok(None) };
        self.refill(source)?;
        Ok(Some(claim))
    }

    fn standing(&mut self) -> Result<Option<Standing>> {
        let Some(first) = self.claim()? else { return Ok(None) };
        let (bucket, key) = (first.bucket.clone(), first.key.clone());
        let mut judge = Judge::default();
        judge.hear(first);
        while let Some(claim) = self.claim()? {
            if claim.key != key || claim.bucket != bucket {
                self.next = Some(claim);
                break;
            }
            judge.hear(claim);
        }
        Ok(Some(judge.standing()))
    }
}

impl Iterator for Merge {
    type Item = Result<Standing>;

    fn next(&mut self) -> Option<Self::Item> {
        self.standing().transpose()
    }
}

/// Hears the claims of one key in ascending order.
#[derive(Default)]
struct Judge {
    versions: Vec<Claim>,
    removals: Vec<Claim>,
}

impl Judge {
    fn hear(&mut self, claim: Claim) {
        match claim.source {
            Source::Removal => self.removals.push(claim),
            Source::Row { .. } | Source::Reject => self.versions.push(claim),
        }
    }

    fn standing(self) -> Standing {
        let Self { versions: mut dead, removals } = self;
        let holds = |claim: &Claim| !hidden(&removals, claim.last_modified, &claim.photo_id);
        let current = dead.iter().rposition(holds).map(|greatest| dead.remove(greatest));
        Standing { current, dead, removals }
    }
}

/// A claim in a temporary file: numbers little-endian, texts behind their length.
fn write(file: &mut impl Write, claim: &Claim) -> std::io::Result<()> {
    let (kind, part, row) = match claim.source {
        Source::Row { part, row } => (0, part, row),
        Source::Reject => (1, 0, 0),
        Source::Removal => (2, 0, 0),
    };
    file.write_all(&[kind])?;
    for text in [&claim.bucket, &claim.key] {
        file.write_all(&(text.len() as u64).to_le_bytes())?;
        file.write_all(text.as_bytes())?;
    }
    file.write_all(&claim.last_modified.to_le_bytes())?;
    file.write_all(&claim.made_at.to_le_bytes())?;
    file.write_all(&claim.photo_id)?;
    file.write_all(&part.to_le_bytes())?;
    file.write_all(&row.to_le_bytes())
}

fn read(file: &mut impl Read) -> std::io::Result<Option<Claim>> {
    let mut kind = [0];
    if file.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let (bucket, key) = (text(file)?, text(file)?);
    let last_modified = i64::from_le_bytes(array(file)?);
    let made_at = i64::from_le_bytes(array(file)?);
    let photo_id = array(file)?;
    let (part, row) = (u32::from_le_bytes(array(file)?), u32::from_le_bytes(array(file)?));
    let source = match kind {
        [0] => Source::Row { part, row },
        [1] => Source::Reject,
        _ => Source::Removal,
    };
    Ok(Some(Claim { bucket, key, last_modified, made_at, photo_id, source }))
}

fn array<const N: usize>(file: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(file: &mut impl Read) -> std::io::Result<String> {
    let length = u64::from_le_bytes(array(file)?);
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn claim(key: &str, last_modified: i64, made_at: i64, source: Source) -> Claim {
        let version = if source == Source::Removal { 0 } else { last_modified + 1 };
        let photo_id = [u8::try_from(version).unwrap(); 16];
        Claim { bucket: "photos".into(), key: key.into(), last_modified, made_at, photo_id, source }
    }

    fn row(key: &str, last_modified: i64, row: u32) -> Claim {
        claim(key, last_modified, 0, Source::Row { part: 0, row })
    }

    fn standings(claims: &[Claim], budget: usize) -> Vec<Standing> {
        let mut sorter = Claims::new(budget);
        claims.iter().for_each(|claim| sorter.push(claim.clone()).unwrap());
        sorter.standings().unwrap().map(|standing| standing.unwrap()).collect()
    }

    fn current(claims: &[Claim]) -> Option<Source> {
        standings(claims, 1 << 20).remove(0).current.map(|claim| claim.source)
    }

    #[test]
    fn of_an_overwritten_photo_the_newer_row_holds_whatever_the_order() {
        let newer = Some(Source::Row { part: 0, row: 2 });
        assert_eq!(current(&[row("a", 1, 1), row("a", 2, 2)]), newer);
        assert_eq!(current(&[row("a", 2, 2), row("a", 1, 1)]), newer);
    }

    #[test]
    fn in_the_same_second_the_one_made_later_holds() {
        let (early, late) = (Source::Row { part: 0, row: 0 }, Source::Row { part: 1, row: 0 });
        assert_eq!(current(&[claim("a", 5, 2, late), claim("a", 5, 1, early)]), Some(late));
    }

    #[test]
    fn a_good_photo_overwritten_by_a_corrupt_one_is_gone() {
        let reject = claim("a", 2, 0, Source::Reject);
        assert_eq!(current(&[row("a", 1, 0), reject.clone()]), Some(Source::Reject));
        assert_eq!(current(&[row("a", 3, 0), reject]), Some(Source::Row { part: 0, row: 0 }));
    }

    #[test]
    fn a_removal_hides_what_is_as_old_and_nothing_newer() {
        let removal = claim("a", 5, 0, Source::Removal);
        assert_eq!(current(&[row("a", 5, 0), removal.clone()]), None);
        assert_eq!(current(&[removal.clone(), row("a", 6, 0)]), Some(Source::Row { part: 0, row: 0 }));
        assert_eq!(current(&[removal]), None);
    }

    #[test]
    fn a_row_stored_twice_is_current_once() {
        let twice = [row("a", 1, 0), claim("a", 1, 0, Source::Row { part: 1, row: 0 })];
        let standings = standings(&twice, 1 << 20);
        assert_eq!((standings.len(), standings[0].dead.len()), (1, 1));
    }

    #[test]
    fn an_overwrite_that_was_then_removed_does_not_bring_back_the_old_row() {
        assert_eq!(current(&[row("a", 1, 0), row("a", 4, 1), claim("a", 5, 0, Source::Removal)]), None);
    }

    /// An older version came back: the newer one was deleted for good.
    #[test]
    fn a_removal_hides_everything_but_what_it_spares() {
        let (old, new) = (row("a", 1, 0), row("a", 4, 1));
        let sparing = Claim { photo_id: old.photo_id, ..claim("a", 4, 0, Source::Removal) };
        assert_eq!(current(&[old.clone(), new.clone(), sparing.clone()]), Some(old.source));
        assert_eq!(current(&[new.clone(), sparing.clone()]), None);
        assert_eq!(current(&[old, new, sparing, row("a", 5, 2)]), Some(Source::Row { part: 0, row: 2 }));
    }

    fn any_claim() -> impl Strategy<Value = Claim> {
        let source = prop_oneof![
            4 => (0u32..3, 0u32..3).prop_map(|(part, row)| Source::Row { part, row }),
            1 => Just(Source::Reject),
            1 => Just(Source::Removal),
        ];
        ("[a-c]{1,2}", 0i64..5, 0i64..3, source, 0u8..5).prop_map(|(k, t, m, s, spared)| {
            let mut claim = claim(&k, t, m, s);
            if s == Source::Removal {
                claim.photo_id = [spared; 16];
            }
            claim
        })
    }

    proptest! {
        /// The definition itself, over a map in memory.
        #[test]
        fn the_merge_gives_what_the_definition_says(
            claims in prop::collection::vec(any_claim(), 0..60), budget in 0usize..4000,
        ) {
            let mut keys: BTreeMap<String, Vec<Claim>> = BTreeMap::new();
            for claim in &claims {
                keys.entry(claim.key.clone()).or_default().push(claim.clone());
            }
            let expected: Vec<_> = keys.into_values().map(|claims| {
                let (removals, versions): (Vec<_>, Vec<_>) =
                    claims.into_iter().partition(|c| c.source == Source::Removal);
                let hides = |r: &Claim, c: &Claim| r.last_modified >= c.last_modified && r.photo_id != c.photo_id;
                versions.into_iter().filter(|c| !removals.iter().any(|r| hides(r, c))).max()
            }).collect();
            let found = standings(&claims, budget);
            prop_assert_eq!(found.iter().map(|s| s.current.clone()).collect::<Vec<_>>(), expected);
            let heard = found.iter().map(|s| s.dead.len() + s.current.iter().len()).sum::<usize>();
            prop_assert_eq!(heard, claims.iter().filter(|c| c.source != Source::Removal).count());
        }
    }
}
