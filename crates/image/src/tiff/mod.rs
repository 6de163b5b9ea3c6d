//! TIFF: what the decoder must not decode, and a bound on its work.

mod check;
mod chunks;

pub(crate) use self::check::check;
pub(crate) use self::chunks::{ChunkReader, Chunks};
