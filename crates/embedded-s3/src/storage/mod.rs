//! Buckets and objects as folders and plain files.

mod buckets;
pub(crate) mod error;
mod etag_cache;
mod file_version;
mod folder_cache;
mod folders;
mod key_locks;
mod key_path;
pub(crate) mod listing;
pub(crate) mod multipart;
pub(crate) mod object;
pub(crate) mod object_folder;
pub(crate) mod precondition;
pub(crate) mod staged_object;
