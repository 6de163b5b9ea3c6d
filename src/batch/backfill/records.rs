//! The lists that backfill tasks refer to: `runs/<run id>/…`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A list of photos to embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoList {
    /// The format [`VERSION`](crate::contract::run::VERSION).
    pub version: u32,
    /// The bucket of the photos.
    pub bucket: String,
    /// The photos, in the order of their keys.
    pub photos: Vec<PhotoToEmbed>,
}

/// A photo to embed, or a version to restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoToEmbed {
    /// The photo's key.
    pub key: String,
    /// The photo's `ETag` in the listing.
    pub etag: String,
    /// How to reconcile the key once the photo is embedded, if necessary.
    #[serde(default, rename = "settle", skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<Reconcile>,
}

/// A request to make the version that S3 holds the current one in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    /// The greatest `last_modified` of the other versions that take precedence, if any.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub superseded: Option<OffsetDateTime>,
}

/// A list of keys whose state is checked in S3 and then recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The format [`VERSION`](crate::contract::run::VERSION).
    pub version: u32,
    /// The bucket of the photos.
    pub bucket: String,
    /// Keys that are in the table but not in the listing.
    #[serde(rename = "gone")]
    pub missing: Vec<MissingKey>,
    /// Keys whose listed version is in the table, but not current.
    pub present: Vec<PhotoToEmbed>,
}

/// A key that is in the table but not in the listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingKey {
    /// The photo's key.
    pub key: String,
    /// The greatest `last_modified` of the key's rows and rejects.
    #[serde(with = "time::serde::rfc3339")]
    pub up_to: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The lists that the previous version wrote. A plan of one version may be executed by another.
    #[test]
    fn lists_have_the_documented_format() {
        let photo = |key: &str, reconcile| PhotoToEmbed { key: key.into(), etag: "e".into(), reconcile };
        let superseded = Some(datetime!(2026-11-23 10:00 UTC));
        let photos = vec![
            photo("a", None),
            photo("b", Some(Reconcile { superseded: None })),
            photo("c", Some(Reconcile { superseded })),
        ];
        let list = PhotoList { version: 1, bucket: "photos".into(), photos };
        let json = concat!(
            r#"{"version":1,"bucket":"photos","photos":[{"key":"a","etag":"e"},"#,
            r#"{"key":"b","etag":"e","settle":{}},"#,
            r#"{"key":"c","etag":"e","settle":{"superseded":"2026-11-23T10:00:00Z"}}]}"#,
        );
        assert_eq!(serde_json::to_string(&list).unwrap(), json);
        assert_eq!(serde_json::from_str::<PhotoList>(json).unwrap(), list);

        let missing = vec![MissingKey { key: "d".into(), up_to: datetime!(2026-11-23 10:00:00.25 UTC) }];
        let present = vec![photo("e", Some(Reconcile { superseded: None }))];
        let list = KeyList { version: 1, bucket: "photos".into(), missing, present };
        let json = concat!(
            r#"{"version":1,"bucket":"photos","gone":[{"key":"d","up_to":"2026-11-23T10:00:00.25Z"}],"#,
            r#""present":[{"key":"e","etag":"e","settle":{}}]}"#,
        );
        assert_eq!(serde_json::to_string(&list).unwrap(), json);
        assert_eq!(serde_json::from_str::<KeyList>(json).unwrap(), list);
    }
}
