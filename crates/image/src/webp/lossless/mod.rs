//! The memory that the decoder needs for the codes and transforms of a lossless stream.

mod bits;
mod codes;
mod stream;

pub(super) use self::stream::working_bytes;
