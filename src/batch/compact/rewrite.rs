//! Executes a compaction task: reads the parts, and rewrites their current rows in the order of
//! keys.
//!
//! Memory is bounded for any number of parts. Few parts are prefetched at a time, embeddings go to
//! a temporary file, and only the other columns of the rows stay in memory until all parts are
//! read. Then the parts are written one after the other.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use super::records::{PartToRead, Rewrite};
use crate::batch::outcome::Report;
use crate::batch::results::Results;
use crate::blocking::{block_on, run_blocking};
use crate::contract::layout::{Part, PartName};
use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};
use crate::s3::prefetch::Prefetcher;
use crate::table::{self, PartReader, PartWriter, Row};

/// Rows written to a part at a time: 5 MB of embeddings with 1280 dimensions.
const BATCH_ROWS: usize = 1024;
/// The buffer of the temporary file: fifty embeddings with 1280 dimensions.
const SPOOL_BYTES: usize = 256 << 10;

/// Rewrites the parts of a list. Each row keeps its time and program of embedding.
pub(crate) async fn rewrite(results: Results<'_>, list: Rewrite) -> Result<Report> {
    let Results { store, bucket, card } = results;
    let object = |part: &PartToRead| Ok((list.part(&card.id, &part.name)?.embeddings_key(), part.size_bytes));
    let objects: Vec<_> = list.parts.iter().map(object).collect::<Result<_>>()?;
    let prefetcher = Prefetcher::fetch(store, bucket, objects);
    let (store, bucket, card) = (store.clone(), bucket.to_owned(), card.clone());
    run_blocking(move || {
        let mut report = Report::default();
        let rows = read(prefetcher, &card, &list, &mut report)?;
        let results = Results { store: &store, bucket: &bucket, card: &card };
        write(results, &list, rows, &mut report)?;
        Ok(report)
    })
    .await
}

/// Reads the current rows of the parts.
fn read(
    mut prefetcher: Prefetcher,
    card: &ModelCard,
    list: &Rewrite,
    report: &mut Report,
) -> Result<SortedRows> {
    let mut spool = Spool::new(card.dimension)?;
    for part in &list.parts {
        let reader = PartReader::new(list.part(&card.id, &part.name)?.embeddings_key(), prefetcher.next()?);
        // Another network under the same model id would mix its embeddings in.
        reader.check_model(card)?;
        spool.add_part(&reader, &part.dead)?;
        report.counts.add("parts_read", 1);
        report.counts.add("bytes_read", part.size_bytes);
    }
    spool.finish()
}

/// Writes the rows into the number of parts that the list requests.
fn write(results: Results<'_>, list: &Rewrite, mut rows: SortedRows, report: &mut Report) -> Result<()> {
    let Results { store, bucket, card } = results;
    let replaces: Vec<_> = list.replaces.iter().filter_map(|name| PartName::parse(name)).collect();
    let into = usize::try_from(list.into).unwrap_or(1).max(1);
    let total = rows.len();
    let rows_per_part = total.div_ceil(into).max(1);
    // Without current rows an empty part is written, because only a part can record which parts it
    // replaces.
    for _ in 0..total.div_ceil(rows_per_part).max(1) {
        let (name, bytes) = rows.next_part(rows_per_part, card, &replaces)?;
        let part = Part { name, ..list.part(&card.id, &list.parts[0].name)? };
        report.counts.add("bytes_written", bytes.len() as u64);
        report.counts.add("parts_written", 1);
        // A part that exists already has the same rows, and replaces the same parts: its name is a
        // digest of both.
        block_on(store.put_if_absent(bucket, &part.embeddings_key(), table::MEDIA_TYPE, bytes))?;
    }
    report.counts.add("rows", total as u64);
    Ok(())
}

/// Collects rows in the order of reading. Their embeddings go to a temporary file.
struct Spool {
    file: BufWriter<File>,
    /// The rows without embeddings, each with the index of its embedding in the file.
    rows: Vec<(Row, u64)>,
    /// One embedding as bytes, reused for each row.
    buffer: Vec<u8>,
}

impl Spool {
    fn new(dimension: usize) -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::temporary)?;
        Ok(Self {
            file: BufWriter::with_capacity(SPOOL_BYTES, file),
            rows: Vec::new(),
            buffer: vec![0; size_of::<f32>() * dimension],
        })
    }

    /// Adds the current rows of a part.
    fn add_part(&mut self, part: &PartReader, dead: &[u32]) -> Result<()> {
        let mut index = 0;
        for batch in part.row_batches()? {
            for row in batch? {
                if dead.binary_search(&index).is_err() {
                    self.add_row(part, row)?;
                }
                index += 1;
            }
        }
        Ok(())
    }

    fn add_row(&mut self, part: &PartReader, mut row: Row) -> Result<()> {
        // Taken out of the row, which stays in memory.
        let embedding = std::mem::take(&mut row.embedding);
        let (found, expected) = (embedding.len(), self.buffer.len() / size_of::<f32>());
        if found != expected {
            return Err(part.broken(&format!(
                "an embedding has {found} values, but the model's dimension is {expected}"
            )));
        }
        for (bytes, value) in self.buffer.as_chunks_mut().0.iter_mut().zip(&embedding) {
            *bytes = value.to_le_bytes();
        }
        self.file.write_all(&self.buffer).map_err(Error::temporary)?;
        self.rows.push((row, self.rows.len() as u64));
        Ok(())
    }

    /// Sorts the rows.
    fn finish(self) -> Result<SortedRows> {
        let Self { file, mut rows, buffer } = self;
        let file = file.into_inner().map_err(|error| error.into_error());
        let file = file.map_err(Error::temporary)?;
        rows.sort_by(|(a, _), (b, _)| {
            let by_key = (&a.photo.bucket, &a.photo.key).cmp(&(&b.photo.bucket, &b.photo.key));
            // Rows with the same key need a fixed order too: the same rows must give the same part,
            // byte for byte. The id is computed only for them, because it is a digest.
            let tie_break = |row: &Row| (row.photo.last_modified, row.embedded_at, row.photo.id());
            by_key.then_with(|| tie_break(a).cmp(&tie_break(b)))
        });
        Ok(SortedRows { file, rows: rows.into_iter(), buffer })
    }
}

/// Yields rows in the order of buckets and keys.
struct SortedRows {
    file: File,
    /// The rows without embeddings, each with the index of its embedding in the file.
    rows: std::vec::IntoIter<(Row, u64)>,
    /// One embedding as bytes, reused for each row.
    buffer: Vec<u8>,
}

impl SortedRows {
    /// Returns the number of remaining rows.
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// Encodes the next rows, at most `count`, as a part. Returns the part's name and bytes.
    fn next_part(
        &mut self,
        count: usize,
        card: &ModelCard,
        replaces: &[PartName],
    ) -> Result<(PartName, Vec<u8>)> {
        let mut remaining = count.min(self.len());
        let rows = self.rows.as_slice()[..remaining].iter();
        let versions = rows.map(|(row, _)| (row.photo.id(), row.photo.last_modified));
        let name = PartName::of_replacement(versions, replaces);
        let mut writer = PartWriter::new(card, replaces)?;
        while remaining > 0 {
            let rows = self.next_rows(remaining.min(BATCH_ROWS))?;
            writer.write(&rows, card)?;
            remaining -= rows.len();
        }
        Ok((name, writer.finish()?))
    }

    /// Returns the next rows with their embeddings.
    fn next_rows(&mut self, count: usize) -> Result<Vec<Row>> {
        let Self { file, rows, buffer } = self;
        let with_embedding = |(row, index): (Row, u64)| {
            let start = SeekFrom::Start(index * buffer.len() as u64);
            file.seek(start).and_then(|_| file.read_exact(buffer)).map_err(Error::temporary)?;
            let embedding = buffer.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok(Row { embedding, ..row })
        };
        rows.take(count).map(with_embedding).collect()
    }
}
