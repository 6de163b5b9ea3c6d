//! JPEG: its segments, and decoding at a scale.

mod decoder;
mod segments;

pub(crate) use self::decoder::decode;
pub(crate) use self::segments::read_outline;
