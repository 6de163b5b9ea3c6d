//! JPEG: its segments, and decoding at a scale.

mod cost;
mod data;
mod decoder;
mod frame;
mod rejections;
mod scan;
mod segments;
mod source;
mod watch;

pub(crate) use self::decoder::{decode, in_strips};
pub(crate) use self::segments::{Outline, read_outline, segments_before_scan};
