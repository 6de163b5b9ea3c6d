//! Decodes a part: all columns, the key columns, or the embeddings.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::column_chunks::ColumnChunks;
use super::damage::{caught, caught_items};
use super::schema::{MODEL_SHA256_KEY, REPLACES_KEY, Row, SCHEMA, from_micros};
use crate::contract::layout::PartName;
use crate::contract::model_card::ModelCard;
use crate::contract::photo::Photo;
use crate::error::{Error, Result};
use crate::s3::Store;

/// The maximum rows that are decoded together. With 1280 dimensions, that is 5 MB of embeddings.
const BATCH_ROWS: usize = 1024;

/// The columns of [`KeyColumns`], in the order in which [`KeyColumns::iter`] reads them.
const KEY_COLUMNS: [&str; 6] = ["photo_id", "bucket", "key", "label", "last_modified", "embedded_at"];

/// The columns that decide which rows are current, for a batch of rows.
#[derive(Debug, Clone)]
pub struct KeyColumns(RecordBatch);

/// The key columns of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRow<'a> {
    /// The photo's id, as 32 hex digits.
    pub photo_id: &'a str,
    /// The photo's bucket.
    pub bucket: &'a str,
    /// The photo's key, decoded.
    pub key: &'a str,
    /// The photo's last-modified time, in microseconds since 1970.
    pub last_modified: i64,
    /// The time of the embedding, in microseconds since 1970.
    pub embedded_at: i64,
    /// The name of the photo's parent folder, if it has a label.
    pub label: Option<&'a str>,
}

impl KeyColumns {
    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Returns whether the batch has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over the rows in the order of the part.
    pub fn iter(&self) -> impl Iterator<Item = KeyRow<'_>> {
        let text = |column: usize| self.0.column(column).as_string::<i32>();
        let time = |column: usize| self.0.column(column).as_primitive::<TimestampMicrosecondType>();
        let (ids, buckets, keys, labels) = (text(0), text(1), text(2), text(3));
        let (modified, embedded) = (time(4), time(5));
        (0..self.len()).map(move |row| KeyRow {
            photo_id: ids.value(row),
            bucket: buckets.value(row),
            key: keys.value(row),
            label: labels.is_valid(row).then(|| labels.value(row)),
            last_modified: modified.value(row),
            embedded_at: embedded.value(row),
        })
    }
}

/// A part in memory, or as much of it as was fetched.
#[derive(Debug, Clone)]
pub struct PartReader {
    object: String,
    chunks: ColumnChunks,
}

impl PartReader {
    /// Wraps the bytes of a part. `object` names it in errors.
    #[must_use]
    pub fn new(object: impl Into<String>, bytes: Bytes) -> Self {
        Self { object: object.into(), chunks: ColumnChunks::whole(bytes) }
    }

    /// Fetches the bytes of a part that [`PartReader::keys`] and [`PartReader::metadata`] need, and
    /// no others. `size_bytes` is the size of the whole object.
    ///
    /// # Errors
    /// As [`Store::get`], or [`Error::Schema`] when the object is not a part.
    pub async fn open_keys(store: &Store, bucket: &str, object: &str, size_bytes: u64) -> Result<Self> {
        let chunks = ColumnChunks::fetch_columns(store, bucket, object, size_bytes, &KEY_COLUMNS).await?;
        Ok(Self { object: object.to_owned(), chunks })
    }

    /// Decodes the key columns, batch by batch.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are not a part. Each item may fail the same way.
    pub fn keys(&self) -> Result<impl Iterator<Item = Result<KeyColumns>>> {
        let batches = self.batches(&KEY_COLUMNS)?;
        Ok(batches.map(|batch| batch.map(KeyColumns)))
    }

    /// Decodes the embeddings, batch by batch. A batch is the concatenation of its rows, with
    /// `dimension` numbers each.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are not a part, or a part of another dimension. Each item
    /// may fail the same way.
    pub fn embeddings(&self, dimension: usize) -> Result<impl Iterator<Item = Result<Vec<f32>>>> {
        let batches = self.batches(&["embedding"])?;
        Ok(batches
            .map(move |batch| flatten_embeddings(&batch?, dimension).map_err(Error::schema(&self.object))))
    }

    /// Returns a value of the key-value metadata.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are not a part.
    pub fn metadata(&self, key: &str) -> Result<Option<String>> {
        let builder = self.builder()?;
        let pairs = builder.metadata().file_metadata().key_value_metadata();
        Ok(pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == key)?.value.clone()))
    }

    /// Returns the names of the parts that this one replaces.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are not a part.
    pub fn replaces(&self) -> Result<Vec<PartName>> {
        let names = self.metadata(REPLACES_KEY)?.unwrap_or_default();
        Ok(names.split(',').filter_map(PartName::parse).collect())
    }

    /// Decodes all columns of all rows.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are not a part.
    pub fn rows(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for batch in self.row_batches()? {
            rows.extend(batch?);
        }
        Ok(rows)
    }

    /// Decodes all columns, batch by batch, in the order of the part.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are not a part. Each item may fail the same way.
    pub fn row_batches(&self) -> Result<impl Iterator<Item = Result<Vec<Row>>>> {
        let names: Vec<_> = SCHEMA.fields().iter().map(|field| field.name().as_str()).collect();
        Ok(self.batches(&names)?.map(|batch| {
            let batch = batch?;
            let rows = (0..batch.num_rows()).map(|row| decode_row(&batch, row));
            rows.collect::<Option<_>>().ok_or_else(|| self.broken("a timestamp is out of range"))
        }))
    }

    /// Checks that the part's rows come from the network of this card. Embeddings of different
    /// networks must not be mixed, even under the same model id.
    ///
    /// # Errors
    /// [`Error::Schema`] with both checksums.
    pub fn check_model(&self, card: &ModelCard) -> Result<()> {
        let part_sha256 = self.metadata(MODEL_SHA256_KEY)?;
        if part_sha256.as_deref() == Some(&card.file.sha256) {
            return Ok(());
        }
        let (id, sha256) = (&card.id, &card.file.sha256);
        Err(self.broken(&format!(
            "its rows are from another network, which needs another id: its sha256 is {}, \
             that of the card {id} is {sha256}",
            part_sha256.unwrap_or_default()
        )))
    }

    /// Creates an error that names this part.
    #[must_use]
    pub fn broken(&self, reason: &str) -> Error {
        Error::Schema { object: self.object.clone(), reason: reason.to_owned() }
    }

    fn builder(&self) -> Result<ParquetRecordBatchReaderBuilder<ColumnChunks>> {
        // The types come from the Parquet schema alone, so they do not depend on the program that
        // wrote the part.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        caught(&self.object, || {
            ParquetRecordBatchReaderBuilder::try_new_with_options(self.chunks.clone(), options)
                .map_err(Error::schema(&self.object))
        })
    }

    /// Decodes the named columns, in the order of the names and with the types of the schema.
    fn batches(&self, names: &[&str]) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<'_>> {
        let builder = self.builder()?;
        let fields: Vec<_> =
            names.iter().filter_map(|name| SCHEMA.field_with_name(name).ok()).cloned().collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        self.check_types(builder.schema(), &schema)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
        let builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
        let reader = caught(&self.object, || builder.build().map_err(Error::schema(&self.object)))?;
        let batches = reader.map(move |batch| {
            let batch = batch.map_err(Error::schema(&self.object))?;
            // The reader returns columns in the order of the file, so they are looked up by name.
            let columns =
                schema.fields().iter().filter_map(|field| batch.column_by_name(field.name()).cloned());
            RecordBatch::try_new(Arc::clone(&schema), columns.collect()).map_err(Error::schema(&self.object))
        });
        Ok(caught_items(&self.object, batches))
    }

    /// Checks that the part has the columns of `expected`, with the same types.
    fn check_types(&self, found: &Schema, expected: &Schema) -> Result<()> {
        for field in expected.fields() {
            let (name, expected) = (field.name(), field.data_type());
            let found = found.field_with_name(name).map_err(Error::schema(&self.object))?.data_type();
            if !found.equals_datatype(expected) {
                return Err(self.broken(&format!("column {name} has the type {found}; expected {expected}")));
            }
        }
        Ok(())
    }
}

/// Concatenates the embeddings of a batch. Fails if one does not have `dimension` numbers.
fn flatten_embeddings(batch: &RecordBatch, dimension: usize) -> Result<Vec<f32>, String> {
    let lists = batch.column(0).as_list::<i32>();
    let offsets = lists.value_offsets();
    if let Some(wrong) = offsets.windows(2).map(|pair| pair[1] - pair[0]).find(|&n| n as usize != dimension) {
        return Err(format!("an embedding has {wrong} numbers, but the model's dimension is {dimension}"));
    }
    // The lists follow each other without gaps, so the values from the first offset to the last are
    // their concatenation.
    let values = lists.values().as_primitive::<Float32Type>().values();
    Ok(values[offsets[0] as usize..offsets[batch.num_rows()] as usize].to_vec())
}

/// Decodes a row of a batch with all columns; `None` if a timestamp is out of range.
fn decode_row(batch: &RecordBatch, row: usize) -> Option<Row> {
    // The column numbers are those of `SCHEMA`.
    let text = |column: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
    let time = |column: usize| {
        let micros = batch.column(column).as_primitive::<TimestampMicrosecondType>().value(row);
        from_micros(micros)
    };
    let pixels = |column: usize| batch.column(column).as_primitive::<Int32Type>().value(row).unsigned_abs();
    let embedding = batch.column(9).as_list::<i32>().value(row);
    Some(Row {
        photo: Photo {
            bucket: text(1),
            key: text(2),
            etag: text(3),
            size_bytes: batch.column(5).as_primitive::<Int64Type>().value(row).unsigned_abs(),
            last_modified: time(6)?,
        },
        width: pixels(7),
        height: pixels(8),
        embedding: embedding.as_primitive::<Float32Type>().values().to_vec(),
        embedded_at: time(10)?,
        made_by: text(11),
    })
}

#[cfg(test)]
mod tests {
    use super::super::part_writer::{PartWriter, encode, part_name};
    use super::super::schema::{MODEL_KEY, ROW_GROUP_ROWS, VERSION_KEY};
    use super::*;
    use crate::contract::model_card::DEFAULT_MODEL;
    use arrow::datatypes::DataType;
    use proptest::prelude::*;
    use time::OffsetDateTime;

    fn row(key: &str, number: u32) -> Row {
        Row {
            photo: Photo {
                bucket: "photos".into(),
                key: key.into(),
                etag: format!("{number:032x}"),
                size_bytes: 5_000_000_000,
                last_modified: OffsetDateTime::from_unix_timestamp(1_790_000_000 + i64::from(number))
                    .unwrap(),
            },
            width: 100,
            height: 50 + number,
            embedding: (0..1280).map(|i| (i * number) as f32 / 7.0).collect(),
            embedded_at: OffsetDateTime::from_unix_timestamp_nanos(1_790_000_000_123_456_000).unwrap(),
            made_by: "fruitvec test".into(),
        }
    }

    fn card() -> ModelCard {
        ModelCard::find(DEFAULT_MODEL, None).unwrap()
    }

    /// Encodes rows. Returns them in the order of the part.
    fn encoded(mut rows: Vec<Row>) -> (Vec<Row>, PartReader) {
        let bytes = encode(&mut rows, &card()).unwrap();
        (rows, PartReader::new("part", bytes.into()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn rows_are_read_back_unchanged_and_sorted_by_key(keys in prop::collection::vec("\\PC{0,20}", 1..20)) {
            let rows = keys.iter().zip(0..).map(|(key, i)| row(key, i)).collect();
            let (sorted, part) = encoded(rows);
            prop_assert!(sorted.is_sorted_by_key(|row| row.photo.key.clone()));
            prop_assert_eq!(part.rows().unwrap(), sorted);
        }
    }

    #[test]
    fn keys_and_embeddings_can_be_read_alone() {
        let (rows, part) = encoded(vec![row("photos/Kiwi/b.jpg", 2), row("a.jpg", 1)]);
        let keys: Vec<KeyColumns> = part.keys().unwrap().map(|keys| keys.unwrap()).collect();
        let keys: Vec<KeyRow> = keys.iter().flat_map(KeyColumns::iter).collect();
        assert_eq!(keys[0].label, None);
        assert_eq!(keys[1].label, Some("Kiwi"));
        assert_eq!(keys[1].photo_id, rows[1].photo.id().to_string());
        assert_eq!(keys[1].embedded_at, 1_790_000_000_123_456);
        let embeddings: Vec<f32> = part.embeddings(1280).unwrap().flat_map(|batch| batch.unwrap()).collect();
        assert_eq!(embeddings, [&rows[0].embedding[..], &rows[1].embedding].concat());
    }

    #[test]
    fn a_row_group_has_at_most_8192_rows() {
        let mut small = card();
        small.dimension = 1;
        let mut rows: Vec<Row> = (0..ROW_GROUP_ROWS as u32 + 1).map(|i| row("k", i)).collect();
        rows.iter_mut().for_each(|row| row.embedding.truncate(1));
        let part = PartReader::new("part", encode(&mut rows, &small).unwrap().into());
        assert_eq!(part.builder().unwrap().metadata().num_row_groups(), 2);
        assert_eq!(part.rows().unwrap().len(), rows.len());
    }

    #[test]
    fn the_metadata_name_the_version_and_the_model() {
        let (_, part) = encoded(vec![row("a", 1)]);
        assert_eq!(part.metadata(VERSION_KEY).unwrap().as_deref(), Some("1"));
        assert_eq!(part.metadata(MODEL_KEY).unwrap().as_deref(), Some(DEFAULT_MODEL));
        assert_eq!(part.metadata(MODEL_SHA256_KEY).unwrap(), Some(card().file.sha256));
    }

    #[test]
    fn a_part_lists_the_parts_that_it_replaces() {
        let (_, part) = encoded(vec![row("a", 1)]);
        assert_eq!(part.replaces().unwrap(), []);
        let replaced = [part_name(&[row("a", 1)]), part_name(&[row("b", 2)])];
        let writer = PartWriter::new(&card(), &replaced).unwrap();
        let empty = PartReader::new("part", writer.finish().unwrap().into());
        assert_eq!(empty.replaces().unwrap(), replaced);
        assert_eq!(empty.rows().unwrap(), []);
    }

    #[test]
    fn a_wrong_dimension_is_rejected_by_the_writer_and_the_reader() {
        let mut rows = vec![row("a", 1)];
        rows[0].embedding.pop();
        assert!(encode(&mut rows, &card()).is_err());
        let (_, part) = encoded(vec![row("a", 1)]);
        let error = part.embeddings(1024).unwrap().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("1280") && error.contains("1024"), "{error}");
    }

    #[test]
    fn an_error_about_invalid_bytes_names_the_object() {
        let error = PartReader::new("embeddings/x.parquet", Bytes::from_static(b"PAR1")).rows().unwrap_err();
        assert!(error.to_string().starts_with("embeddings/x.parquet: "), "{error}");
    }
    #[test]
    fn a_part_of_another_network_is_rejected_with_both_checksums() {
        let (_, part) = encoded(vec![row("a", 1)]);
        part.check_model(&card()).unwrap();
        let mut other = card();
        other.file.sha256 = "0".repeat(64);
        let error = part.check_model(&other).unwrap_err().to_string();
        assert!(error.contains(&card().file.sha256) && error.contains(&other.file.sha256), "{error}");
    }

    #[test]
    fn a_column_of_another_type_is_named() {
        let (_, part) = encoded(vec![row("a", 1)]);
        let found = Schema::new(vec![arrow::datatypes::Field::new("key", DataType::Binary, false)]);
        let error = part.check_types(&found, &SCHEMA.project(&[2]).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "part: column key has the type Binary; expected Utf8");
        assert!(part.check_types(&Schema::empty(), &SCHEMA).is_err(), "a column is missing");
    }
}
