//! The reasons to reject a JPEG.

use crate::plain_words;
use fruitvec_core::rejection::{RejectCode, Rejection};

/// Rejects a JPEG whose contents are inconsistent, for a reason that may be libjpeg's.
pub(super) fn corrupt(reason: &str) -> Rejection {
    // Some of libjpeg's messages quote bytes.
    let reason = if plain_words::is_plain(reason) { reason } else { "its data is damaged" };
    Rejection::new(RejectCode::Corrupt, format!("the JPEG is invalid: {reason}; export it again"))
}

/// Rejects a JPEG that ends before its pixels begin, or between its scans.
pub(super) fn ends_early(file_bytes: usize) -> Rejection {
    let message =
        format!("the JPEG ends after {file_bytes} bytes, before its end-of-image marker; upload it again");
    Rejection::new(RejectCode::Truncated, message)
}

/// Rejects a JPEG in which the data of a scan ends before its last block.
pub(super) fn scan_ends_early(position: usize, file_bytes: usize) -> Rejection {
    let message = format!(
        "the JPEG's pixels end at byte {position} of {file_bytes}, before the image is complete; \
         upload it again"
    );
    Rejection::new(RejectCode::Truncated, message)
}
