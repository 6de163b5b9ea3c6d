//! Compaction at work: parts are read one after the other, the next being fetched meanwhile, and their rows written again in the order of
//! keys.
//!
//! Memory is bounded, whatever the number of parts: few parts are held at a time, their embeddings go to a temporary file, and only what else
//! a row has stays until all parts are read. Then rows are written, a part is put as soon as it is full, and the next begun.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use crate::ahead::{Ahead, apart, wait};
use crate::compact::{Reading, Rewrite};
use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::outcome::Report;
use crate::partition::{Part, PartName};
use crate::store::Store;
use crate::table::{self, Encoded, PartWriter, Row};

/// Rows that are written at once: 5 MB of embeddings of 1280 numbers.
const ROWS: usize = 1024;

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
    let rows_each = rows.len().div_ceil(into).max(1);
    // A day of which nothing holds still has a replacement: a part without rows.
    for number in 0..rows.len().div_ceil(rows_each).max(1) {
        let (name, bytes) = rows.part(number * rows_each, rows_each, card, &replaces)?;
        let part = Part { name, ..list.part(&card.id, &list.parts[0].name)? };
        report.counts.add("bytes_written", bytes.len() as u64);
        report.counts.add("parts_written", 1);
        // One that is there already is the same: it has the same rows, and replaces the same parts.
        wait(store.put_if_absent(results_bucket, &part.embeddings_key(), table::MEDIA_TYPE, bytes))?;
    }
    report.counts.add("rows", rows.len() as u64);
    Ok(())
}

/// The embeddings of rows, one after the other in a temporary file.
struct Spool {
    file: BufWriter<File>,
    rows: Vec<(Row, u64)>,
    dimension: usize,
}

impl Spool {
    fn new(dimension: usize) -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::file(std::env::temp_dir()))?;
        Ok(Self { file: BufWriter::new(file), rows: Vec::new(), dimension })
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
        let (found, said) = (embedding.len(), self.dimension);
        if found != said {
            return Err(
                part.broken(&format!("an embedding has {found} numbers, the model's dimension is {said}"))
            );
        }
        for number in embedding {
            self.file.write_all(&number.to_le_bytes()).map_err(Error::file(std::env::temp_dir()))?;
        }
        self.rows.push((row, self.rows.len() as u64));
        Ok(())
    }

    /// All rows, sorted as a part has them.
    fn finish(self) -> Result<Sorted> {
        let Self { file, mut rows, dimension } = self;
        let file = file.into_inner().map_err(|error| error.into_error());
        let file = file.map_err(Error::file(std::env::temp_dir()))?;
        // The rest of the order makes twice the same rows twice the same part.
        rows.sort_by(|(a, _), (b, _)| {
            let place = |row: &Row| (row.photo.last_modified, row.embedded_at, row.photo.id());
            (&a.photo.bucket, &a.photo.key, place(a)).cmp(&(&b.photo.bucket, &b.photo.key, place(b)))
        });
        Ok(Sorted { file, rows, dimension })
    }
}

/// Rows in the order of buckets and keys.
struct Sorted {
    file: File,
    rows: Vec<(Row, u64)>,
    dimension: usize,
}

impl Sorted {
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// The name and the bytes of a part of some of the rows.
    fn part(
        &mut self,
        from: usize,
        count: usize,
        card: &ModelCard,
        replaces: &[PartName],
    ) -> Result<(PartName, Vec<u8>)> {
        let until = (from + count).min(self.rows.len());
        let versions =
            self.rows[from..until].iter().map(|(row, _)| (row.photo.id(), row.photo.last_modified));
        let name = PartName::of_replacement(versions, replaces);
        let mut writer = PartWriter::new(card, replaces)?;
        for start in (from..until).step_by(ROWS) {
            let rows =
                (start..until.min(start + ROWS)).map(|index| self.row(index)).collect::<Result<Vec<_>>>()?;
            writer.write(&rows, card)?;
        }
        Ok((name, writer.finish()?))
    }

    /// A row with its embedding.
    fn row(&mut self, index: usize) -> Result<Row> {
        let (row, place) = &self.rows[index];
        let mut bytes = vec![0; size_of::<f32>() * self.dimension];
        let start = SeekFrom::Start(place * bytes.len() as u64);
        let read = self.file.seek(start).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(Error::file(std::env::temp_dir()))?;
        let embedding = bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
        Ok(Row { embedding, ..row.clone() })
    }
}
