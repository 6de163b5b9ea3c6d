//! The compaction stage: rewrites small parts and dead rows, and deletes replaced parts.
//!
//! The rows of a date arrive in many small parts, and some rows are later superseded, removed or
//! stored twice. For each date before today, a compaction reads the small parts and those with dead
//! rows, and writes their current rows into a few large parts. The metadata of a new part names the
//! parts that it *replaces*. Both then exist side by side, which no reader notices, because the
//! copies of a row agree.
//!
//! A later run deletes a replaced part once its replacement is older than a grace period, so a
//! reader that started before the compaction still finds it.
//!
//! Rows decide what may be deleted, not names: a part that was replaced and has no current row
//! except as a copy elsewhere ([`PartRows::is_superseded`](crate::table::PartRows::is_superseded)).
//! So no row is lost if a photo reappears after the compaction, if a late delivery writes a
//! replaced part again, if two compactions run concurrently, or if one is killed. A replaced part
//! may itself have replaced others. Its own replacement then names those too.

mod delete;
mod delete_batcher;
mod plan;
mod records;
mod rewrite;
mod selection;
mod sidecars;

pub(crate) use self::delete::delete;
pub use self::plan::plan;
pub use self::records::{DeleteList, PartToDelete, PartToRead, Rewrite};
pub(crate) use self::rewrite::rewrite;
pub use self::selection::{CompactOptions, GRACE, PART_BYTES, deletions, rewrites};
