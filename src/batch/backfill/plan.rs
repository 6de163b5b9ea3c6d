//! Backfill: what S3 holds is compared with what the table says of it, and made tasks of where they differ.
//!
//! S3's listing is the truth. Listing and table are merged as two streams in the order of keys, so memory does not grow with either. The
//! table is read first: a photo that is embedded meanwhile is embedded twice, which does no harm; the other way round its row would
//! look as if its photo were gone.
//!
//! Two things can't be said with rows alone. A removal may hide what S3 holds (a delete marker was undone), and rows of a later
//! `last_modified` may be in front of it (the newest version was deleted for good, and the older one is back; or two versions are of one
//! second, and were embedded in the other order). Then the version that S3 holds is *settled*: see [`Removal::settle`].
//!
//! [`Removal::settle`]: crate::removal::Removal::settle

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::current::{Claim, Source, Standing};
use crate::error::{Error, Result};
use crate::listing::Listing;
use crate::outcome::Counts;
use crate::photo::PhotoId;
use crate::plan::groups;
use crate::reject::RejectCode;
use crate::run::{Run, VERSION};
use crate::snapshot::{Scan, Snapshot};
use crate::store::Listed;
use crate::table::{from_micros, micros};
use crate::task::{Task, Work};

/// Photos in a task at most, and at least where there are more. One that is worked on makes parts of 500 rows.
const PHOTOS: (usize, usize) = (500, 2000);
/// Bytes of photos in a task, about, at least and at most.
const BYTES: (u64, u64) = (250_000_000, 1_000_000_000);
/// So many tasks are made of few photos, and of the last of many: the slots of a cluster should all have work, and end together.
const TASKS: usize = 64;
/// Keys in a task that only asks and records.
const KEYS: usize = 1000;
/// The part of the current rows, in per cent, that may go without a person's agreement.
const MAY_GO: u64 = 5;

/// A list of photos to embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photos {
    /// [`VERSION`].
    pub version: u32,
    /// The bucket of the photos.
    pub bucket: String,
    /// The photos, in the order of their keys.
    pub photos: Vec<Wanted>,
}

/// A photo to embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its key.
    pub key: String,
    /// Its `ETag` when it was listed.
    pub etag: String,
    /// What is to be settled once it is embedded, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Settle>,
}

/// That the version of a key that S3 holds is to be the one that holds in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// The `last_modified` up to which other versions are in front of it, if any are.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub superseded: Option<OffsetDateTime>,
}

/// A list of keys to ask S3 for, and to record what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// [`VERSION`].
    pub version: u32,
    /// The bucket of the photos.
    pub bucket: String,
    /// Keys that were not listed.
    pub gone: Vec<GoneKey>,
    /// Keys whose version in S3 is in the table, and does not hold.
    pub present: Vec<Wanted>,
}

/// A key that was not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneKey {
    /// The key.
    pub key: String,
    /// The greatest `last_modified` that the table has of it.
    #[serde(with = "time::serde::rfc3339")]
    pub up_to: OffsetDateTime,
}

/// Which rejected photos are tried again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Retry {
    /// None.
    #[default]
    Nothing,
    /// Those of these codes.
    Codes(Vec<RejectCode>),
    /// All.
    Everything,
}

impl Retry {
    fn includes(&self, code: Option<RejectCode>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Codes(codes) => code.is_some_and(|code| codes.contains(&code)),
            Self::Everything => true,
        }
    }
}

/// What is to be done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the table says what S3 holds.
    Agrees,
    /// Embed it, and settle it afterwards where that is said.
    Embed(Option<Settle>),
    /// Settle it: its version is in the table.
    Restore(Settle),
    /// Record that it is gone.
    Remove {
        /// The greatest `last_modified` that the table has of it.
        up_to: OffsetDateTime,
    },
}

/// A key as S3 lists it and as the table has it; one of them may not have it.
#[derive(Debug)]
pub struct Compared {
    /// What S3 lists.
    pub listed: Option<Listed>,
    /// What the table has.
    pub standing: Option<Standing>,
    /// What is to be done about it.
    pub verdict: Verdict,
}

/// Listing and table, merged.
pub struct Comparison<'a> {
    scan: Scan,
    listing: Listing,
    bucket: &'a str,
    retry: &'a Retry,
    listed: Option<Listed>,
    standing: Option<Standing>,
}

impl<'a> Comparison<'a> {
    /// Reads the table, and begins to list the bucket of the photos.
    ///
    /// # Errors
    /// As [`Scan::begin`] and [`Listing::next`].
    pub async fn begin(run: &'a Run, retry: &'a Retry) -> Result<Self> {
        let scan = Scan::begin(&run.store, &run.results_bucket, &run.card.id).await?;
        let listing = Listing::of(&run.store, &run.photos_bucket);
        let bucket = &run.photos_bucket;
        let mut comparison = Self { scan, listing, bucket, retry, listed: None, standing: None };
        comparison.listed = comparison.listing.next().await?;
        comparison.standing = comparison.hear()?;
        Ok(comparison)
    }

    /// The next key, in byte order.
    ///
    /// # Errors
    /// As [`Comparison::begin`].
    pub async fn next(&mut self) -> Result<Option<Compared>> {
        let order = match (&self.listed, &self.standing) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(listed), Some(standing)) => {
                listed.key.as_str().cmp(standing.any().map_or("", |claim| claim.key.as_str()))
            }
        };
        let (mut listed, mut standing) = (None, None);
        if order.is_le() {
            listed = std::mem::replace(&mut self.listed, self.listing.next().await?);
        }
        if order.is_ge() {
            let next = self.hear()?;
            standing = std::mem::replace(&mut self.standing, next);
        }
        let again = |claim: &Claim| self.retry.includes(self.scan.code(claim));
        let verdict = verdict(self.bucket, listed.as_ref(), standing.as_ref(), again)?;
        Ok(Some(Compared { listed, standing, verdict }))
    }

    /// What the table has of the next key of this bucket: it may hold photos of others.
    fn hear(&mut self) -> Result<Option<Standing>> {
        while let Some(standing) = self.scan.hear()? {
            if standing.any().is_some_and(|claim| claim.bucket == self.bucket) {
                return Ok(Some(standing));
            }
        }
        Ok(None)
    }

    /// The snapshot that was compared.
    ///
    /// # Errors
    /// As [`Scan::finish`].
    pub fn finish(self) -> Result<Snapshot> {
        self.scan.finish()
    }
}

/// What is to be done about a key. `again` says whether its rejected photo is to be tried again.
fn verdict(
    bucket: &str,
    listed: Option<&Listed>,
    standing: Option<&Standing>,
    again: impl Fn(&Claim) -> bool,
) -> Result<Verdict> {
    let Some(listed) = listed else { return standing.map_or(Ok(Verdict::Agrees), absent) };
    let Some(standing) = standing else { return Ok(Verdict::Embed(None)) };
    let id = *PhotoId::of(bucket, &listed.key, &listed.etag).as_bytes();
    if let Some(current) = standing.current.as_ref().filter(|claim| claim.photo_id == id) {
        let retried = current.source == Source::Reject && again(current);
        return Ok(if retried { Verdict::Embed(None) } else { Verdict::Agrees });
    }
    let last_modified = micros(listed.last_modified);
    let known = standing
        .versions()
        .filter(|claim| (claim.last_modified, claim.photo_id) == (last_modified, id))
        .max();
    // A version that is embedded from now on is made later than all that is known, unless clocks differ.
    let made_at = known.map_or(micros(OffsetDateTime::now_utc()), |known| known.made_at);
    let in_front = |claim: &&Claim| {
        claim.photo_id != id
            && (claim.last_modified, claim.made_at, claim.photo_id) > (last_modified, made_at, id)
    };
    let superseded = standing.versions().filter(in_front).map(|claim| claim.last_modified).max();
    let settle = Settle { superseded: superseded.map(time).transpose()? };
    Ok(match known {
        Some(_) => Verdict::Restore(settle),
        None if superseded.is_some() || standing.hides(last_modified, &id) => Verdict::Embed(Some(settle)),
        None => Verdict::Embed(None),
    })
}

/// What is to be done about a key that S3 does not list.
fn absent(standing: &Standing) -> Result<Verdict> {
    let newest = standing.versions().map(|claim| claim.last_modified).max();
    match newest.filter(|_| standing.current.is_some()) {
        Some(newest) => Ok(Verdict::Remove { up_to: time(newest)? }),
        None => Ok(Verdict::Agrees),
    }
}

fn time(micros: i64) -> Result<OffsetDateTime> {
    from_micros(micros)
        .ok_or_else(|| Error::Internal(format!("{micros} microseconds since 1970 are out of range")))
}

/// Counts what was compared: `photos_listed`, `rows` (current ones), `rejects`, `missing`, `stale`, `retried`, `restored`, `gone`.
pub fn count(compared: &Compared, counts: &mut Counts) {
    counts.add("photos_listed", u64::from(compared.listed.is_some()));
    let current = compared.standing.as_ref().and_then(|standing| standing.current.as_ref());
    let rejected = current.is_some_and(|claim| claim.source == Source::Reject);
    counts.add(if rejected { "rejects" } else { "rows" }, u64::from(current.is_some()));
    let word = match &compared.verdict {
        Verdict::Agrees => return,
        Verdict::Embed(_) if current.is_none() => "missing",
        Verdict::Embed(_) if same_version(compared) => "retried",
        Verdict::Embed(_) => "stale",
        Verdict::Restore(_) => "restored",
        Verdict::Remove { .. } => "gone",
    };
    counts.add(word, 1);
}

fn same_version(compared: &Compared) -> bool {
    let current = compared.standing.as_ref().and_then(|standing| standing.current.as_ref());
    compared.listed.as_ref().zip(current).is_some_and(|(listed, current)| {
        *PhotoId::of(&current.bucket, &listed.key, &listed.etag).as_bytes() == current.photo_id
    })
}

/// Plans a backfill: `each` gets the tasks. Returns what was seen, counted.
///
/// # Errors
/// [`Error::Unconfirmed`] when more than 5 % of what is current would go and nobody agreed; then nothing must be done.
pub async fn plan(
    run: &Run,
    retry: &Retry,
    confirmed: bool,
    each: &mut impl FnMut(Task) -> Result<()>,
) -> Result<Counts> {
    let mut comparison = Comparison::begin(run, retry).await?;
    let mut counts = Counts::default();
    let mut lists = Lists::new(run);
    while let Some(compared) = comparison.next().await? {
        count(&compared, &mut counts);
        lists.take(compared, each).await?;
    }
    lists.finish(each).await?;
    let (going, held) = (counts.get("gone"), counts.get("rows") + counts.get("rejects"));
    if going * 100 > held * MAY_GO && !confirmed {
        return Err(Error::Unconfirmed(format!(
            "{going} of {held} photos in the table are not in s3://{} any more, which is over {MAY_GO} %; nothing was done: see that this is \
             the right bucket, and if they were deleted, say --yes",
            run.photos_bucket
        )));
    }
    lists.settling.into_iter().try_for_each(each)?;
    Ok(counts)
}

/// Lists on their way to S3.
struct Lists<'a> {
    run: &'a Run,
    /// Photos to embed, with their sizes.
    photos: Vec<(u64, Wanted)>,
    /// The sum of these sizes.
    bytes: u64,
    gone: Vec<GoneKey>,
    present: Vec<Wanted>,
    embed_tasks: usize,
    /// Tasks to settle, kept back until it is known how many rows would go.
    settling: Vec<Task>,
}

impl<'a> Lists<'a> {
    fn new(run: &'a Run) -> Self {
        let (photos, gone, present) = (Vec::new(), Vec::new(), Vec::new());
        Self { run, photos, bytes: 0, gone, present, embed_tasks: 0, settling: Vec::new() }
    }

    async fn take(&mut self, compared: Compared, each: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        let wanted = |listed: Listed, settle| Wanted { key: listed.key, etag: listed.etag, settle };
        match (compared.verdict, compared.listed) {
            (Verdict::Embed(settle), Some(listed)) => {
                self.bytes += listed.size_bytes;
                self.photos.push((listed.size_bytes, wanted(listed, settle)));
                if self.photos.len() >= TASKS * PHOTOS.1 || self.bytes >= TASKS as u64 * BYTES.1 {
                    self.embed(each).await?;
                }
            }
            (Verdict::Restore(settle), Some(listed)) => self.present.push(wanted(listed, Some(settle))),
            (Verdict::Remove { up_to }, None) => {
                let key = compared.standing.as_ref().and_then(Standing::any).map(|claim| claim.key.clone());
                self.gone.extend(key.map(|key| GoneKey { key, up_to }));
            }
            _ => (),
        }
        if self.gone.len() + self.present.len() >= KEYS { self.settle().await } else { Ok(()) }
    }

    async fn finish(&mut self, each: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        if !self.photos.is_empty() {
            self.embed(each).await?;
        }
        if !self.gone.is_empty() || !self.present.is_empty() {
            self.settle().await?;
        }
        Ok(())
    }

    /// Makes tasks of all photos that have come so far.
    async fn embed(&mut self, each: &mut impl FnMut(Task) -> Result<()>) -> Result<()> {
        let (photos, bytes) = (std::mem::take(&mut self.photos), std::mem::take(&mut self.bytes));
        let (run, begun) = (self.run, self.embed_tasks);
        let groups = grouped(photos, bytes);
        self.embed_tasks += groups.len();
        let lists = (begun + 1..).zip(groups).map(|(number, (bytes, photos))| {
            let work = Work::Embed { photos: photos.len() as u64, bytes };
            let list = Photos { version: VERSION, bucket: run.photos_bucket.clone(), photos };
            (format!("embed-{number:06}"), list, work)
        });
        run.tasks(lists, each).await
    }

    async fn settle(&mut self) -> Result<()> {
        let name = format!("settle-{:06}", self.settling.len() + 1);
        let (gone, present) = (std::mem::take(&mut self.gone), std::mem::take(&mut self.present));
        let work = Work::Settle { keys: (gone.len() + present.len()) as u64 };
        let list = Keys { version: VERSION, bucket: self.run.photos_bucket.clone(), gone, present };
        self.settling.push(self.run.task(name, &list, work).await?);
        Ok(())
    }
}

/// Photos in groups that a task can take, each with its bytes.
fn grouped(photos: Vec<(u64, Wanted)>, bytes: u64) -> Vec<(u64, Vec<Wanted>)> {
    let most_photos = photos.len().div_ceil(TASKS).clamp(PHOTOS.0, PHOTOS.1);
    let most_bytes = (bytes / TASKS as u64).clamp(BYTES.0, BYTES.1);
    let groups = groups(photos, [most_photos as u64, most_bytes], |(size, _)| [1, *size]);
    let summed = |group: Vec<(u64, Wanted)>| {
        let bytes = group.iter().map(|(size, _)| size).sum();
        (bytes, group.into_iter().map(|(_, photo)| photo).collect())
    };
    groups.into_iter().map(summed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old";
    const NEW: &str = "new";

    fn at(second: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(second).unwrap()
    }

    fn listed(etag: &str, second: i64) -> Listed {
        Listed { key: "a".into(), etag: etag.into(), size_bytes: 1, last_modified: at(second) }
    }

    fn claim(etag: &str, second: i64, made: i64, source: Source) -> Claim {
        let photo_id = *PhotoId::of("photos", "a", etag).as_bytes();
        let (last_modified, made_at) = (micros(at(second)), micros(at(made)));
        Claim { bucket: "photos".into(), key: "a".into(), last_modified, made_at, photo_id, source }
    }

    fn row(etag: &str, second: i64, made: i64) -> Claim {
        claim(etag, second, made, Source::Row { part: 0, row: 0 })
    }

    fn removal(second: i64, spares: Option<&str>) -> Claim {
        let mut removal = claim(spares.unwrap_or_default(), second, 0, Source::Removal);
        if spares.is_none() {
            removal.photo_id = [0; 16];
        }
        removal
    }

    /// The verdict on a key with these claims, as the table would hear them.
    fn judged(listed: Option<&Listed>, claims: &[Claim]) -> Verdict {
        let mut sorter = crate::current::Claims::new(1 << 20);
        claims.iter().for_each(|claim| sorter.push(claim.clone()).unwrap());
        let standing = sorter.standings().unwrap().next().map(Result::unwrap);
        verdict("photos", listed, standing.as_ref(), |_| false).unwrap()
    }

    fn settle(second: Option<i64>) -> Settle {
        Settle { superseded: second.map(at) }
    }

    #[test]
    fn tasks_are_small_where_photos_are_few_and_never_too_large() {
        let groups = |count: usize, size: u64| {
            let wanted = || Wanted { key: "a".into(), etag: OLD.into(), settle: None };
            let photos = (0..count).map(|_| (size, wanted())).collect();
            grouped(photos, count as u64 * size).into_iter().map(|(_, group)| group.len()).collect::<Vec<_>>()
        };
        assert_eq!(groups(1200, 1), [500, 500, 200]);
        assert_eq!(groups(64_000, 1), [1000; 64]);
        assert_eq!(groups(TASKS * 2000, 1), [2000; TASKS]);
        assert_eq!(groups(1000, 100_000_000), [10; 100], "of 1 GB at most");
        assert_eq!(groups(3, 2_000_000_000), [1; 3], "but at least one photo");
        assert!(groups(0, 1).is_empty());
    }

    #[test]
    fn what_is_missing_or_has_another_etag_is_embedded() {
        assert_eq!(judged(Some(&listed(NEW, 5)), &[]), Verdict::Embed(None));
        assert_eq!(judged(Some(&listed(NEW, 5)), &[row(OLD, 4, 9)]), Verdict::Embed(None));
        assert_eq!(judged(Some(&listed(NEW, 5)), &[row(NEW, 5, 9)]), Verdict::Agrees);
        assert_eq!(judged(Some(&listed(NEW, 5)), &[claim(NEW, 5, 9, Source::Reject)]), Verdict::Agrees);
        assert_eq!(judged(Some(&listed(NEW, 5)), &[claim(OLD, 5, 9, Source::Reject)]), Verdict::Embed(None));
    }

    #[test]
    fn what_is_gone_is_removed_once() {
        assert_eq!(judged(None, &[row(OLD, 4, 9), row(NEW, 5, 9)]), Verdict::Remove { up_to: at(5) });
        assert_eq!(judged(None, &[claim(OLD, 4, 9, Source::Reject)]), Verdict::Remove { up_to: at(4) });
        assert_eq!(judged(None, &[row(OLD, 4, 9), removal(4, None)]), Verdict::Agrees);
        assert_eq!(judged(None, &[row(OLD, 4, 9), removal(4, Some(OLD))]), Verdict::Remove { up_to: at(4) });
    }

    #[test]
    fn a_removal_that_the_listing_contradicts_is_taken_back() {
        let back = listed(OLD, 4);
        assert_eq!(judged(Some(&back), &[row(OLD, 4, 9), removal(7, None)]), Verdict::Restore(settle(None)));
        assert_eq!(judged(Some(&back), &[removal(7, None)]), Verdict::Embed(Some(settle(None))));
        assert_eq!(judged(Some(&back), &[removal(3, None)]), Verdict::Embed(None));
    }

    #[test]
    fn an_older_version_that_is_back_comes_before_the_newer_one() {
        let back = listed(OLD, 4);
        let known = [row(OLD, 4, 9), row(NEW, 6, 9)];
        assert_eq!(judged(Some(&back), &known), Verdict::Restore(settle(Some(6))));
        assert_eq!(judged(Some(&back), &known[1..]), Verdict::Embed(Some(settle(Some(6)))));
        let settled = [&known[..], &[removal(6, Some(OLD))]].concat();
        assert_eq!(judged(Some(&back), &settled), Verdict::Agrees);
        // A reject is no better than a row.
        let rejects = [row(OLD, 4, 9), claim(NEW, 6, 9, Source::Reject)];
        assert_eq!(judged(Some(&back), &rejects), Verdict::Restore(settle(Some(6))));
    }

    #[test]
    fn of_two_versions_of_one_second_that_holds_which_s3_has() {
        let both = [row(OLD, 4, 20), row(NEW, 4, 10)];
        assert_eq!(judged(Some(&listed(NEW, 4)), &both), Verdict::Restore(settle(Some(4))));
        assert_eq!(judged(Some(&listed(OLD, 4)), &both), Verdict::Agrees);
        assert_eq!(judged(Some(&listed(NEW, 4)), &both[..1]), Verdict::Embed(None));
    }
}
