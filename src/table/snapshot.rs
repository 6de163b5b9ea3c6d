//! A look at the whole table: which parts there are, and which of their rows are current.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use futures::StreamExt;
use time::{Date, OffsetDateTime};

use crate::current::{Claim, Claims, Source, Standing};
use crate::error::{Error, Result};
use crate::partition::{Part, PartName, REMOVALS_PREFIX, embeddings_prefix, rejects_prefix};
use crate::photo::PhotoId;
use crate::reject::{Reject, RejectCode};
use crate::removal::Removal;
use crate::store::{Listed, Store};
use crate::table::{Encoded, micros};

/// Memory for claims before they go to a temporary file.
const CLAIMS_BUDGET: usize = 64 << 20;
/// Small objects that are read at once.
const AT_ONCE: usize = 64;
/// Parts whose key columns are read at once.
const PARTS_AT_ONCE: usize = 16;
/// How often a snapshot is begun anew when a part is gone that was listed: it was compacted, and is in another now.
const TRIES: u32 = 3;

/// The table of one model at one time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When reading it began: everything written before is in it.
    pub taken_at: OffsetDateTime,
    /// The parts, in the order of their keys.
    pub parts: Vec<PartRows>,
    /// Photos whose newest version can't be embedded.
    pub rejected: BTreeMap<RejectCode, u64>,
}

/// One part and what of it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRows {
    /// The part.
    pub part: Part,
    /// Rows in it.
    pub rows: u32,
    /// The numbers of the rows that don't hold, ascending: superseded, removed, or stored twice.
    pub dead: Vec<u32>,
    /// Bytes of the object.
    pub size_bytes: u64,
    /// When S3 took it.
    pub written_at: OffsetDateTime,
    /// Whether a compaction wrote it, in the place of others.
    pub compacted: bool,
    /// Those of these others that are still listed.
    pub replaces: Vec<PartName>,
    /// The places, in [`Snapshot::parts`], of the parts that were written in the place of this one.
    pub replaced_by: Vec<usize>,
}

impl PartRows {
    /// How many rows hold.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.rows - u32::try_from(self.dead.len()).unwrap_or(self.rows)
    }

    /// Whether it was replaced, and nothing is lost without it. A part that was replaced, and has nevertheless the only row of a photo
    /// that holds, is a part like any other: its photo came back after the compaction.
    #[must_use]
    pub fn is_spare(&self) -> bool {
        !self.replaced_by.is_empty() && self.current() == 0
    }
}

/// What S3 said of a key, for whoever asks what is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is embedded.
    Embedded,
    /// It can't be embedded.
    Rejected,
}

/// A snapshot on its way: what holds for each key is heard one by one, in the order of buckets and keys.
pub struct Scan {
    snapshot: Snapshot,
    codes: BTreeMap<[u8; 16], RejectCode>,
    standings: Box<dyn Iterator<Item = Result<Standing>> + Send>,
}

impl Scan {
    /// Reads the key columns of all parts, all rejects and all removals.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when an object does not hold what it should.
    pub async fn begin(store: &Store, results_bucket: &str, model: &str) -> Result<Self> {
        let reader = Reader { store, results_bucket, model };
        let mut tried = 1;
        let (taken_at, (parts, claims, codes)) = loop {
            let taken_at = OffsetDateTime::now_utc();
            match reader.read().await {
                Err(Error::Gone { .. }) if tried < TRIES => tried += 1,
                read => break (taken_at, read?),
            }
        };
        let snapshot = Snapshot { taken_at, parts, rejected: BTreeMap::new() };
        Ok(Self { snapshot, codes, standings: Box::new(claims.standings()?) })
    }

    /// What holds for the next key.
    ///
    /// # Errors
    /// [`Error::File`] when a temporary file can't be read.
    pub fn hear(&mut self) -> Result<Option<Standing>> {
        let Some(mut standing) = self.standings.next().transpose()? else { return Ok(None) };
        self.prefer_replacement(&mut standing);
        if let Some(claim) = standing.current.as_ref().filter(|claim| claim.source == Source::Reject)
            && let Some(code) = self.code(claim)
        {
            *self.snapshot.rejected.entry(code).or_default() += 1;
        }
        for claim in &standing.dead {
            if let Source::Row { part, row } = claim.source {
                self.snapshot.parts[part as usize].dead.push(row);
            }
        }
        Ok(Some(standing))
    }

    /// Why a photo was rejected.
    #[must_use]
    pub fn code(&self, claim: &Claim) -> Option<RejectCode> {
        self.codes.get(&claim.photo_id).copied()
    }

    /// The snapshot; what was not heard yet goes by.
    ///
    /// # Errors
    /// As [`Scan::hear`].
    pub fn finish(mut self) -> Result<Snapshot> {
        while self.hear()?.is_some() {}
        self.snapshot.parts.iter_mut().for_each(|part| part.dead.sort_unstable());
        Ok(self.snapshot)
    }

    /// Of several copies of the row that holds, one holds that is not in a part that was replaced.
    fn prefer_replacement(&self, standing: &mut Standing) {
        let replaced = |claim: &Claim| match claim.source {
            Source::Row { part, .. } => !self.snapshot.parts[part as usize].replaced_by.is_empty(),
            Source::Reject | Source::Removal => false,
        };
        let Some(current) = standing.current.as_mut().filter(|claim| replaced(claim)) else { return };
        let copy = |claim: &&mut Claim| {
            (claim.last_modified, claim.photo_id) == (current.last_modified, current.photo_id)
                && claim.source != Source::Reject
                && !replaced(claim)
        };
        if let Some(copy) = standing.dead.iter_mut().find(copy) {
            std::mem::swap(current, copy);
        }
    }
}

impl Snapshot {
    /// Reads the key columns of all parts, all rejects and all removals.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when an object does not hold what it should.
    pub async fn take(store: &Store, results_bucket: &str, model: &str) -> Result<Self> {
        Scan::begin(store, results_bucket, model).await?.finish()
    }

    /// Like [`Snapshot::take`], and calls `each` with the id of each photo that is known.
    ///
    /// # Errors
    /// As [`Snapshot::take`].
    pub async fn take_each(
        store: &Store,
        results_bucket: &str,
        model: &str,
        mut each: impl FnMut(PhotoId, Known),
    ) -> Result<Self> {
        let mut scan = Scan::begin(store, results_bucket, model).await?;
        while let Some(standing) = scan.hear()? {
            if let Some(claim) = standing.current {
                let rejected = claim.source == Source::Reject;
                each(PhotoId::from(claim.photo_id), if rejected { Known::Rejected } else { Known::Embedded });
            }
        }
        scan.finish()
    }

    /// Rows that hold, in all parts.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.current())).sum()
    }

    /// The first and the last day that has a row that holds.
    #[must_use]
    pub fn dates(&self) -> Option<(Date, Date)> {
        let held = || self.parts.iter().filter(|part| part.current() > 0);
        let dates = || held().map(|part| part.part.partition.date);
        Some((dates().min()?, dates().max()?))
    }
}

struct Reader<'a> {
    store: &'a Store,
    results_bucket: &'a str,
    model: &'a str,
}

impl Reader<'_> {
    async fn read(&self) -> Result<(Vec<PartRows>, Claims, BTreeMap<[u8; 16], RejectCode>)> {
        let mut claims = Claims::new(CLAIMS_BUDGET);
        let parts = self.parts(&mut claims).await?;
        let codes = self.rejects(&mut claims).await?;
        self.removals(&mut claims).await?;
        Ok((parts, claims, codes))
    }

    async fn parts(&self, claims: &mut Claims) -> Result<Vec<PartRows>> {
        let mut listed = Vec::new();
        let note = |object: Listed| {
            listed.extend(Part::of_embeddings_key(&object.key).map(|part| (part, object)));
            Ok(())
        };
        self.store.list(self.results_bucket, &embeddings_prefix(self.model), note).await?;
        let named: HashSet<Part> = listed.iter().map(|(part, _)| part.clone()).collect();
        let mut objects = futures::stream::iter(listed)
            .map(async |(part, object)| {
                let key = &object.key;
                let encoded = Encoded::of_keys(self.store, self.results_bucket, key, object.size_bytes).await;
                (part, object, encoded)
            })
            .buffered(PARTS_AT_ONCE);
        let (mut parts, mut gone): (Vec<PartRows>, Vec<(Part, Error)>) = Default::default();
        while let Some((part, object, encoded)) = objects.next().await {
            let encoded = match encoded {
                Err(error @ Error::Gone { .. }) => {
                    gone.push((part, error));
                    continue;
                }
                encoded => encoded?,
            };
            let number = u32::try_from(parts.len()).map_err(Error::schema("embeddings/"))?;
            let rows = claim_rows(&encoded, number, claims)?;
            let (dead, mut replaces, replaced_by) = (Vec::new(), encoded.replaces()?, Vec::new());
            let compacted = !replaces.is_empty();
            // Over the years a part names thousands that are long gone.
            replaces.retain(|name| {
                named.contains(&Part { partition: part.partition.clone(), name: name.clone() })
            });
            let (size_bytes, written_at) = (object.size_bytes, object.last_modified);
            parts.push(PartRows {
                part,
                rows,
                dead,
                size_bytes,
                written_at,
                compacted,
                replaces,
                replaced_by,
            });
        }
        excuse(gone, &parts)?;
        link(&mut parts);
        Ok(parts)
    }

    async fn rejects(&self, claims: &mut Claims) -> Result<BTreeMap<[u8; 16], RejectCode>> {
        let mut codes = BTreeMap::new();
        self.each(&rejects_prefix(self.model), |key, bytes| {
            let reject = Reject::parse(key, bytes)?;
            let photo_id = *reject.id().as_bytes();
            codes.insert(photo_id, reject.code);
            claims.push(Claim {
                last_modified: micros(reject.photo.last_modified),
                made_at: micros(reject.rejected_at),
                bucket: reject.photo.bucket,
                key: reject.photo.key,
                photo_id,
                source: Source::Reject,
            })
        })
        .await?;
        Ok(codes)
    }

    async fn removals(&self, claims: &mut Claims) -> Result<()> {
        self.each(REMOVALS_PREFIX, |key, bytes| {
            let Removal { bucket, key, up_to, spares } = Removal::parse(key, bytes)?;
            let spared = spares.as_deref().and_then(PhotoId::parse);
            let photo_id = spared.map_or([0; 16], |id| *id.as_bytes());
            let last_modified = micros(up_to);
            claims.push(Claim { bucket, key, last_modified, made_at: 0, photo_id, source: Source::Removal })
        })
        .await
    }

    /// Calls `each` with the objects below a prefix.
    async fn each(&self, prefix: &str, mut each: impl FnMut(&str, &[u8]) -> Result<()>) -> Result<()> {
        let mut keys = self.keys(prefix).await?;
        // A desktop leaves files of its own in folders that it has shown.
        keys.retain(|key| Path::new(key).extension().is_some_and(|extension| extension == "json"));
        let mut objects = futures::stream::iter(&keys)
            .map(async |key| (key, self.store.get(self.results_bucket, key).await))
            .buffered(AT_ONCE);
        while let Some((key, bytes)) = objects.next().await {
            match bytes {
                Ok(bytes) => each(key, &bytes)?,
                // Deleted since it was listed: it does not hold any more.
                Err(Error::Gone { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let note = |object: Listed| {
            keys.push(object.key);
            Ok(())
        };
        self.store.list(self.results_bucket, prefix, note).await?;
        Ok(keys)
    }
}

/// A part that was listed, and is gone, was compacted: its rows are in one that names it. If none of those that were read does, they
/// were listed too early.
fn excuse(gone: Vec<(Part, Error)>, parts: &[PartRows]) -> Result<()> {
    for (missing, error) in gone {
        let names = |part: &PartRows| {
            part.part.partition == missing.partition && part.replaces.contains(&missing.name)
        };
        if !parts.iter().any(names) {
            return Err(error);
        }
    }
    Ok(())
}

/// Notes in each part which others were written in its place.
fn link(parts: &mut [PartRows]) {
    let places: HashMap<Part, usize> =
        parts.iter().enumerate().map(|(place, part)| (part.part.clone(), place)).collect();
    let mut links = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        for name in &part.replaces {
            let replaced = Part { partition: part.part.partition.clone(), name: name.clone() };
            links.extend(places.get(&replaced).filter(|&&replaced| replaced != place).map(|&it| (it, place)));
        }
    }
    links.into_iter().for_each(|(replaced, by)| parts[replaced].replaced_by.push(by));
}

/// The claims of a part's rows; returns how many there are.
fn claim_rows(encoded: &Encoded, part: u32, claims: &mut Claims) -> Result<u32> {
    let mut row = 0;
    for keys in encoded.keys()? {
        for key in keys?.iter() {
            let photo_id = PhotoId::parse(key.photo_id)
                .ok_or_else(|| encoded.broken("a photo id is no 32 hex digits"))?;
            claims.push(Claim {
                bucket: key.bucket.to_owned(),
                key: key.key.to_owned(),
                last_modified: key.last_modified,
                made_at: key.embedded_at,
                photo_id: *photo_id.as_bytes(),
                source: Source::Row { part, row },
            })?;
            row += 1;
        }
    }
    Ok(row)
}
