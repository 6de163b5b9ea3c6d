//! The backfill stage: makes the table agree with the photos bucket.
//!
//! The bucket's listing is authoritative. The plan compares it with the table, and makes tasks of
//! the differences. Most of them are photos to embed and keys to remove.
//!
//! Rows alone cannot express every difference. A removal may hide a version that S3 holds, because
//! a delete marker was undone. Or other rows of the key take precedence over that version, because
//! a newer version was deleted for good, or because two versions have the same second and were
//! embedded in the other order. Such a key is *reconciled*: see
//! [`Removal::reconcile`](crate::table::removal::Removal::reconcile).

mod diff;
mod key_action;
mod plan;
mod records;
mod work;

pub use self::diff::{Comparison, KeyDiff, count};
pub use self::key_action::{KeyAction, Retry};
pub use self::plan::plan;
pub use self::records::{KeyList, MissingKey, PhotoList, PhotoToEmbed, Reconcile};
pub(crate) use self::work::{OnPhotos, embed, reconcile};
