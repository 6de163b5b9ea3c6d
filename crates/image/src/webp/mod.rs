//! WebP: its chunks, and flags that contradict them.

mod chunks;
mod flags;

pub(crate) use self::chunks::Chunks;
pub(crate) use self::flags::{HAS_EXIF, HAS_XMP, with_honest_flags};
