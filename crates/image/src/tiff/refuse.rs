//! The ways in which a TIFF is refused.

use crate::format;
use fruitvec_core::rejection::{RejectCode, Rejection};

/// Rejects a TIFF whose contents are inconsistent.
pub(super) fn corrupt(reason: &str) -> Rejection {
    Rejection::new(RejectCode::Corrupt, format!("the TIFF is invalid: {reason}; export it again"))
}

/// Rejects a TIFF that refers to bytes after its end.
pub(super) fn truncated(file_bytes: usize, part: &str) -> Rejection {
    let message = format!("the TIFF ends after {file_bytes} bytes, before {part}; upload it again");
    Rejection::new(RejectCode::Truncated, message)
}

/// Rejects a TIFF that ends among its uncompressed pixels.
pub(super) fn cut_off() -> Rejection {
    let message = "the TIFF ends before its last pixel; upload it again";
    Rejection::new(RejectCode::Truncated, message)
}

/// Rejects a TIFF whose decoding would cost more than its pixels justify.
pub(super) fn too_large(reason: &str) -> Rejection {
    Rejection::new(RejectCode::DecodedTooLarge, format!("the TIFF has {reason}; send it as JPEG or PNG"))
}

/// Rejects a TIFF of a kind that is not read.
pub(super) fn unsupported(kind: &str) -> Rejection {
    format::unsupported(&format!("a TIFF with {kind}"))
}
