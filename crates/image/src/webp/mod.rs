//! WebP, of which only the first frame is decoded.
//!
//! ```text
//! bytes ──▶ container ──▶ Still ──▶ lossless ──▶ decode ──▶ Raster
//!           the first     a file    memory for
//!           frame         of its own  its codes
//! ```

mod chunks;
mod container;
mod decode;
mod flags;
mod lossless;
mod parts;

pub(crate) use self::chunks::Chunks;
pub(crate) use self::decode::{decode, read_header};
pub(crate) use self::flags::{HAS_EXIF, HAS_XMP};
