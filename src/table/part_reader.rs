//! The table of embeddings: its schema, and rows to the bytes of a Parquet part and back.
//!
//! Plain and dictionary encodings, zstd, microseconds and signed integers only: what Spark 3.5, Athena, `DuckDB`, polars and
//! pandas all read. Format: <https://parquet.apache.org/docs/file-format/>.

use std::sync::{Arc, LazyLock};

use arrow::array::AsArray;
use arrow::array::{
    Array, ArrayRef, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::partition::PartName;
use crate::photo::Photo;
use crate::pieces::Pieces;
use crate::store::Store;

/// The version of the schema, as it stands in the metadata of every part.
pub const VERSION: &str = "1";
/// Rows in a row group at most: 40 MB of embeddings of 1280 numbers.
pub const ROW_GROUP_ROWS: usize = 8192;
/// Rows that are read at once: 5 MB of embeddings of 1280 numbers.
const BATCH_ROWS: usize = 1024;
/// The media type of a Parquet file, as registered with IANA.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.apache.parquet";
/// Metadata key of [`VERSION`].
pub const VERSION_KEY: &str = "fruitvec.version";
/// Metadata key of the model's id.
pub const MODEL_KEY: &str = "fruitvec.model";
/// Metadata key of the sha256 of the model's file.
pub const MODEL_SHA256_KEY: &str = "fruitvec.model_sha256";

/// Metadata key of the names of the parts, of the same day, in whose place a compaction wrote this one; commas between them. It may be
/// missing.
pub const REPLACES_KEY: &str = "fruitvec.replaces";

/// One row: a photo and its embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The object that was embedded.
    pub photo: Photo,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
    /// As many finite numbers as the card's dimension.
    pub embedding: Vec<f32>,
    /// When.
    pub embedded_at: OffsetDateTime,
    /// By which version and engine.
    pub made_by: String,
}

/// The name of the part that holds these rows.
#[must_use]
pub fn part_name(rows: &[Row]) -> PartName {
    PartName::of(rows.iter().map(|row| (row.photo.id(), row.photo.last_modified)))
}

/// The bytes of the part that holds these rows. It sorts them by bucket and key.
///
/// # Errors
/// [`Error::Schema`] when an embedding has not the card's dimension.
pub fn encode(rows: &mut [Row], card: &ModelCard) -> Result<Vec<u8>> {
    rows.sort_by(|a, b| (&a.photo.bucket, &a.photo.key).cmp(&(&b.photo.bucket, &b.photo.key)));
    let mut part = PartWriter::new(card, &[])?;
    for group in rows.chunks(ROW_GROUP_ROWS) {
        part.write(group, card)?;
    }
    part.finish()
}

/// A part that is written row after row.
pub(crate) struct PartWriter(ArrowWriter<Vec<u8>>);

impl PartWriter {
    /// A part in whose metadata it says which parts it replaces.
    pub(crate) fn new(card: &ModelCard, replaces: &[PartName]) -> Result<Self> {
        let properties = properties(card, replaces)?;
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&SCHEMA), options).map(Self).map_err(broken)
    }

    /// Adds rows, which must come in the order of buckets and keys.
    pub(crate) fn write(&mut self, rows: &[Row], card: &ModelCard) -> Result<()> {
        self.0.write(&batch(rows, card)?).map_err(broken)
    }

    /// The bytes of the part.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        self.0.into_inner().map_err(broken)
    }
}

/// The key columns of a part: what decides which rows are current, without the embeddings.
#[derive(Debug, Clone)]
pub struct Keys(RecordBatch);

/// The key columns of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// 32 hex digits.
    pub photo_id: &'a str,
    /// The photo's bucket.
    pub bucket: &'a str,
    /// The photo's key, decoded.
    pub key: &'a str,
    /// Microseconds since 1970.
    pub last_modified: i64,
    /// Microseconds since 1970.
    pub embedded_at: i64,
    /// The name of the parent folder.
    pub label: Option<&'a str>,
}

const KEY_COLUMNS: [&str; 6] = ["photo_id", "bucket", "key", "label", "last_modified", "embedded_at"];

impl Keys {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, in the order of the part.
    pub fn iter(&self) -> impl Iterator<Item = Key<'_>> {
        let text = |column: usize| self.0.column(column).as_string::<i32>();
        let time = |column: usize| self.0.column(column).as_primitive::<TimestampMicrosecondType>();
        let (ids, buckets, keys, labels) = (text(0), text(1), text(2), text(3));
        let (modified, embedded) = (time(4), time(5));
        (0..self.len()).map(move |row| Key {
            photo_id: ids.value(row),
            bucket: buckets.value(row),
            key: keys.value(row),
            label: labels.is_valid(row).then(|| labels.value(row)),
            last_modified: modified.value(row),
            embedded_at: embedded.value(row),
        })
    }
}

/// A part that was read: its bytes, and what they hold.
#[derive(Debug, Clone)]
pub struct Encoded {
    object: String,
    pieces: Pieces,
}

impl Encoded {
    /// The part in these bytes; `object` is named in errors.
    #[must_use]
    pub fn new(object: impl Into<String>, bytes: Bytes) -> Self {
        Self { object: object.into(), pieces: Pieces::whole(bytes) }
    }

    /// The part at this key, of so many bytes, as far as [`Encoded::keys`] and [`Encoded::metadata`] need it.
    ///
    /// # Errors
    /// As [`Store::get`]; [`Error::Schema`] when the object is no part.
    pub async fn of_keys(store: &Store, bucket: &str, object: &str, size_bytes: u64) -> Result<Self> {
        let pieces = Pieces::of_columns(store, bucket, object, size_bytes, &KEY_COLUMNS).await?;
        Ok(Self { object: object.to_owned(), pieces })
    }

    /// The key columns, row group by row group.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are no part; so says each item, too.
    pub fn keys(&self) -> Result<impl Iterator<Item = Result<Keys>>> {
        let batches = self.batches(&KEY_COLUMNS)?;
        Ok(batches.map(|batch| batch.map(Keys)))
    }

    /// The embeddings, row after row, in blocks of some rows of `dimension` numbers each.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are no part, or one of another dimension; so says each item, too.
    pub fn embeddings(&self, dimension: usize) -> Result<impl Iterator<Item = Result<Vec<f32>>>> {
        let batches = self.batches(&["embedding"])?;
        Ok(batches.map(move |batch| flat(&batch?, dimension).map_err(Error::schema(&self.object))))
    }

    /// A value of the file's key-value metadata.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are no part.
    pub fn metadata(&self, key: &str) -> Result<Option<String>> {
        let builder = self.builder()?;
        let pairs = builder.metadata().file_metadata().key_value_metadata();
        Ok(pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == key)?.value.clone()))
    }

    /// The names of the parts in whose place this one was written.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are no part.
    pub fn replaces(&self) -> Result<Vec<PartName>> {
        let names = self.metadata(REPLACES_KEY)?.unwrap_or_default();
        Ok(names.split(',').filter_map(PartName::parse).collect())
    }

    /// All columns of all rows.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are no part.
    pub fn rows(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for some in self.some_rows()? {
            rows.extend(some?);
        }
        Ok(rows)
    }

    /// All columns, some rows at a time, in the order of the part.
    ///
    /// # Errors
    /// [`Error::Schema`] when the bytes are no part; so says each item, too.
    pub fn some_rows(&self) -> Result<impl Iterator<Item = Result<Vec<Row>>>> {
        let names: Vec<_> = SCHEMA.fields().iter().map(|field| field.name().as_str()).collect();
        Ok(self.batches(&names)?.map(|batch| {
            let batch = batch?;
            let rows = (0..batch.num_rows()).map(|row| decoded(&batch, row));
            rows.collect::<Option<_>>().ok_or_else(|| self.broken("a timestamp is out of range"))
        }))
    }

    /// Refuses a part whose rows are of another network than the card's: they must not be mixed.
    ///
    /// # Errors
    /// [`Error::Schema`] with both checksums.
    pub fn check_model(&self, card: &ModelCard) -> Result<()> {
        let made_by = self.metadata(MODEL_SHA256_KEY)?;
        if made_by.as_deref() == Some(&card.file.sha256) {
            return Ok(());
        }
        let (id, sha256) = (&card.id, &card.file.sha256);
        Err(self.broken(&format!(
            "its rows are of a network with sha256 {}, the card {id} has {sha256}; another network needs another id",
            made_by.unwrap_or_default()
        )))
    }

    /// An error about this part.
    #[must_use]
    pub fn broken(&self, reason: &str) -> Error {
        Error::Schema { object: self.object.clone(), reason: reason.to_owned() }
    }

    fn builder(&self) -> Result<ParquetRecordBatchReaderBuilder<Pieces>> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ParquetRecordBatchReaderBuilder::try_new_with_options(self.pieces.clone(), options)
            .map_err(Error::schema(&self.object))
    }

    /// Batches of the named columns, in the order of the names, their types as the schema has them.
    fn batches(&self, names: &[&str]) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<'_>> {
        let builder = self.builder()?;
        let fields: Vec<_> =
            names.iter().filter_map(|name| SCHEMA.field_with_name(name).ok()).cloned().collect();
        let wanted: SchemaRef = Arc::new(Schema::new(fields));
        for field in wanted.fields() {
            let found =
                builder.schema().field_with_name(field.name()).map_err(Error::schema(&self.object))?;
            if !found.data_type().equals_datatype(field.data_type()) {
                return Err(Error::Schema {
                    object: self.object.clone(),
                    reason: format!(
                        "column {} is {}, not {}",
                        field.name(),
                        found.data_type(),
                        field.data_type()
                    ),
                });
            }
        }
        let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(Error::schema(&self.object))?;
        Ok(reader.map(move |batch| {
            let batch = batch.map_err(Error::schema(&self.object))?;
            let columns =
                wanted.fields().iter().filter_map(|field| batch.column_by_name(field.name()).cloned());
            RecordBatch::try_new(Arc::clone(&wanted), columns.collect()).map_err(Error::schema(&self.object))
        }))
    }
}

/// The column `embedding` as rows of `dimension` numbers, one after the other.
fn flat(batch: &RecordBatch, dimension: usize) -> Result<Vec<f32>, String> {
    let lists = batch.column(0).as_list::<i32>();
    let offsets = lists.value_offsets();
    if let Some(wrong) = offsets.windows(2).map(|pair| pair[1] - pair[0]).find(|&n| n as usize != dimension) {
        return Err(format!("an embedding has {wrong} numbers, the model's dimension is {dimension}"));
    }
    let values = lists.values().as_primitive::<Float32Type>().values();
    Ok(values[offsets[0] as usize..offsets[batch.num_rows()] as usize].to_vec())
}

fn decoded(batch: &RecordBatch, row: usize) -> Option<Row> {
    let text = |column: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
    let time = |column: usize| {
        let micros = batch.column(column).as_primitive::<TimestampMicrosecondType>().value(row);
        from_micros(micros)
    };
    let pixels = |column: usize| {
        batch.column(column).as_primitive::<arrow::datatypes::Int32Type>().value(row).unsigned_abs()
    };
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

/// Microseconds since 1970, as timestamps are stored.
#[must_use]
pub fn micros(time: OffsetDateTime) -> i64 {
    let micros = time.unix_timestamp_nanos() / 1000;
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// The time that so many microseconds since 1970 are, if a calendar has it.
#[must_use]
pub fn from_micros(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()
}

/// `list<element: float32 not null>`.
pub(crate) fn float_list() -> (DataType, FieldRef) {
    let element = Arc::new(Field::new("element", DataType::Float32, false));
    (DataType::List(Arc::clone(&element)), element)
}

/// `timestamp(us, UTC)`.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let required = |name, kind| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        required("photo_id", DataType::Utf8),
        required("bucket", DataType::Utf8),
        required("key", DataType::Utf8),
        required("etag", DataType::Utf8),
        Field::new("label", DataType::Utf8, true),
        required("size_bytes", DataType::Int64),
        required("last_modified", timestamp()),
        required("width", DataType::Int32),
        required("height", DataType::Int32),
        required("embedding", float_list().0),
        required("embedded_at", timestamp()),
        required("made_by", DataType::Utf8),
    ]))
});

/// What every part of ours is written with: zstd, no dictionary but for columns that repeat, who wrote it.
pub(crate) fn base_properties(card: &ModelCard) -> Result<WriterPropertiesBuilder> {
    let level = ZstdLevel::try_new(3).map_err(broken)?;
    let builder = WriterProperties::builder()
        .set_created_by(concat!("fruitvec ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled(ColumnPath::from("label"), true)
        .set_column_dictionary_enabled(ColumnPath::from("bucket"), true)
        .set_key_value_metadata(Some(metadata(card)));
    Ok(builder)
}

fn metadata(card: &ModelCard) -> Vec<KeyValue> {
    let pairs = [(VERSION_KEY, VERSION), (MODEL_KEY, &card.id), (MODEL_SHA256_KEY, &card.file.sha256)];
    pairs.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned())).into()
}

fn properties(card: &ModelCard, replaces: &[PartName]) -> Result<WriterProperties> {
    let embedding = || ColumnPath::from(["embedding", "list", "element"].map(String::from).to_vec());
    let by_key = |column| SortingColumn { column_idx: column, descending: false, nulls_first: false };
    let mut metadata = metadata(card);
    if !replaces.is_empty() {
        let names = replaces.iter().map(PartName::as_str).collect::<Vec<_>>().join(",");
        metadata.push(KeyValue::new(REPLACES_KEY.to_owned(), names));
    }
    let builder = base_properties(card)?
        .set_key_value_metadata(Some(metadata))
        .set_column_dictionary_enabled(ColumnPath::from("made_by"), true)
        .set_column_statistics_enabled(embedding(), EnabledStatistics::None)
        .set_sorting_columns(Some(vec![by_key(1), by_key(2)]));
    Ok(builder.build())
}

fn batch(rows: &[Row], card: &ModelCard) -> Result<RecordBatch> {
    let text = |value: &dyn Fn(&Row) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
    };
    let time = |value: &dyn Fn(&Row) -> OffsetDateTime| -> ArrayRef {
        let values = rows.iter().map(|row| micros(value(row)));
        Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
    };
    let pixels = |value: &dyn Fn(&Row) -> u32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| value(row).cast_signed())))
    };
    let columns: Vec<ArrayRef> = vec![
        text(&|row| row.photo.id().to_string()),
        text(&|row| row.photo.bucket.clone()),
        text(&|row| row.photo.key.clone()),
        text(&|row| row.photo.etag.clone()),
        Arc::new(rows.iter().map(|row| row.photo.label()).collect::<StringArray>()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.photo.size_bytes.cast_signed()))),
        time(&|row| row.photo.last_modified),
        pixels(&|row| row.width),
        pixels(&|row| row.height),
        lists(rows.iter().map(|row| row.embedding.as_slice()), card.dimension)?,
        time(&|row| row.embedded_at),
        text(&|row| row.made_by.clone()),
    ];
    RecordBatch::try_new(Arc::clone(&SCHEMA), columns).map_err(broken)
}

/// A library's complaint about a part that is being made.
fn broken(cause: impl std::fmt::Display) -> Error {
    Error::Schema { object: "part".into(), reason: cause.to_string() }
}

/// A column of lists of `dimension` numbers each.
pub(crate) fn lists<'a>(
    rows: impl ExactSizeIterator<Item = &'a [f32]>,
    dimension: usize,
) -> Result<ArrayRef> {
    let mut values = Vec::with_capacity(rows.len() * dimension);
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(dimension, rows.len()));
    for row in rows {
        if row.len() != dimension {
            let reason = format!("a row has {} numbers, not {dimension}", row.len());
            return Err(Error::Schema { object: "part".into(), reason });
        }
        values.extend_from_slice(row);
    }
    let (_, element) = float_list();
    Ok(Arc::new(ListArray::new(element, offsets, Arc::new(Float32Array::from(values)), None)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DEFAULT_MODEL;
    use proptest::prelude::*;

    pub(crate) fn row(key: &str, number: u32) -> Row {
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

    fn written(mut rows: Vec<Row>) -> (Vec<Row>, Encoded) {
        let bytes = encode(&mut rows, &card()).unwrap();
        (rows, Encoded::new("part", bytes.into()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn rows_come_back_as_they_were_sorted_by_key(keys in prop::collection::vec("\\PC{0,20}", 1..20)) {
            let rows = keys.iter().zip(0..).map(|(key, i)| row(key, i)).collect();
            let (sorted, part) = written(rows);
            prop_assert!(sorted.is_sorted_by_key(|row| row.photo.key.clone()));
            prop_assert_eq!(part.rows().unwrap(), sorted);
        }
    }

    #[test]
    fn keys_and_embeddings_are_read_by_themselves() {
        let (rows, part) = written(vec![row("photos/Kiwi/b.jpg", 2), row("a.jpg", 1)]);
        let keys: Vec<Keys> = part.keys().unwrap().map(|keys| keys.unwrap()).collect();
        let keys: Vec<Key> = keys.iter().flat_map(Keys::iter).collect();
        assert_eq!(keys[0].label, None);
        assert_eq!(keys[1].label, Some("Kiwi"));
        assert_eq!(keys[1].photo_id, rows[1].photo.id().to_string());
        assert_eq!(keys[1].embedded_at, 1_790_000_000_123_456);
        let embeddings: Vec<f32> = part.embeddings(1280).unwrap().flat_map(|block| block.unwrap()).collect();
        assert_eq!(embeddings, [&rows[0].embedding[..], &rows[1].embedding].concat());
    }

    #[test]
    fn a_row_group_has_at_most_8192_rows() {
        let mut small = card();
        small.dimension = 1;
        let mut rows: Vec<Row> = (0..ROW_GROUP_ROWS as u32 + 1).map(|i| row("k", i)).collect();
        rows.iter_mut().for_each(|row| row.embedding.truncate(1));
        let part = Encoded::new("part", encode(&mut rows, &small).unwrap().into());
        assert_eq!(part.builder().unwrap().metadata().num_row_groups(), 2);
        assert_eq!(part.rows().unwrap().len(), rows.len());
    }

    #[test]
    fn the_metadata_names_version_and_model() {
        let (_, part) = written(vec![row("a", 1)]);
        assert_eq!(part.metadata(VERSION_KEY).unwrap().as_deref(), Some("1"));
        assert_eq!(part.metadata(MODEL_KEY).unwrap().as_deref(), Some(DEFAULT_MODEL));
        assert_eq!(part.metadata(MODEL_SHA256_KEY).unwrap(), Some(card().file.sha256));
    }

    #[test]
    fn a_part_says_which_parts_it_replaces() {
        let (_, part) = written(vec![row("a", 1)]);
        assert_eq!(part.replaces().unwrap(), []);
        let replaced = [part_name(&[row("a", 1)]), part_name(&[row("b", 2)])];
        let writer = PartWriter::new(&card(), &replaced).unwrap();
        let empty = Encoded::new("part", writer.finish().unwrap().into());
        assert_eq!(empty.replaces().unwrap(), replaced);
        assert_eq!(empty.rows().unwrap(), []);
    }

    #[test]
    fn a_wrong_dimension_is_refused_when_written_and_when_read() {
        let mut rows = vec![row("a", 1)];
        rows[0].embedding.pop();
        assert!(encode(&mut rows, &card()).is_err());
        let (_, part) = written(vec![row("a", 1)]);
        let error = part.embeddings(1024).unwrap().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("1280") && error.contains("1024"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_part_are_named() {
        let error = Encoded::new("embeddings/x.parquet", Bytes::from_static(b"PAR1")).rows().unwrap_err();
        assert!(error.to_string().starts_with("embeddings/x.parquet: "), "{error}");
    }
}
