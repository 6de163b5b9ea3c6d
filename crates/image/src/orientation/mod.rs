//! The orientation that a file's metadata declares.

mod exif;
mod find;
mod png;
mod tags;
mod webp;
mod xmp;

pub(crate) use self::find::find;
pub(crate) use self::tags::Tags;
