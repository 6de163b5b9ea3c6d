//! Compaction at work: parts are read one after the other, the next being fetched meanwhile, and their rows written again in the order of
//! keys.
//!
//! Memory is bounded, whatever the number of parts: few parts are held at a time, their embeddings go to a temporary file, and only what else
//! a row has stays until all parts are read. Then rows are written, a part is put as soon as it is full, and the next begun.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use crate::ahead::Ahead;
use crate::apart::{apart, wait};
use crate::compact::{Reading, Rewrite};
use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::outcome::Report;
use crate::partition::{Part, PartName};
use crate::store::Store;
use crate::table::{self, Encoded, PartWriter, Row};

/// Rows that are written at once: 5 MB of embeddings of 1280 numbers.
const ROWS: usize = 1024;
/// Bytes that go to the temporary file at once: fifty embeddings of 1280 numbers.
const SPOOL_BYTES: usize = 256 << 10;

/// Writes the parts of a list anew. Rows keep when and by whom they were made.
pub(crate) async fn rewrite(
    store: &Store,
    results_bucket: &str,
    card: &ModelCard,
    list: Rewrite,
) -> Result<Report> {
    let object =
        |reading: &Reading| Ok((list.part(&card.id, &reading.name)?.embeddings_key(), reading.size_bytes));
    let objects: Vec<_> = list.parts.iter().map(object).collect::<Result<_>>()?;
    let ahead = Ahead::fetch(store, results_bucket, objects);
    let (store, results_bucket, card) = (store.clone(), results_bucket.to_owned(), card.clone());
    apart(move || {
        let mut report = Report::default();
        let rows = read(ahead, &card, &list, &mut report)?;
        write(&store, &results_bucket, &card, &list, rows, &mut report)?;
        Ok(report)
    })
    .await
}

/// Reads the rows that hold.
fn read(mut ahead: Ahead, card: &ModelCard, list: &Rewrite, report: &mut Report) -> Result<Sorted> {
    let mut spool = Spool::new(card.dimension)?;
    for reading in &list.parts {
        let part = Encoded::new(list.part(&card.id, &reading.name)?.embeddings_key(), ahead.next()?);
        part.check_model(card)?;
        spool.take(&part, reading)?;
        report.counts.add("parts_read", 1);
        report.counts.add("bytes_read", reading.size_bytes);
    }
    spool.finish()
}

/// Writes them into as many parts as the list says.
fn write(
    store: &Store,
    results_bucket: &str,
    card: &ModelCard,
    list: &Rewrite,
    mut rows: Sorted,
    report: &mut Report,
) -> Result<()> {
    let replaces: Vec<_> = list.replaces.iter().filter_map(|name| PartName::parse(name)).collect();
    let into = usize::try_from(list.into).unwrap_or(1).max(1);
    let all = rows.len();
    let rows_each = all.div_ceil(into).max(1);
    // A day of which nothing holds still has a replacement: a part without rows.
    for _ in 0..all.div_ceil(rows_each).max(1) {
        let (name, bytes) = rows.part(rows_each, card, &replaces)?;
        let part = Part { name, ..list.part(&card.id, &list.parts[0].name)? };
        report.counts.add("bytes_written", bytes.len() as u64);
        report.counts.add("parts_written", 1);
        // One that is there already is the same: it has the same rows, and replaces the same parts.
        wait(store.put_if_absent(results_bucket, &part.embeddings_key(), table::MEDIA_TYPE, bytes))?;
    }
    report.counts.add("rows", all as u64);
    Ok(())
}

/// The embeddings of rows, one after the other in a temporary file.
struct Spool {
    file: BufWriter<File>,
    rows: Vec<(Row, u64)>,
    /// Those of one embedding, on their way to the file.
    bytes: Vec<u8>,
}

impl Spool {
    fn new(dimension: usize) -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::temporary)?;
        Ok(Self {
            file: BufWriter::with_capacity(SPOOL_BYTES, file),
            rows: Vec::new(),
            bytes: vec![0; size_of::<f32>() * dimension],
        })
    }

    /// Takes the rows of a part that hold.
    fn take(&mut self, part: &Encoded, reading: &Reading) -> Result<()> {
        let mut number = 0;
        for some in part.some_rows()? {
            for row in some? {
                if reading.dead.binary_search(&number).is_err() {
                    self.push(part, row)?;
                }
                number += 1;
            }
        }
        Ok(())
    }

    fn push(&mut self, part: &Encoded, mut row: Row) -> Result<()> {
        let embedding = std::mem::take(&mut row.embedding);
        let (found, said) = (embedding.len(), self.bytes.len() / size_of::<f32>());
        if found != said {
            return Err(
                part.broken(&format!("an embedding has {found} numbers, the model's dimension is {said}"))
            );
        }
        for (bytes, number) in self.bytes.as_chunks_mut().0.iter_mut().zip(&embedding) {
            *bytes = number.to_le_bytes();
        }
        self.file.write_all(&self.bytes).map_err(Error::temporary)?;
        self.rows.push((row, self.rows.len() as u64));
        Ok(())
    }

    /// All rows, sorted as a part has them.
    fn finish(self) -> Result<Sorted> {
        let Self { file, mut rows, bytes } = self;
        let file = file.into_inner().map_err(|error| error.into_error());
        let file = file.map_err(Error::temporary)?;
        // The rest of the order makes twice the same rows twice the same part.
        rows.sort_by(|(a, _), (b, _)| {
            let place = |row: &Row| (row.photo.last_modified, row.embedded_at, row.photo.id());
            let of_keys = (&a.photo.bucket, &a.photo.key).cmp(&(&b.photo.bucket, &b.photo.key));
            // An id is a digest, and rarely needed.
            of_keys.then_with(|| place(a).cmp(&place(b)))
        });
        Ok(Sorted { file, rows: rows.into_iter(), bytes })
    }
}

/// Rows in the order of buckets and keys, which are taken out one after the other.
struct Sorted {
    file: File,
    rows: std::vec::IntoIter<(Row, u64)>,
    /// Those of one embedding, as they come from the file.
    bytes: Vec<u8>,
}

impl Sorted {
    /// How many are left.
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// The name and the bytes of a part of the next rows, at most so many.
    fn part(&mut self, count: usize, card: &ModelCard, replaces: &[PartName]) -> Result<(PartName, Vec<u8>)> {
        let mut left = count.min(self.len());
        let of_this = self.rows.as_slice()[..left].iter();
        let versions = of_this.map(|(row, _)| (row.photo.id(), row.photo.last_modified));
        let name = PartName::of_replacement(versions, replaces);
        let mut writer = PartWriter::new(card, replaces)?;
        while left > 0 {
            let rows = self.next_rows(left.min(ROWS))?;
            writer.write(&rows, card)?;
            left -= rows.len();
        }
        Ok((name, writer.finish()?))
    }

    /// The next rows with their embeddings.
    fn next_rows(&mut self, count: usize) -> Result<Vec<Row>> {
        let Self { file, rows, bytes } = self;
        let complete = |(row, place): (Row, u64)| {
            let start = SeekFrom::Start(place * bytes.len() as u64);
            file.seek(start).and_then(|_| file.read_exact(bytes)).map_err(Error::temporary)?;
            let embedding = bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
            Ok(Row { embedding, ..row })
        };
        rows.take(count).map(complete).collect()
    }
}
