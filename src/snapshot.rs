//! A look at the whole table: which parts there are, and which of their rows are current.

use std::collections::BTreeMap;
use std::path::Path;

use futures::{StreamExt, TryStreamExt};
use time::{Date, OffsetDateTime};

use crate::current::{Claim, Claims, Source, Standing};
use crate::error::{Error, Result};
use crate::partition::{Part, REMOVALS_PREFIX, embeddings_prefix, rejects_prefix};
use crate::photo::PhotoId;
use crate::reject::{Reject, RejectCode};
use crate::removal::Removal;
use crate::store::Store;
use crate::table::{Encoded, micros};

/// Memory for claims before they go to a temporary file.
const CLAIMS_BUDGET: usize = 64 << 20;
/// Small objects that are read at once.
const AT_ONCE: usize = 16;
/// Parts that are read at once: each is held whole.
const PARTS_AT_ONCE: usize = 2;
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
}

impl PartRows {
    /// How many rows hold.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.rows - u32::try_from(self.dead.len()).unwrap_or(self.rows)
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

impl Snapshot {
    /// Reads the key columns of all parts, all rejects and all removals.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when an object does not hold what it should.
    pub async fn take(store: &Store, results_bucket: &str, model: &str) -> Result<Self> {
        Self::take_each(store, results_bucket, model, |_, _| ()).await
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
        let reader = Reader { store, results_bucket, model };
        let mut tried = 1;
        let (taken_at, (parts, claims, codes)) = loop {
            let taken_at = OffsetDateTime::now_utc();
            match reader.read().await {
                Err(Error::Gone { .. }) if tried < TRIES => tried += 1,
                read => break (taken_at, read?),
            }
        };
        let mut snapshot = Self { taken_at, parts, rejected: BTreeMap::new() };
        for standing in claims.standings()? {
            snapshot.note(&standing?, &codes, &mut each);
        }
        snapshot.parts.iter_mut().for_each(|part| part.dead.sort_unstable());
        Ok(snapshot)
    }

    fn note(
        &mut self,
        standing: &Standing,
        codes: &BTreeMap<[u8; 16], RejectCode>,
        each: &mut impl FnMut(PhotoId, Known),
    ) {
        if let Some(claim) = &standing.current {
            let rejected = claim.source == Source::Reject;
            if let (true, Some(code)) = (rejected, codes.get(&claim.photo_id)) {
                *self.rejected.entry(*code).or_default() += 1;
            }
            each(PhotoId::from(claim.photo_id), if rejected { Known::Rejected } else { Known::Embedded });
        }
        for claim in &standing.dead {
            if let Source::Row { part, row } = claim.source {
                self.parts[part as usize].dead.push(row);
            }
        }
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
        let keys = self.keys(&embeddings_prefix(self.model)).await?;
        let named = keys.iter().filter_map(|key| Some((key, Part::of_embeddings_key(key)?)));
        let mut objects = futures::stream::iter(named)
            .map(async |(key, part)| Ok::<_, Error>((part, self.part(key).await?)))
            .buffered(PARTS_AT_ONCE);
        let mut parts: Vec<PartRows> = Vec::new();
        while let Some((part, encoded)) = objects.try_next().await? {
            let number = u32::try_from(parts.len()).map_err(Error::schema("embeddings/"))?;
            let rows = claim_rows(&encoded, number, claims)?;
            parts.push(PartRows { part, rows, dead: Vec::new() });
        }
        Ok(parts)
    }

    async fn part(&self, key: &str) -> Result<Encoded> {
        Ok(Encoded::new(key, self.store.get(self.results_bucket, key).await?))
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
            let Removal { bucket, key, up_to } = Removal::parse(key, bytes)?;
            let last_modified = micros(up_to);
            let source = Source::Removal;
            claims.push(Claim { bucket, key, last_modified, made_at: 0, photo_id: [0; 16], source })
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
        let note = |object: crate::store::Listed| {
            keys.push(object.key);
            Ok(())
        };
        self.store.list(self.results_bucket, prefix, note).await?;
        Ok(keys)
    }
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
