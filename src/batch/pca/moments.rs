//! Computes the moments of the current rows of parts.
//!
//! The moments of all rows of a large part are cached in S3 next to the part, so the next fit need
//! not read its rows again. The moments of the dead rows are subtracted from them. The cache only
//! saves work: a missing or damaged entry is computed again.

use bytes::Bytes;

use super::error::pca_error;
use crate::batch::results::Results;
use crate::blocking::{block_on, run_blocking};
use crate::contract::layout::Part;
use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};
use crate::moments::Moments;
use crate::s3::Store;
use crate::s3::prefetch::Prefetcher;
use crate::s3::write_behind::WriteBehind;
use crate::table::PartReader;

/// A part as input of a fit.
#[derive(Debug, Clone)]
pub(super) struct PartInput {
    pub(super) part: Part,
    /// Number of rows, current or dead.
    pub(super) rows: u32,
    /// The indices of the dead rows, ascending.
    pub(super) dead: Vec<u32>,
    /// Whether the moments of all rows were in the cache when the task was planned.
    pub(super) cached: bool,
}

/// How the moments of a part's current rows are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MomentsSource {
    /// From the current rows, without the cache.
    Recompute,
    /// From the cached moments of all rows, minus those of the dead rows.
    Cached,
    /// As `Cached`, but first the moments of all rows are computed and cached.
    ComputeAndCache,
}

/// A choice of a part's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowFilter {
    All,
    Current,
    Dead,
}

impl PartInput {
    /// Returns the key of the part's rows, and their approximate size in bytes.
    pub(super) fn rows_object(&self, card: &ModelCard) -> (String, u64) {
        let values = u64::from(self.rows) * card.dimension as u64;
        (self.part.embeddings_key(), values * size_of::<f32>() as u64)
    }

    /// Returns a reader of the part.
    ///
    /// # Errors
    /// [`Error::Schema`] when the rows were made by another network with the same model id, whose
    /// embeddings must not be mixed in.
    pub(super) fn reader(&self, card: &ModelCard, bytes: Bytes) -> Result<PartReader> {
        let part = PartReader::new(self.part.embeddings_key(), bytes);
        part.check_model(card)?;
        Ok(part)
    }

    /// Chooses the cheapest way to the moments that is accurate. `full` ignores the cache.
    fn source(&self, dimension: usize, full: bool) -> MomentsSource {
        // Subtracting most of a sum leaves mostly rounding errors, and takes longer than adding up
        // the rest.
        let mostly_dead = self.dead.len() > self.rows as usize / 2;
        // A part with fewer rows than dimensions is smaller than its moments.
        let is_small = (self.rows as usize) < dimension;
        match self.cached {
            _ if full || is_small || mostly_dead => MomentsSource::Recompute,
            true => MomentsSource::Cached,
            false => MomentsSource::ComputeAndCache,
        }
    }

    /// Returns the objects to prefetch, with their approximate sizes in bytes.
    fn objects(&self, card: &ModelCard, source: MomentsSource) -> Vec<(String, u64)> {
        let moments = || {
            let values = card.dimension * card.dimension / 2;
            (self.part.moments_key(), (values * size_of::<f64>()) as u64)
        };
        match source {
            MomentsSource::Cached if self.dead.is_empty() => vec![moments()],
            MomentsSource::Cached => vec![moments(), self.rows_object(card)],
            MomentsSource::Recompute | MomentsSource::ComputeAndCache => vec![self.rows_object(card)],
        }
    }
}

/// Returns the moments of the current rows of all parts. `full` neither reads nor fills the cache.
pub(super) async fn moments_of_parts(
    results: Results<'_>,
    parts: Vec<PartInput>,
    full: bool,
) -> Result<Moments> {
    let Results { store, bucket, card } = results;
    let sources: Vec<_> = parts.iter().map(|part| part.source(card.dimension, full)).collect();
    // In the order in which `PartSummer` reads them, since a prefetcher yields objects in order.
    let objects = parts.iter().zip(&sources).flat_map(|(part, source)| part.objects(card, *source));
    let prefetcher = Prefetcher::fetch(store, bucket, objects.collect());
    let write_behind = WriteBehind::new(store, bucket);
    let (store, bucket, card) = (store.clone(), bucket.to_owned(), card.clone());
    run_blocking(move || {
        let mut total = MomentsBuilder::new(card.dimension);
        let mut summer = PartSummer { store, bucket, card, prefetcher, write_behind };
        for (part, source) in parts.iter().zip(sources) {
            match source {
                MomentsSource::Recompute => {
                    total.add_part(&summer.next_rows(part)?, &part.dead, RowFilter::Current)?;
                }
                MomentsSource::Cached | MomentsSource::ComputeAndCache => {
                    total.merge(&summer.sum_with_cache(part, source)?)?;
                }
            }
        }
        summer.write_behind.finish()?;
        total.finish()
    })
    .await
}

/// Reads parts and cached moments, in the order in which they are prefetched.
struct PartSummer {
    store: Store,
    bucket: String,
    card: ModelCard,
    prefetcher: Prefetcher,
    write_behind: WriteBehind,
}

impl PartSummer {
    /// Returns the moments of a part's current rows: those of all rows minus those of the dead
    /// rows.
    fn sum_with_cache(&mut self, part: &PartInput, source: MomentsSource) -> Result<Moments> {
        let cached = if source == MomentsSource::Cached { self.next_moments(part)? } else { None };
        let rows = match (&cached, source) {
            (Some(_), _) if part.dead.is_empty() => None,
            // Only the moments were prefetched, but they are missing or damaged.
            (None, MomentsSource::Cached) if part.dead.is_empty() => {
                let bytes = block_on(self.store.get(&self.bucket, &part.part.embeddings_key()))?;
                Some(part.reader(&self.card, bytes)?)
            }
            _ => Some(self.next_rows(part)?),
        };
        let dimension = self.card.dimension;
        let sum = |filter| {
            let mut sum = MomentsBuilder::new(dimension);
            rows.iter().try_for_each(|rows| sum.add_part(rows, &part.dead, filter))?;
            sum.finish()
        };
        let mut moments = match cached {
            Some(moments) => moments,
            None => {
                let moments = sum(RowFilter::All)?;
                self.cache(part, &moments)?;
                moments
            }
        };
        if !part.dead.is_empty() {
            moments.subtract(&sum(RowFilter::Dead)?).map_err(pca_error)?;
        }
        Ok(moments)
    }

    /// Returns the part, which must be the next prefetched object.
    fn next_rows(&mut self, part: &PartInput) -> Result<PartReader> {
        part.reader(&self.card, self.prefetcher.next()?)
    }

    /// Returns the part's cached moments, which must be the next prefetched object. `None` if they
    /// are missing or damaged.
    fn next_moments(&mut self, part: &PartInput) -> Result<Option<Moments>> {
        match self.prefetcher.next() {
            Ok(bytes) => Ok(Moments::from_bytes(&part.part.moments_key(), self.card.dimension, &bytes).ok()),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn cache(&mut self, part: &PartInput, moments: &Moments) -> Result<()> {
        self.write_behind.put(part.part.moments_key(), "application/octet-stream", moments.to_bytes())
    }
}

/// Adds rows to moments in batches, because adding one row takes as long as adding hundreds.
struct MomentsBuilder {
    moments: Moments,
    /// Rows that are not in the moments yet.
    pending: Vec<f32>,
}

impl MomentsBuilder {
    const BATCH_ROWS: usize = 2048;

    fn new(dimension: usize) -> Self {
        Self { moments: Moments::empty(dimension), pending: Vec::new() }
    }

    fn add_part(&mut self, part: &PartReader, dead: &[u32], filter: RowFilter) -> Result<()> {
        let dimension = self.moments.dimension();
        let mut index = 0;
        for batch in part.embeddings(dimension)? {
            for row in batch?.chunks_exact(dimension) {
                let is_dead = dead.binary_search(&index).is_ok();
                if filter == RowFilter::All || is_dead == (filter == RowFilter::Dead) {
                    self.add_row(row)?;
                }
                index += 1;
            }
        }
        Ok(())
    }

    fn add_row(&mut self, row: &[f32]) -> Result<()> {
        self.pending.extend_from_slice(row);
        if self.pending.len() >= Self::BATCH_ROWS * row.len() { self.flush() } else { Ok(()) }
    }

    fn merge(&mut self, moments: &Moments) -> Result<()> {
        self.moments.merge(moments).map_err(pca_error)
    }

    fn flush(&mut self) -> Result<()> {
        self.moments.add_rows(&self.pending).map_err(pca_error)?;
        self.pending.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Moments> {
        self.flush()?;
        Ok(self.moments)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::contract::layout::{PartName, Partition};

    const DIMENSION: usize = 1280;

    fn input(rows: u32, dead: u32, cached: bool) -> PartInput {
        let partition = Partition { model: "m".into(), date: date!(2026 - 11 - 23) };
        let part = Part { partition, name: PartName::parse("a").unwrap() };
        PartInput { part, rows, dead: (0..dead).collect(), cached }
    }

    #[test]
    fn a_large_part_with_few_dead_rows_uses_the_cache() {
        for (dead, cached, source) in [
            (0, true, MomentsSource::Cached),
            (1000, true, MomentsSource::Cached),
            (1000, false, MomentsSource::ComputeAndCache),
        ] {
            assert_eq!(input(2000, dead, cached).source(DIMENSION, false), source);
        }
    }

    #[test]
    fn a_small_part_a_mostly_dead_one_and_a_full_fit_use_the_rows() {
        for cached in [true, false] {
            assert_eq!(input(1279, 0, cached).source(DIMENSION, false), MomentsSource::Recompute);
            assert_eq!(input(2000, 1001, cached).source(DIMENSION, false), MomentsSource::Recompute);
            assert_eq!(input(2000, 0, cached).source(DIMENSION, true), MomentsSource::Recompute);
        }
    }
}
