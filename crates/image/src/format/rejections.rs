//! The rejections of files that are not decoded: what the file is, and what to do.

use fruitvec_core::rejection::{RejectCode, Rejection};

/// Rejects an image of an unsupported format.
pub(crate) fn unsupported(name: &str) -> Rejection {
    let message = format!("{name} is not supported; send JPEG, PNG or WebP");
    Rejection::new(RejectCode::UnsupportedFormat, message)
}

/// Rejects an image of an unsupported format, and says how to convert it.
pub(super) fn unsupported_unless_converted(name: &str, how: &str) -> Rejection {
    let mut rejection = unsupported(name);
    rejection.message.push_str(": ");
    rejection.message.push_str(how);
    rejection
}

/// Rejects a file that is something else than an image.
pub(super) fn not_an_image(what: &str, remedy: &str) -> Rejection {
    Rejection::new(RejectCode::NotAnImage, format!("the file is {what}, not an image; {remedy}"))
}
