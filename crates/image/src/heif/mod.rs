//! HEIC, the format of iPhones: HEVC pictures in an ISO media file (ISO/IEC 23008-12).
//!
//! The crate `heifer` decodes it, in safe Rust. The work is bounded here, before it sees a part of
//! the file: by the size of the metadata, the number of pictures and of their slices, and the
//! pixels of each.

mod bitstream;
mod container;
mod decode;
mod items;
mod rejections;
mod transforms;

pub(crate) use self::container::Photo;
