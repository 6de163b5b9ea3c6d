//! Projects the rows of parts, and encodes a fit's Parquet files.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::error::pca_error;
use super::moments::PartInput;
use super::sample::Sample;
use crate::batch::results::Results;
use crate::blocking::run_blocking;
use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};
use crate::pca::Fit;
use crate::s3::prefetch::Prefetcher;
use crate::s3::write_behind::WriteBehind;
use crate::table::{self, KeyRow, PartReader};

/// Writes the projections of parts, and returns a sample of the projected rows.
pub(super) async fn project_parts(
    results: Results<'_>,
    parts: Vec<PartInput>,
    fit: Fit,
    fit_id: &str,
) -> Result<Sample> {
    let Results { store, bucket, card } = results;
    let objects = parts.iter().map(|part| part.rows_object(card)).collect();
    let mut prefetcher = Prefetcher::fetch(store, bucket, objects);
    let mut write_behind = WriteBehind::new(store, bucket);
    let (card, fit_id) = (card.clone(), fit_id.to_owned());
    run_blocking(move || {
        let mut sample = Sample::default();
        for part in parts {
            let rows = part.reader(&card, prefetcher.next()?)?;
            let projection = encode_projection(&rows, &part.dead, &fit, &card, &mut sample)?;
            write_behind.put(part.part.reduced_key(&fit_id), table::MEDIA_TYPE, projection)?;
        }
        write_behind.finish()?;
        Ok(sample)
    })
    .await
}

/// Encodes the projection of a part's current rows, and offers them to the sample.
///
/// The columns are the photo's id, bucket, key, label and last-modified time, and `scores`: a list
/// with one float32 per component.
fn encode_projection(
    part: &PartReader,
    dead: &[u32],
    fit: &Fit,
    card: &ModelCard,
    sample: &mut Sample,
) -> Result<Vec<u8>> {
    let components = fit.explained_variance.len();
    let schema = projection_schema();
    let properties = table::base_properties(card)?.build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).map_err(encode_error)?;
    // Both iterators divide the rows into the same batches.
    let mut index = 0;
    for (keys, embeddings) in part.keys()?.zip(part.embeddings(card.dimension)?) {
        let (keys, scores) = (keys?, fit.project(&embeddings?).map_err(pca_error)?);
        let mut current = Vec::with_capacity(keys.len());
        for (key, scores) in keys.iter().zip(scores.chunks_exact(components)) {
            if dead.binary_search(&index).is_err() {
                sample.offer(key.photo_id, scores, key.label);
                current.push((key, scores));
            }
            index += 1;
        }
        writer.write(&projection_batch(&schema, &current, components)?).map_err(encode_error)?;
    }
    writer.into_inner().map_err(encode_error)
}

fn projection_schema() -> Arc<Schema> {
    let required = |name, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        required("photo_id", DataType::Utf8),
        required("bucket", DataType::Utf8),
        required("key", DataType::Utf8),
        Field::new("label", DataType::Utf8, true),
        required("last_modified", table::timestamp()),
        required("scores", table::float_list().0),
    ]))
}

fn projection_batch(
    schema: &Arc<Schema>,
    rows: &[(KeyRow<'_>, &[f32])],
    components: usize,
) -> Result<RecordBatch> {
    let text = |value: &dyn Fn(&KeyRow<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(key, _)| value(key))))
    };
    let modified = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(key, _)| key.last_modified));
    let columns: Vec<ArrayRef> = vec![
        text(&|key| key.photo_id.to_owned()),
        text(&|key| key.bucket.to_owned()),
        text(&|key| key.key.to_owned()),
        Arc::new(rows.iter().map(|(key, _)| key.label).collect::<StringArray>()),
        Arc::new(modified.with_timezone("UTC")),
        table::lists(rows.iter().map(|(_, scores)| *scores), components)?,
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(encode_error)
}

/// Encodes `components.parquet`: one row per component with its number from 1, its variance, its
/// share of the total variance, and its loadings (`dimension` float64 values).
pub(super) fn encode_components(fit: &Fit, card: &ModelCard) -> Result<Vec<u8>> {
    let count = fit.explained_variance.len();
    let element = Arc::new(Field::new("element", DataType::Float64, false));
    let loadings = ListArray::new(
        Arc::clone(&element),
        OffsetBuffer::from_lengths(std::iter::repeat_n(card.dimension, count)),
        Arc::new(Float64Array::from(fit.components.clone())),
        None,
    );
    let numbers = 1..=i32::try_from(count).map_err(encode_error)?;
    let columns: [(&str, ArrayRef); 4] = [
        ("component", Arc::new(Int32Array::from_iter_values(numbers))),
        ("explained_variance", Arc::new(Float64Array::from(fit.explained_variance.clone()))),
        ("explained_variance_ratio", Arc::new(Float64Array::from(fit.explained_variance_ratio.clone()))),
        ("loadings", Arc::new(loadings)),
    ];
    let batch = RecordBatch::try_from_iter(columns).map_err(encode_error)?;
    let properties = table::base_properties(card)?.build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(encode_error)?;
    writer.write(&batch).map_err(encode_error)?;
    writer.into_inner().map_err(encode_error)
}

fn encode_error(cause: impl std::fmt::Display) -> Error {
    Error::Internal(format!("cannot encode a file of the fit: {cause}"))
}
