//! A photo: one S3 object, as the response that delivered its bytes described it.

use std::fmt;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

/// The folder whose children carry a label.
const LABELLED_ROOT: &str = "photos";
/// The folder of the app's own uploads, which carry none.
const UPLOADS_ROOT: &str = "uploads";

/// One S3 object that may be a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// The bucket it lies in.
    pub bucket: String,
    /// Its key, decoded.
    pub key: String,
    /// Its `ETag` without quotes.
    pub etag: String,
    /// Bytes.
    pub size_bytes: u64,
    /// When S3 took it; whole seconds, as the `Last-Modified` header has it.
    #[serde(with = "time::serde::rfc3339")]
    pub last_modified: OffsetDateTime,
}

impl Photo {
    /// What names this content at this key.
    #[must_use]
    pub fn id(&self) -> PhotoId {
        PhotoId::of(&self.bucket, &self.key, &self.etag)
    }

    /// The day whose partition it belongs to. It comes from the object, never from the clock, so that a
    /// photo delivered twice goes to one partition.
    #[must_use]
    pub fn date(&self) -> Date {
        self.last_modified.date()
    }

    /// The name of its parent folder, if that is a label: see [`label`].
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        label(&self.key)
    }
}

/// The label in a key: the name of the parent folder; none below `uploads/`, in no folder, or directly below `photos/`.
#[must_use]
pub fn label(key: &str) -> Option<&str> {
    let (folders, _name) = key.rsplit_once('/')?;
    let parent = folders.rsplit('/').next()?;
    let root = folders.split('/').next()?;
    let unlabelled = root == UPLOADS_ROOT || folders == LABELLED_ROOT || parent.is_empty();
    (!unlabelled).then_some(parent)
}

/// The first 16 bytes of SHA-256 over bucket, key and `ETag`, each behind its length as a little-endian u64.
/// Written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhotoId([u8; 16]);

impl PhotoId {
    /// The id of this content at this key.
    #[must_use]
    pub fn of(bucket: &str, key: &str, etag: &str) -> Self {
        let mut digest = Context::new(&SHA256);
        for part in [bucket, key, etag] {
            digest.update(&(part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(&digest.finish().as_ref()[..16]);
        Self(id)
    }

    /// The id that these 32 hex digits write, if they do.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let mut id = [0; 16];
        hex::decode_to_slice(digits, &mut id).ok()?;
        Some(Self(id))
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for PhotoId {
    fn from(id: [u8; 16]) -> Self {
        Self(id)
    }
}

impl fmt::Display for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_the_parent_folder() {
        assert_eq!(label("photos/Apple Braeburn/12.jpg"), Some("Apple Braeburn"));
        assert_eq!(label("photos/test/Kiwi/a/b.jpg"), Some("a"));
        assert_eq!(label("Kiwi/b.jpg"), Some("Kiwi"));
    }

    #[test]
    fn uploads_and_keys_without_a_folder_have_no_label() {
        for key in ["uploads/2026-11-23/01J.jpg", "b.jpg", "photos/b.jpg", "photos//b.jpg", "/b.jpg", ""] {
            assert_eq!(label(key), None, "{key}");
        }
    }

    #[test]
    fn lengths_keep_neighbouring_fields_apart() {
        assert_ne!(PhotoId::of("a", "bc", "d"), PhotoId::of("ab", "c", "d"));
        assert_ne!(PhotoId::of("a", "b", "cd"), PhotoId::of("a", "bc", "d"));
    }

    #[test]
    fn an_id_is_written_and_read_as_32_hex_digits() {
        let id = PhotoId::of("photos", "a.jpg", "0");
        assert_eq!(id.to_string().len(), 32);
        assert_eq!(PhotoId::parse(&id.to_string()), Some(id));
        assert_eq!(PhotoId::parse("xyz"), None);
    }
}
