//! The table of embeddings in S3: parts, rejects and removals, and the current rows.
//!
//! Writers use [`encode`], [`reject::Reject`] and [`removal::Removal`]. Readers use [`Scan`] or
//! [`Snapshot`], which apply the rule in [`current_rows`], and [`PartReader`] for a single part.

mod column_chunks;
pub mod current_rows;
mod damage;
pub mod external_sort;
mod part_reader;
mod part_rows;
mod part_writer;
pub mod reject;
pub mod removal;
mod row_version;
mod scan;
mod schema;
mod snapshot;
mod spill_format;
mod table_reader;

pub use self::part_reader::{KeyColumns, KeyRow, PartReader};
pub use self::part_rows::PartRows;
pub(crate) use self::part_writer::{PartWriter, base_properties, lists};
pub use self::part_writer::{encode, part_name};
pub use self::row_version::{Origin, RowVersion};
pub use self::scan::{PhotoStatus, Scan};
pub(crate) use self::schema::{MEDIA_TYPE, float_list, timestamp};
pub use self::schema::{
    MODEL_KEY, MODEL_SHA256_KEY, REPLACES_KEY, ROW_GROUP_ROWS, Row, VERSION, VERSION_KEY, from_micros, micros,
};
pub use self::snapshot::Snapshot;
