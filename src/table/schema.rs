//! The schema of a part, and the keys of its metadata.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use time::OffsetDateTime;

use crate::contract::photo::Photo;

/// The version of the schema, stored in the metadata of every part.
pub const VERSION: &str = "1";

/// The maximum rows per row group. With 1280 dimensions, that is 40 MB of embeddings.
pub const ROW_GROUP_ROWS: usize = 8192;

/// The media type of a Parquet file, as registered with IANA.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.apache.parquet";

/// Metadata key of [`VERSION`].
pub const VERSION_KEY: &str = "fruitvec.version";

/// Metadata key of the model's id.
pub const MODEL_KEY: &str = "fruitvec.model";

/// Metadata key of the SHA-256 of the model's file.
pub const MODEL_SHA256_KEY: &str = "fruitvec.model_sha256";

/// Metadata key of the names of the parts that this part replaces, separated by commas.
///
/// Only compaction writes it. The replaced parts belong to the same partition.
pub const REPLACES_KEY: &str = "fruitvec.replaces";

/// The columns of a part, in the order in which they are stored.
pub(super) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
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

/// A photo and its embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The object that was embedded.
    pub photo: Photo,
    /// Width in pixels, after EXIF orientation.
    pub width: u32,
    /// Height in pixels, after EXIF orientation.
    pub height: u32,
    /// Finite numbers, one for each dimension of the model card.
    pub embedding: Vec<f32>,
    /// The time of the embedding, by the worker's clock.
    pub embedded_at: OffsetDateTime,
    /// The program's version and its inference engine.
    pub made_by: String,
}

/// Converts a time to microseconds since 1970, the unit of the timestamp columns.
#[must_use]
pub fn micros(time: OffsetDateTime) -> i64 {
    let micros = time.unix_timestamp_nanos() / 1000;
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// Converts microseconds since 1970 to a time; `None` if the calendar does not reach that far.
#[must_use]
pub fn from_micros(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()
}

/// Returns the type `list<element: float32 not null>` and its element field.
pub(crate) fn float_list() -> (DataType, FieldRef) {
    let element = Arc::new(Field::new("element", DataType::Float32, false));
    (DataType::List(Arc::clone(&element)), element)
}

/// Returns the type `timestamp(us, UTC)`.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_survive_the_conversion_to_whole_microseconds() {
        let time = datetime!(2026-11-23 10:00:00.123_456_789 UTC);
        assert_eq!(micros(time), 1_795_428_000_123_456);
        assert_eq!(from_micros(micros(time)), Some(datetime!(2026-11-23 10:00:00.123_456 UTC)));
    }

    #[test]
    fn a_timestamp_outside_the_calendar_is_rejected() {
        assert_eq!(from_micros(i64::MAX), None);
        assert_eq!(from_micros(i64::MIN), None);
    }
}
