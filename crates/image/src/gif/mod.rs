//! GIF, whose first frame is decoded row by row.

mod decode;
mod palette;

pub(crate) use self::decode::{decode, read_header};
