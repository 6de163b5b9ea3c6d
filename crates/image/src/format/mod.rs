//! What a file is, by its content: an image that is decoded, or something that is rejected by name.

mod damaged;
mod detect;
mod iso_media;
mod markup;
mod rejections;
mod signatures;
mod text;
mod upload;

pub(crate) use self::detect::{HEIF, declared_size, detect, not_for_uploads};
pub(crate) use self::rejections::unsupported;
