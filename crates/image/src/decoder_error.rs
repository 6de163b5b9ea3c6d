//! Turns the errors of decoders into rejections.

use std::error::Error;
use std::io;

use super::plain_words;
use fruitvec_core::rejection::{RejectCode, Rejection};

/// Returns the rejection of an image of a format for which the decoder returned an error.
pub(crate) fn rejection(format: &str, error: &(dyn Error + 'static)) -> Rejection {
    if is_truncation(error) { truncated(format, error) } else { corrupt(format, &plain_words::cause(error)) }
}

pub(crate) fn truncated(format: &str, error: &(dyn Error + 'static)) -> Rejection {
    let cause = plain_words::cause(error);
    let message = format!("the {format} ends before its last pixel{cause}; upload it again");
    Rejection::new(RejectCode::Truncated, message)
}

/// Returns the rejection of a damaged image. The cause is in parentheses, after a space.
pub(crate) fn corrupt(format: &str, cause: &str) -> Rejection {
    Rejection::new(RejectCode::Corrupt, format!("the {format} can't be decoded{cause}; export it again"))
}

/// Returns the rejection of an image whose decoder refuses to allocate enough.
pub(crate) fn too_large(format: &str, error: &(dyn Error + 'static)) -> Rejection {
    needs_too_much(format, &plain_words::cause(error))
}

/// Returns the rejection of an image that is not as large as its memory suggests. The cause is in
/// parentheses, after a space.
pub(crate) fn needs_too_much(format: &str, cause: &str) -> Rejection {
    let message = format!("the {format} needs more memory than its size justifies{cause}; export it again");
    Rejection::new(RejectCode::DecodedTooLarge, message)
}

/// Returns the rejection of an image that has two sizes.
pub(crate) fn two_sizes((width, height): (u32, u32), (other_width, other_height): (u32, u32)) -> Rejection {
    let message = format!(
        "the image declares both {width}×{height} and {other_width}×{other_height} pixels; \
         export it again"
    );
    Rejection::new(RejectCode::Corrupt, message)
}

/// Returns whether the error or one of its causes is an unexpected end of the file.
fn is_truncation(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let is_unexpected_end = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
        if is_unexpected_end {
            return true;
        }
        cause = error.source();
    }
    false
}
