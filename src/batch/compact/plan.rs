//! Compaction: which parts are written anew, and which are deleted afterwards.
//!
//! A day's rows come in as many small parts, some of whose rows are later superseded, removed or stored twice. Of any day before today
//! the parts that are small or have such rows are read together and written anew: only the rows that hold, one part per so many bytes,
//! whose metadata names the parts that it *replaces*. Both stay side by side, which no reader minds, for copies of a row agree. Only a
//! later run deletes what was replaced, when the replacement is older than a grace, so that no reader that began before misses it.
//!
//! What may be deleted is decided by rows, not by names: a part that was replaced, none of whose rows holds but as a copy
//! ([`PartRows::is_spare`]). So no row is lost whatever happened in between: a photo that came back after the compaction, a part that was
//! written again by a late delivery, two compactions at once, one that was stopped half way. What is deleted may itself have replaced
//! others; those are named by its own replacement, too.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime};

use crate::current::Source;
use crate::error::{Error, Result};
use crate::outcome::Counts;
use crate::partition::{
    Part, PartName, Partition, format_date, moments_prefix, parse_date, reduced_of_model_prefix, reject_key,
};
use crate::photo::PhotoId;
use crate::plan::groups;
use crate::run::{Run, VERSION};
use crate::snapshot::{PartRows, Scan, Snapshot};
use crate::store::{Listed, Store};
use crate::table::from_micros;
use crate::task::{Task, Work};

/// Bytes of a part that is written anew, about.
pub const PART_BYTES: u64 = 128 << 20;
/// How long a part that was replaced stays.
pub const GRACE: Duration = Duration::hours(24);
/// Bytes of the parts that a task reads, about.
const TASK_BYTES: u64 = 1 << 30;
/// Rows of the parts that a task reads, about: a task keeps all but the embeddings in memory.
const TASK_ROWS: u64 = 150_000;
/// Objects in a task that deletes, about.
const SWEPT: usize = 500;

/// What is asked of a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aims {
    /// Bytes of a part that is written anew, about.
    pub part_bytes: u64,
    /// How long a part that was replaced stays.
    pub grace: Duration,
}

impl Default for Aims {
    fn default() -> Self {
        Self { part_bytes: PART_BYTES, grace: GRACE }
    }
}

/// The parts of a day that one task writes anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// [`VERSION`].
    pub version: u32,
    /// The day, `2026-11-23`.
    pub date: String,
    /// The parts to read.
    pub parts: Vec<Reading>,
    /// The names of the parts that the new ones replace: those that are read, and those that they replaced themselves.
    pub replaces: Vec<String>,
    /// How many parts to write.
    pub into: u64,
}

/// A part to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Its name.
    pub name: String,
    /// Its size, bytes.
    pub size_bytes: u64,
    /// The numbers of its rows that don't hold, ascending.
    pub dead: Vec<u32>,
}

/// What one task deletes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// [`VERSION`].
    pub version: u32,
    /// Parts that were replaced, with what lies beside them.
    pub parts: Vec<Swept>,
    /// Rejects that don't hold, moments and projections whose part is gone.
    pub objects: Vec<String>,
}

/// A part to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The keys of its moments and projections, as far as there are any, and last its own.
    pub keys: Vec<String>,
    /// The keys of the parts that were written in its place, which must be there still. One without rows needs none.
    pub replaced_by: Vec<String>,
}

/// The parts, by their places in the snapshot, that are written anew: each group by one task.
#[must_use]
pub fn rewrites(snapshot: &Snapshot, aims: &Aims, today: Date) -> Vec<Vec<usize>> {
    // A part may turn out somewhat smaller than was aimed at, and must not be written again for that.
    let small = |part: &PartRows| part.size_bytes < aims.part_bytes * 2 / 5;
    let scattered = |part: &PartRows| !part.dead.is_empty() || (small(part) && part.rows > 0);
    let mut days: BTreeMap<&Partition, Vec<usize>> = BTreeMap::new();
    for (place, part) in snapshot.parts.iter().enumerate() {
        if part.part.partition.date < today && !part.is_spare() && scattered(part) {
            days.entry(&part.part.partition).or_default().push(place);
        }
    }
    let worth =
        |group: &Vec<usize>| group.len() > 1 || group.iter().any(|&it| !snapshot.parts[it].dead.is_empty());
    days.into_values().flat_map(|places| grouped(snapshot, places)).filter(worth).collect()
}

/// The parts of a day in groups that a task can take.
fn grouped(snapshot: &Snapshot, places: Vec<usize>) -> Vec<Vec<usize>> {
    groups(places, [TASK_BYTES, TASK_ROWS], |&place| {
        let part = &snapshot.parts[place];
        [part.size_bytes, u64::from(part.rows)]
    })
}

/// The parts, by their places in the snapshot, that are deleted: what was first replaced more than a grace ago, and replacements without
/// rows, once nothing is there any more that they replace.
#[must_use]
pub fn deletions(snapshot: &Snapshot, grace: Duration, now: OffsetDateTime) -> BTreeSet<usize> {
    let old = |part: &PartRows| part.written_at + grace <= now;
    let deleted = |part: &PartRows| {
        let replaced = part.is_spare() && part.replaced_by.iter().any(|&by| old(&snapshot.parts[by]));
        replaced || (part.rows == 0 && part.compacted && part.replaces.is_empty() && old(part))
    };
    (0..snapshot.parts.len()).filter(|&place| deleted(&snapshot.parts[place])).collect()
}

/// Plans a compaction: `each` gets the tasks. Returns what was seen, counted: `parts`, `parts_to_compact`, `parts_to_delete`.
///
/// # Errors
/// [`Error::S3`], or what `each` returns.
pub async fn plan(run: &Run, aims: &Aims, each: &mut impl FnMut(Task) -> Result<()>) -> Result<Counts> {
    let now = OffsetDateTime::now_utc();
    // Before the parts are: whatever lies beside a part was written after it.
    let beside = Beside::list(&run.store, &run.results_bucket, &run.card.id).await?;
    let mut sweeps = Sweeps { run, sweep: empty(), tasks: 0 };
    let mut scan = Scan::begin(&run.store, &run.results_bucket, &run.card.id).await?;
    while let Some(standing) = scan.hear()? {
        for claim in standing.dead.iter().filter(|claim| claim.source == Source::Reject) {
            if let Some(last_modified) = from_micros(claim.last_modified) {
                let partition = Partition { model: run.card.id.clone(), date: last_modified.date() };
                sweeps.object(reject_key(&partition, PhotoId::from(claim.photo_id)), each).await?;
            }
        }
    }
    let snapshot = scan.finish()?;
    let groups = rewrites(&snapshot, aims, now.date());
    let mut counts = Counts::default();
    counts.add("parts", snapshot.parts.len() as u64);
    counts.add("parts_to_compact", groups.iter().map(Vec::len).sum::<usize>() as u64);
    let lists = (1..).zip(&groups).map(|(number, group)| {
        let (list, work) = rewrite(&snapshot, group, aims);
        (format!("compact-{number:06}"), list, work)
    });
    run.tasks(lists, each).await?;
    let deletions = deletions(&snapshot, aims.grace, now);
    counts.add("parts_to_delete", deletions.len() as u64);
    for &place in &deletions {
        if let Some(part) = swept(&snapshot, &deletions, place, &beside) {
            sweeps.part(part, each).await?;
        }
    }
    for key in beside.orphans(&snapshot) {
        sweeps.object(key, each).await?;
    }
    sweeps.finish(each).await?;
    Ok(counts)
}

/// How a group of parts is written anew.
fn rewrite(snapshot: &Snapshot, group: &[usize], aims: &Aims) -> (Rewrite, Work) {
    let parts: Vec<&PartRows> = group.iter().map(|&place| &snapshot.parts[place]).collect();
    let bytes: u64 = parts.iter().map(|part| part.size_bytes).sum();
    let rows: u64 = parts.iter().map(|part| u64::from(part.rows)).sum();
    let current: u64 = parts.iter().map(|part| u64::from(part.current())).sum();
    // Without the rows that don't hold there are as many bytes less.
    let left = u128::from(bytes) * u128::from(current) / u128::from(rows.max(1));
    let into = left.div_ceil(u128::from(aims.part_bytes.max(1))).clamp(1, u128::from(current.max(1)));
    let replaces = replaced(snapshot, group);
    let reading = |part: &&PartRows| {
        let (name, size_bytes, dead) = (part.part.name.to_string(), part.size_bytes, part.dead.clone());
        Reading { name, size_bytes, dead }
    };
    let date = parts.first().map(|part| format_date(part.part.partition.date)).unwrap_or_default();
    let readings = parts.iter().map(reading).collect();
    let list = Rewrite { version: VERSION, date, parts: readings, replaces, into: into as u64 };
    (list, Work::Compact { parts: group.len() as u64, rows, bytes })
}

/// The names of a group's parts, and of all that they replaced and that is still there.
fn replaced(snapshot: &Snapshot, group: &[usize]) -> Vec<String> {
    let places: HashSet<usize> = group.iter().copied().collect();
    let Some(&first) = group.first() else { return Vec::new() };
    let day = &snapshot.parts[first].part.partition;
    let replaced = |(place, part): &(usize, &PartRows)| {
        places.contains(place)
            || (part.part.partition == *day
                && part.is_spare()
                && part.replaced_by.iter().any(|by| places.contains(by)))
    };
    snapshot.parts.iter().enumerate().filter(replaced).map(|(_, part)| part.part.name.to_string()).collect()
}

/// How a part is deleted: only while what replaces it, and is not to be deleted itself, is there.
fn swept(snapshot: &Snapshot, deletions: &BTreeSet<usize>, place: usize, beside: &Beside) -> Option<Swept> {
    let part = &snapshot.parts[place];
    let mut keys = beside.of(&part.part);
    keys.push(part.part.embeddings_key());
    let stays = part.replaced_by.iter().filter(|by| !deletions.contains(by));
    let replaced_by: Vec<_> = stays.map(|&by| snapshot.parts[by].part.embeddings_key()).collect();
    (!replaced_by.is_empty() || part.rows == 0).then_some(Swept { keys, replaced_by })
}

/// Moments and projections, by the day and the name of their part.
struct Beside(BTreeMap<String, Vec<String>>);

impl Beside {
    async fn list(store: &Store, results_bucket: &str, model: &str) -> Result<Self> {
        let mut beside: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut note = |object: Listed| {
            if let Some(stem) = stem(&object.key) {
                beside.entry(stem.to_owned()).or_default().push(object.key);
            }
            Ok(())
        };
        store.list(results_bucket, &moments_prefix(model), &mut note).await?;
        store.list(results_bucket, &reduced_of_model_prefix(model), &mut note).await?;
        Ok(Self(beside))
    }

    fn of(&self, part: &Part) -> Vec<String> {
        self.0.get(&part.stem()).cloned().unwrap_or_default()
    }

    /// Those whose part is gone.
    fn orphans(mut self, snapshot: &Snapshot) -> impl Iterator<Item = String> {
        snapshot.parts.iter().for_each(|part| _ = self.0.remove(&part.part.stem()));
        self.0.into_values().flatten()
    }
}

/// `date=<day>/<part>` in the key of moments or of a projection. What is no such key is not ours to delete.
fn stem(key: &str) -> Option<&str> {
    let stem = key.strip_suffix(".moments").or_else(|| key.strip_suffix(".parquet"))?;
    let (start, _) = stem.match_indices("date=").next()?;
    let (date, name) = stem[start..].strip_prefix("date=")?.split_once('/')?;
    (parse_date(date).is_some() && PartName::parse(name).is_some()).then(|| &stem[start..])
}

fn empty() -> Sweep {
    Sweep { version: VERSION, parts: Vec::new(), objects: Vec::new() }
}

/// Lists of what is to be deleted, on their way to S3.
struct Sweeps<'a> {
    run: &'a Run,
    sweep: Sweep,
    tasks: usize,
}

impl Sweeps<'_> {
    async fn part(&mut self, part: Swept, each: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        self.sweep.parts.push(part);
        self.flush(SWEPT, each).await
    }

    async fn object(&mut self, key: String, each: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        self.sweep.objects.push(key);
        self.flush(SWEPT, each).await
    }

    async fn finish(&mut self, each: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        self.flush(1, each).await
    }

    /// Makes a task of what there is, if that is at least so much.
    async fn flush(&mut self, least: usize, each: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        let objects = self.sweep.parts.len() + self.sweep.objects.len();
        if objects < least {
            return Ok(());
        }
        self.tasks += 1;
        let sweep = std::mem::replace(&mut self.sweep, empty());
        let work = Work::Sweep { objects: objects as u64 };
        each(self.run.task(format!("sweep-{:06}", self.tasks), &sweep, work).await?)
    }
}

impl Rewrite {
    /// The part of that name, on this list's day.
    pub(crate) fn part(&self, model: &str, name: &str) -> Result<Part> {
        let parsed = parse_date(&self.date).zip(PartName::parse(name));
        let (date, name) =
            parsed.ok_or_else(|| Error::Task(format!("no part: date={}/{name}", self.date)))?;
        Ok(Part { partition: Partition { model: model.to_owned(), date }, name })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    const TODAY: Date = date!(2026 - 11 - 24);
    const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    fn name(word: &str) -> PartName {
        PartName::parse(word).unwrap()
    }

    /// A part of a day with rows of 1000 bytes each.
    fn part(day: Date, word: &str, rows: u32, dead: &[u32]) -> PartRows {
        let partition = Partition { model: "m".into(), date: day };
        PartRows {
            part: Part { partition, name: name(word) },
            rows,
            dead: dead.to_vec(),
            size_bytes: u64::from(rows) * 1000,
            written_at: datetime!(2026-11-23 10:00 UTC),
            compacted: false,
            replaces: Vec::new(),
            replaced_by: Vec::new(),
        }
    }

    fn snapshot(parts: Vec<PartRows>) -> Snapshot {
        Snapshot { taken_at: NOW, parts, rejected: BTreeMap::new() }
    }

    fn aims() -> Aims {
        Aims { part_bytes: 100_000, grace: GRACE }
    }

    const NONE: [[usize; 0]; 0] = [];
    const DAY: Date = date!(2026 - 11 - 20);

    #[test]
    fn small_parts_of_a_past_day_and_parts_with_dead_rows_are_written_anew() {
        let found = |parts| rewrites(&snapshot(parts), &aims(), TODAY);
        assert_eq!(found(vec![part(DAY, "a", 5, &[]), part(DAY, "b", 5, &[])]), [[0, 1]]);
        assert_eq!(found(vec![part(TODAY, "a", 5, &[]), part(TODAY, "b", 5, &[1])]), NONE);
        assert_eq!(found(vec![part(DAY, "a", 5, &[])]), NONE, "one is as few as there can be");
        assert_eq!(found(vec![part(DAY, "a", 5, &[2])]), [[0]]);
        assert_eq!(
            found(vec![part(DAY, "a", 90, &[]), part(DAY, "b", 5, &[])]),
            NONE,
            "one small one is left over"
        );
        assert_eq!(
            found(vec![part(DAY, "a", 90, &[7]), part(DAY, "b", 5, &[]), part(DAY, "c", 90, &[])]),
            [[0, 1]]
        );
    }

    #[test]
    fn what_was_replaced_is_left_alone_until_it_is_deleted() {
        let mut old = part(DAY, "a", 2, &[0, 1]);
        old.replaced_by = vec![1];
        let mut new = part(DAY, "b", 2, &[]);
        new.replaces = vec![name("a")];
        let both = snapshot(vec![old.clone(), new.clone()]);
        assert_eq!(rewrites(&both, &aims(), TODAY), NONE);
        assert_eq!(deletions(&both, GRACE, NOW), BTreeSet::from([0]));
        assert_eq!(deletions(&both, Duration::hours(27), NOW), BTreeSet::new(), "not yet");

        // Its photo came back after the compaction: it is a part like any other.
        old.dead = vec![1];
        let back = snapshot(vec![old, new]);
        assert_eq!(deletions(&back, GRACE, NOW), BTreeSet::new());
        assert_eq!(rewrites(&back, &aims(), TODAY), [[0, 1]]);
    }

    #[test]
    fn a_replacement_names_what_its_parts_replaced_too() {
        let mut parts = vec![part(DAY, "a", 2, &[0, 1]), part(DAY, "b", 2, &[]), part(DAY, "c", 2, &[])];
        (parts[0].replaced_by, parts[1].replaces) = (vec![1], vec![name("a")]);
        let snapshot = snapshot(parts);
        let groups = rewrites(&snapshot, &aims(), TODAY);
        let (list, _) = rewrite(&snapshot, &groups[0], &aims());
        assert_eq!(
            (list.replaces, list.parts.len(), list.into),
            (vec!["a".into(), "b".into(), "c".into()], 2, 1)
        );
    }

    #[test]
    fn a_replacement_without_rows_goes_last() {
        let mut parts = vec![part(DAY, "a", 2, &[0, 1]), part(DAY, "b", 0, &[])];
        (parts[0].replaced_by, parts[1].replaces, parts[1].compacted) = (vec![1], vec![name("a")], true);
        assert_eq!(deletions(&snapshot(parts.clone()), GRACE, NOW), BTreeSet::from([0]));
        parts.remove(0);
        // What is not listed any more, a snapshot does not name.
        parts[0].replaces.clear();
        assert_eq!(deletions(&snapshot(parts), GRACE, NOW), BTreeSet::from([0]));
        assert_eq!(
            deletions(&snapshot(vec![part(DAY, "b", 0, &[])]), GRACE, NOW),
            BTreeSet::new(),
            "not ours"
        );
    }

    #[test]
    fn a_day_becomes_as_many_parts_as_it_has_bytes_and_is_then_left_alone() {
        let parts = (0..30).map(|number| part(DAY, &format!("p{number:02}"), 15, &[])).collect();
        let day = snapshot(parts);
        let groups = rewrites(&day, &aims(), TODAY);
        let (list, work) = rewrite(&day, &groups[0], &aims());
        assert_eq!((groups.len(), list.into), (1, 5), "{work:?}");
        let settled = (0..5).map(|number| part(DAY, &format!("q{number}"), 90, &[])).collect();
        assert_eq!(rewrites(&snapshot(settled), &aims(), TODAY), NONE);
        let huge = (0..4).map(|number| part(DAY, &format!("r{number}"), 70_000, &[3])).collect();
        assert_eq!(rewrites(&snapshot(huge), &aims(), TODAY), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn only_what_lies_beside_a_part_has_a_stem() {
        assert_eq!(stem("moments/model=m/date=2026-11-20/a.moments"), Some("date=2026-11-20/a"));
        assert_eq!(stem("reduced/model=m/fit=f/date=2026-11-20/a.parquet"), Some("date=2026-11-20/a"));
        for other in [
            "moments/model=m/notes.txt",
            "moments/model=m/date=2026-11-20/a/b.moments",
            "moments/model=m/date=x/a.moments",
        ] {
            assert_eq!(stem(other), None, "{other}");
        }
    }
}
