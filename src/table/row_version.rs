//! The record of a row, reject or removal from which the current rows are derived.

/// One record about a key: a row, a reject or a removal, without its content.
///
/// The derived order is the order of the external sort: first by key, then by precedence within the
/// key. So the order of the fields and variants is part of the definition of the current rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowVersion {
    /// The photo's bucket.
    pub bucket: String,
    /// The photo's key, decoded.
    pub key: String,
    /// The photo's last-modified time, in microseconds since 1970. For a removal, its `up_to`.
    pub last_modified: i64,
    /// The time of the embedding or rejection, in microseconds since 1970. Zero for a removal.
    pub made_at: i64,
    /// The photo's id. For a removal, the id that it does not hide, or zeros.
    pub photo_id: [u8; 16],
    /// The kind of the record.
    pub origin: Origin,
}

/// The kind of a record. For a row, also its location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A row of a part.
    Row {
        /// The part's index in [`Snapshot::parts`](crate::table::Snapshot::parts).
        part: u32,
        /// The row's index in the part.
        row: u32,
    },
    /// A reject. It takes precedence over a row with the same times and photo id.
    Reject,
    /// A removal.
    Removal,
}
