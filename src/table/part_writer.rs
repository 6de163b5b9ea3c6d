//! Encodes rows as a part, which is a Parquet file.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use time::OffsetDateTime;

use super::schema::{
    MODEL_KEY, MODEL_SHA256_KEY, REPLACES_KEY, ROW_GROUP_ROWS, Row, SCHEMA, VERSION, VERSION_KEY, float_list,
    micros,
};
use crate::contract::layout::PartName;
use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};

/// The indices of the columns by which a part is sorted.
const BUCKET_COLUMN: i32 = 1;
const KEY_COLUMN: i32 = 2;

/// Returns the name of the part with these rows, which depends on their photo versions only.
#[must_use]
pub fn part_name(rows: &[Row]) -> PartName {
    PartName::of(rows.iter().map(|row| (row.photo.id(), row.photo.last_modified)))
}

/// Sorts rows by bucket and key, and encodes them as a part.
///
/// # Errors
/// [`Error::Schema`] when an embedding does not have the card's dimension.
pub fn encode(rows: &mut [Row], card: &ModelCard) -> Result<Vec<u8>> {
    rows.sort_by(|a, b| (&a.photo.bucket, &a.photo.key).cmp(&(&b.photo.bucket, &b.photo.key)));
    let mut part = PartWriter::new(card, &[])?;
    for group in rows.chunks(ROW_GROUP_ROWS) {
        part.write(group, card)?;
    }
    part.finish()
}

/// Encodes a part from batches of rows.
pub(crate) struct PartWriter(ArrowWriter<Vec<u8>>);

impl PartWriter {
    /// Starts a part. Its metadata lists the parts that it replaces.
    pub(crate) fn new(card: &ModelCard, replaces: &[PartName]) -> Result<Self> {
        let properties = properties(card, replaces)?;
        // The Arrow schema is not stored: Parquet's own types express every column.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&SCHEMA), options)
            .map(Self)
            .map_err(encoding_error)
    }

    /// Adds rows. They must arrive in the order of buckets and keys, within and across calls.
    pub(crate) fn write(&mut self, rows: &[Row], card: &ModelCard) -> Result<()> {
        self.0.write(&record_batch(rows, card)?).map_err(encoding_error)
    }

    /// Returns the encoded part.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        self.0.into_inner().map_err(encoding_error)
    }
}

/// Returns the writer properties of every Parquet file that this project writes: compression,
/// dictionaries, and metadata that names the schema version and the model.
pub(crate) fn base_properties(card: &ModelCard) -> Result<WriterPropertiesBuilder> {
    let level = ZstdLevel::try_new(3).map_err(encoding_error)?;
    let builder = WriterProperties::builder()
        .set_created_by(concat!("fruitvec ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Most columns rarely repeat a value, so a dictionary would only cost time and space.
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
    let embedding = ColumnPath::from(["embedding", "list", "element"].map(String::from).to_vec());
    let ascending = |column| SortingColumn { column_idx: column, descending: false, nulls_first: false };
    let mut metadata = metadata(card);
    if !replaces.is_empty() {
        let names = replaces.iter().map(PartName::as_str).collect::<Vec<_>>().join(",");
        metadata.push(KeyValue::new(REPLACES_KEY.to_owned(), names));
    }
    let builder = base_properties(card)?
        .set_key_value_metadata(Some(metadata))
        .set_column_dictionary_enabled(ColumnPath::from("made_by"), true)
        // No reader filters by the numbers of an embedding.
        .set_column_statistics_enabled(embedding, EnabledStatistics::None)
        .set_sorting_columns(Some(vec![ascending(BUCKET_COLUMN), ascending(KEY_COLUMN)]));
    Ok(builder.build())
}

/// Converts rows to columns, in the order of the schema.
fn record_batch(rows: &[Row], card: &ModelCard) -> Result<RecordBatch> {
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
    RecordBatch::try_new(Arc::clone(&SCHEMA), columns).map_err(encoding_error)
}

fn encoding_error(cause: impl std::fmt::Display) -> Error {
    Error::Schema { object: "part".into(), reason: cause.to_string() }
}

/// Builds a column of lists with `dimension` numbers each.
///
/// # Errors
/// [`Error::Schema`] when a list has another length.
pub(crate) fn lists<'a>(
    rows: impl ExactSizeIterator<Item = &'a [f32]>,
    dimension: usize,
) -> Result<ArrayRef> {
    let mut values = Vec::with_capacity(rows.len() * dimension);
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(dimension, rows.len()));
    for row in rows {
        if row.len() != dimension {
            let reason = format!("a row has {} numbers; expected {dimension}", row.len());
            return Err(Error::Schema { object: "part".into(), reason });
        }
        values.extend_from_slice(row);
    }
    let (_, element) = float_list();
    Ok(Arc::new(ListArray::new(element, offsets, Arc::new(Float32Array::from(values)), None)))
}
