//! PNG, decoded row by row.

mod chunks;
mod decode;
mod progress;

pub(crate) use self::decode::{decode, read_header};
