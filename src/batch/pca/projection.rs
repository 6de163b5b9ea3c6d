//! What a fit makes of the table, as Parquet: the projection of a part, the components, and a sample of rows for the picture.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::pca::Fit;
use crate::plot::Point;
use crate::table::{self, Encoded, Key};

/// Points in the scatter plot at most.
pub(crate) const POINTS: usize = 5000;

/// The bytes of a part's projection: photo id, bucket, key, label, last modified, and `scores`, a list of as many float32 as
/// there are components. The rows of the numbers in `dead` are not in it.
pub(crate) fn encode(
    dead: &[u32],
    encoded: &Encoded,
    fit: &Fit,
    card: &ModelCard,
    sample: &mut Sample,
) -> Result<Vec<u8>> {
    let components = fit.explained_variance.len();
    let schema = reduced_schema();
    let properties = table::base_properties(card)?.build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).map_err(broken)?;
    let mut number = 0;
    for (keys, rows) in encoded.keys()?.zip(encoded.embeddings(card.dimension)?) {
        let (keys, scores) = (keys?, fit.project(&rows?)?);
        let mut live = Vec::with_capacity(keys.len());
        for row in keys.iter().zip(scores.chunks_exact(components)) {
            if dead.binary_search(&number).is_err() {
                sample.offer(&row.0, row.1);
                live.push(row);
            }
            number += 1;
        }
        writer.write(&reduced_batch(&schema, &live, components)?).map_err(broken)?;
    }
    writer.into_inner().map_err(broken)
}

/// A sample of the projected rows that does not depend on their order: those with the smallest photo ids, which are digests.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sample(BTreeMap<String, (f32, f32, Option<String>)>);

impl Sample {
    fn offer(&mut self, key: &Key<'_>, scores: &[f32]) {
        let smaller = |last: &String| key.photo_id < last.as_str();
        if self.0.len() >= POINTS && !self.0.last_key_value().is_some_and(|(last, _)| smaller(last)) {
            return;
        }
        let score = |component: usize| scores.get(component).copied().unwrap_or_default();
        self.insert(key.photo_id.to_owned(), (score(0), score(1), key.label.map(str::to_owned)));
    }

    fn insert(&mut self, photo_id: String, point: (f32, f32, Option<String>)) {
        self.0.insert(photo_id, point);
        if self.0.len() > POINTS {
            self.0.pop_last();
        }
    }

    /// Takes in a sample of other rows.
    pub(crate) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(photo_id, point)| self.insert(photo_id, point));
    }

    /// Whether no row was projected.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sample as points of the picture: components 1 and 2.
    pub(crate) fn points(&self) -> Vec<Point<'_>> {
        self.0.values().map(|(x, y, label)| Point { x: *x, y: *y, label: label.as_deref() }).collect()
    }
}

fn reduced_schema() -> Arc<Schema> {
    let required = |name, kind| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        required("photo_id", DataType::Utf8),
        required("bucket", DataType::Utf8),
        required("key", DataType::Utf8),
        Field::new("label", DataType::Utf8, true),
        required("last_modified", table::timestamp()),
        required("scores", table::float_list().0),
    ]))
}

fn reduced_batch(schema: &Arc<Schema>, rows: &[(Key<'_>, &[f32])], components: usize) -> Result<RecordBatch> {
    let text = |value: &dyn Fn(&Key<'_>) -> String| -> ArrayRef {
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
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(broken)
}

/// A library's complaint about a file of the fit.
fn broken(cause: impl std::fmt::Display) -> Error {
    Error::Internal(format!("a file of the fit: {cause}"))
}

/// `components.parquet`: a row a component, with its number from 1, its variance and share, and its loadings (`dimension` float64).
pub(crate) fn components(fit: &Fit, card: &ModelCard) -> Result<Vec<u8>> {
    let count = fit.explained_variance.len();
    let element = Arc::new(Field::new("element", DataType::Float64, false));
    let loadings = ListArray::new(
        Arc::clone(&element),
        OffsetBuffer::from_lengths(std::iter::repeat_n(card.dimension, count)),
        Arc::new(Float64Array::from(fit.components.clone())),
        None,
    );
    let numbers = 1..=i32::try_from(count).map_err(broken)?;
    let columns: [(&str, ArrayRef); 4] = [
        ("component", Arc::new(Int32Array::from_iter_values(numbers))),
        ("explained_variance", Arc::new(Float64Array::from(fit.explained_variance.clone()))),
        ("explained_variance_ratio", Arc::new(Float64Array::from(fit.explained_variance_ratio.clone()))),
        ("loadings", Arc::new(loadings)),
    ];
    let batch = RecordBatch::try_from_iter(columns).map_err(broken)?;
    let properties = table::base_properties(card)?.build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(broken)?;
    writer.write(&batch).map_err(broken)?;
    writer.into_inner().map_err(broken)
}
