//! What a fit takes of a part: the moments of its rows that hold.
//!
//! Those of all rows of a large part are kept beside it, so that the next fit need not sum them up again; what no longer holds is
//! subtracted. What is kept only saves work: missing or damaged, it is made anew.

use bytes::Bytes;

use crate::ahead::Ahead;
use crate::apart::{apart, wait};
use crate::behind::Behind;
use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::moments::Moments;
use crate::partition::Part;
use crate::store::Store;
use crate::table::Encoded;

/// A part as a fit needs it.
#[derive(Debug, Clone)]
pub(crate) struct Portion {
    /// The part.
    pub(crate) part: Part,
    /// Rows in it.
    pub(crate) rows: u32,
    /// The numbers of the rows that don't hold, ascending.
    pub(crate) dead: Vec<u32>,
    /// Whether its moments are kept beside it.
    pub(crate) kept: bool,
}

/// By what a part is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Its rows that hold.
    Rows,
    /// The moments that are kept beside it, less its rows that don't hold.
    Kept,
    /// The same; but they are to be made first, and kept.
    Unkept,
}

/// Which rows of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Current,
    Dead,
}

impl Portion {
    /// The part's object, and about how many bytes that are.
    pub(crate) fn rows_object(&self, card: &ModelCard) -> (String, u64) {
        let numbers = u64::from(self.rows) * card.dimension as u64;
        (self.part.embeddings_key(), numbers * size_of::<f32>() as u64)
    }

    /// The part, if its rows are of just this network: another under the same id must not be mixed in.
    pub(crate) fn encoded(&self, card: &ModelCard, bytes: Bytes) -> Result<Encoded> {
        let part = Encoded::new(self.part.embeddings_key(), bytes);
        part.check_model(card)?;
        Ok(part)
    }

    fn source(&self, card: &ModelCard, full: bool) -> Source {
        // Subtracting most of a sum leaves mostly its rounding errors, and is more work than adding the rest. And a part of
        // fewer rows than `dimension` is smaller than its moments: it is its own best summary.
        let few = (self.rows as usize) < card.dimension;
        match self.kept {
            _ if full || few || self.dead.len() > self.rows as usize / 2 => Source::Rows,
            true => Source::Kept,
            false => Source::Unkept,
        }
    }

    /// What is fetched for it, with about how many bytes that are.
    fn objects(&self, card: &ModelCard, source: Source) -> Vec<(String, u64)> {
        let moments =
            || (self.part.moments_key(), (card.dimension * card.dimension / 2 * size_of::<f64>()) as u64);
        match source {
            Source::Kept if self.dead.is_empty() => vec![moments()],
            Source::Kept => vec![moments(), self.rows_object(card)],
            Source::Rows | Source::Unkept => vec![self.rows_object(card)],
        }
    }
}

/// The moments of the current rows of these parts; `full` ignores what is kept beside them, and keeps nothing.
pub(crate) async fn moments(
    store: &Store,
    results_bucket: &str,
    card: &ModelCard,
    parts: Vec<Portion>,
    full: bool,
) -> Result<Moments> {
    let sources: Vec<_> = parts.iter().map(|part| part.source(card, full)).collect();
    let objects = parts.iter().zip(&sources).flat_map(|(part, source)| part.objects(card, *source)).collect();
    let (ahead, behind) = (Ahead::fetch(store, results_bucket, objects), Behind::new(store, results_bucket));
    let (store, results_bucket, card) = (store.clone(), results_bucket.to_owned(), card.clone());
    apart(move || {
        let mut total = Total::new(card.dimension);
        let mut summing = Summing { store, results_bucket, card, ahead, behind };
        for (part, source) in parts.iter().zip(sources) {
            match source {
                Source::Rows => total.add_rows(&summing.next(part)?, &part.dead, Which::Current)?,
                Source::Kept | Source::Unkept => total.moments.merge(&summing.by_kept(part, source)?)?,
            }
        }
        summing.behind.end()?;
        total.finish()
    })
    .await
}

struct Summing {
    store: Store,
    results_bucket: String,
    card: ModelCard,
    ahead: Ahead,
    behind: Behind,
}

impl Summing {
    /// The part, which is the next object.
    fn next(&mut self, part: &Portion) -> Result<Encoded> {
        part.encoded(&self.card, self.ahead.next()?)
    }

    /// The moments of a part's current rows, by those of all its rows.
    fn by_kept(&mut self, part: &Portion, source: Source) -> Result<Moments> {
        let kept = if source == Source::Kept { self.kept(part)? } else { None };
        let rows = match (&kept, source) {
            (Some(_), _) if part.dead.is_empty() => None,
            // It was said to be kept, and is not.
            (None, Source::Kept) if part.dead.is_empty() => {
                let bytes = wait(self.store.get(&self.results_bucket, &part.part.embeddings_key()))?;
                Some(part.encoded(&self.card, bytes)?)
            }
            _ => Some(self.next(part)?),
        };
        let dimension = self.card.dimension;
        let of = |which| {
            let mut total = Total::new(dimension);
            rows.iter().try_for_each(|rows| total.add_rows(rows, &part.dead, which))?;
            total.finish()
        };
        let mut moments = match kept {
            Some(moments) => moments,
            None => {
                let moments = of(Which::All)?;
                self.keep(part, &moments)?;
                moments
            }
        };
        if !part.dead.is_empty() {
            moments.subtract(&of(Which::Dead)?)?;
        }
        Ok(moments)
    }

    fn kept(&mut self, part: &Portion) -> Result<Option<Moments>> {
        match self.ahead.next() {
            Ok(bytes) => Ok(Moments::from_bytes(&part.part.moments_key(), self.card.dimension, &bytes).ok()),
            Err(Error::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn keep(&mut self, part: &Portion, moments: &Moments) -> Result<()> {
        self.behind.put(part.part.moments_key(), "application/octet-stream", moments.to_bytes())
    }
}

/// Moments with the rows that are not in them yet: adding a row costs as much as adding hundreds.
struct Total {
    moments: Moments,
    rows: Vec<f32>,
}

impl Total {
    const ROWS: usize = 2048;

    fn new(dimension: usize) -> Self {
        Self { moments: Moments::empty(dimension), rows: Vec::new() }
    }

    /// Adds rows of a part.
    fn add_rows(&mut self, rows: &Encoded, dead: &[u32], which: Which) -> Result<()> {
        let dimension = self.moments.dimension();
        let mut number = 0;
        for rows in rows.embeddings(dimension)? {
            for row in rows?.chunks_exact(dimension) {
                let dead = dead.binary_search(&number).is_ok();
                if which == Which::All || dead == (which == Which::Dead) {
                    self.add(row)?;
                }
                number += 1;
            }
        }
        Ok(())
    }

    fn add(&mut self, row: &[f32]) -> Result<()> {
        self.rows.extend_from_slice(row);
        if self.rows.len() >= Self::ROWS * row.len() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.moments.add_rows(&self.rows)?;
        self.rows.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Moments> {
        self.flush()?;
        Ok(self.moments)
    }
}
