//! A photo's identity: its S3 object, as described by the response that delivered its bytes.

use std::fmt;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

/// The folder whose subfolders are labels.
const LABELLED_ROOT: &str = "photos";
/// The folder of the app's uploads, which have no label.
const UPLOADS_ROOT: &str = "uploads";

/// One S3 object that may be a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// The object's bucket.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// The object's `ETag` without quotes.
    pub etag: String,
    /// File size.
    pub size_bytes: u64,
    /// The time of the `Last-Modified` header, in whole seconds.
    #[serde(with = "time::serde::rfc3339")]
    pub last_modified: OffsetDateTime,
}

impl Photo {
    /// Returns the id of this content at this key.
    #[must_use]
    pub fn id(&self) -> PhotoId {
        PhotoId::of(&self.bucket, &self.key, &self.etag)
    }

    /// Returns the date of the photo's partition.
    ///
    /// It depends on the object and not on the clock, so a photo that is delivered twice goes to
    /// the same partition both times.
    #[must_use]
    pub fn date(&self) -> Date {
        self.last_modified.date()
    }

    /// Returns the [`label`] in the photo's key.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        label(&self.key)
    }

    /// Returns whether the app uploaded the photo, to a key under `uploads/`.
    #[must_use]
    pub fn is_upload(&self) -> bool {
        self.key.split_once('/').is_some_and(|(root, _)| root == UPLOADS_ROOT)
    }
}

/// Returns the label in a key, which is the name of the parent folder.
///
/// A key in `uploads/`, directly in `photos/` or outside any folder has no label.
#[must_use]
pub fn label(key: &str) -> Option<&str> {
    let (folders, _name) = key.rsplit_once('/')?;
    let parent = folders.rsplit('/').next()?;
    let root = folders.split('/').next()?;
    // Subfolders of `uploads/` are dates.
    let unlabelled = root == UPLOADS_ROOT || folders == LABELLED_ROOT || parent.is_empty();
    (!unlabelled).then_some(parent)
}

/// The id of a photo's content at its key, displayed as 32 hex digits.
///
/// It is the first 16 bytes of SHA-256 over bucket, key and `ETag`, each preceded by its length as
/// a little-endian u64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhotoId([u8; 16]);

impl PhotoId {
    /// Returns the id for a bucket, key and `ETag`.
    #[must_use]
    pub fn of(bucket: &str, key: &str, etag: &str) -> Self {
        let mut digest = Context::new(&SHA256);
        for field in [bucket, key, etag] {
            // Without the lengths, ("a", "bc") and ("ab", "c") would give the same id.
            digest.update(&(field.len() as u64).to_le_bytes());
            digest.update(field.as_bytes());
        }
        let mut id = [0; 16];
        // 128 bits make a collision negligible, and keep keys and rows short.
        id.copy_from_slice(&digest.finish().as_ref()[..16]);
        Self(id)
    }

    /// Parses 32 hex digits; `None` if malformed.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let mut id = [0; 16];
        hex::decode_to_slice(digits, &mut id).ok()?;
        Some(Self(id))
    }

    /// Returns the id in binary.
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
    fn an_upload_has_a_key_under_uploads() {
        let photo = |key: &str| Photo {
            bucket: "photos".into(),
            key: key.into(),
            etag: String::new(),
            size_bytes: 1,
            last_modified: OffsetDateTime::UNIX_EPOCH,
        };
        assert!(photo("uploads/2026-11-23/01J.jpg").is_upload());
        for key in ["uploads", "photos/uploads/a.jpg", "uploads2/a.jpg", "/uploads/a.jpg"] {
            assert!(!photo(key).is_upload(), "{key}");
        }
    }

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
    fn the_boundary_between_fields_changes_the_id() {
        assert_ne!(PhotoId::of("a", "bc", "d"), PhotoId::of("ab", "c", "d"));
        assert_ne!(PhotoId::of("a", "b", "cd"), PhotoId::of("a", "bc", "d"));
    }

    #[test]
    fn an_id_is_displayed_and_parsed_as_32_hex_digits() {
        let id = PhotoId::of("photos", "a.jpg", "0");
        assert_eq!(id.to_string().len(), 32);
        assert_eq!(PhotoId::parse(&id.to_string()), Some(id));
        assert_eq!(PhotoId::parse("xyz"), None);
    }
}
