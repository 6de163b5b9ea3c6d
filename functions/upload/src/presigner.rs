//! Presigned uploads: one PUT of exactly so many bytes of exactly that type to exactly one new key.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use fruitvec::error::{Cause, Error, Result};
use fruitvec::store::Store;
use serde::Serialize;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use ulid::Ulid;

use crate::config::Config;
use crate::request::Wanted;

/// Gives uploads. Built once, before the first event.
#[derive(Debug)]
pub struct Uploads {
    client: Client,
    config: Config,
}

/// What the app is given: it sends the photo to `url` by `method` with these headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// Where to. It holds a signature: whoever knows it can upload, so it is never logged.
    pub url: String,
    /// `PUT`.
    pub method: String,
    /// All that must be sent as it is here, for it is signed: `content-type` and `content-length`.
    pub headers: BTreeMap<String, String>,
    /// The key that the photo will have: `uploads/<day, UTC>/<ulid>.<extension>`.
    pub key: String,
    /// The upload must have begun by then.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl Uploads {
    /// Uploads that are signed with this client's credentials.
    #[must_use]
    pub fn new(client: &Client, config: Config) -> Self {
        // The signature must not promise a checksum that the phone would have to compute.
        let checksums = RequestChecksumCalculation::WhenRequired;
        let signing = client.config().to_builder().request_checksum_calculation(checksums).build();
        Self { client: Client::from_conf(signing), config }
    }

    /// Uploads that are signed with the credentials of the environment.
    pub async fn from_environment(config: Config) -> Self {
        Self::new(Store::from_environment().await.client(), config)
    }

    /// The largest photo that may be uploaded, bytes.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.config.largest
    }

    /// An upload as it is wanted, from `now` on. Nothing is asked of S3: a signature is arithmetic.
    ///
    /// # Errors
    /// [`Error::S3`] when there are no credentials to sign with.
    pub async fn presign(&self, wanted: Wanted, now: OffsetDateTime) -> Result<Upload> {
        let now = now.to_offset(UtcOffset::UTC);
        let key = key(wanted, now)?;
        let presigned = match self.signed(&key, wanted, now).await {
            Ok(presigned) => presigned,
            Err(cause) => {
                let bucket = self.config.photos_bucket.clone();
                return Err(Error::S3 { verb: "presign a put of", bucket, key, passing: false, cause });
            }
        };
        let headers = presigned.headers().filter(|(name, _)| must_be_sent(presigned.uri(), name));
        Ok(Upload {
            url: presigned.uri().to_owned(),
            method: presigned.method().to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            key,
            // A signature's time is in whole seconds.
            expires_at: now.truncate_to_second() + self.config.expiry,
        })
    }

    async fn signed(
        &self,
        key: &str,
        wanted: Wanted,
        now: OffsetDateTime,
    ) -> Result<PresignedRequest, Cause> {
        let from_now =
            PresigningConfig::builder().start_time(now.into()).expires_in(self.config.expiry).build()?;
        let put = self.client.put_object().bucket(&self.config.photos_bucket).key(key);
        let put = put.content_type(wanted.media.name()).content_length(i64::try_from(wanted.size_bytes)?);
        put.presigned(from_now).await.map_err(|error| DisplayErrorContext(&error).to_string().into())
    }
}

/// Whether a header is one that the signature of this URL covers. The SDK also sets some that are its own, such as the id of a trace.
/// `host` every client sends by itself.
fn must_be_sent(url: &str, header: &str) -> bool {
    let signed = url.split('&').find_map(|parameter| parameter.strip_prefix("X-Amz-SignedHeaders="));
    header != "host" && signed.is_some_and(|names| names.split("%3B").any(|name| name == header))
}

/// A key that is new: its ULID has the time and 80 random bits.
fn key(wanted: Wanted, now: OffsetDateTime) -> Result<String> {
    let day = now.date().format(format_description!("[year]-[month]-[day]"));
    let day = day.map_err(|cause| Error::Internal(cause.to_string()))?;
    Ok(format!("uploads/{day}/{}.{}", Ulid::from_datetime(now.into()), wanted.media.extension()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    use time::macros::datetime;

    use super::*;
    use crate::media::MediaType;

    const NOW: OffsetDateTime = datetime!(2026-11-24 23:59:59.9 UTC);
    const WANTED: Wanted = Wanted { media: MediaType::Jpeg, size_bytes: 1234 };

    fn uploads() -> Uploads {
        let client = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-3"))
            .credentials_provider(Credentials::new("AKID", "secret", Some("token".into()), None, "test"));
        let config =
            Config { photos_bucket: "photos".into(), largest: 9999, expiry: Duration::from_secs(300) };
        Uploads::new(&Client::from_conf(client.build()), config)
    }

    #[tokio::test]
    async fn type_and_length_are_signed_and_told() {
        let upload = uploads().presign(WANTED, NOW).await.unwrap();
        assert_eq!(upload.method, "PUT");
        assert!(
            upload.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&"),
            "{}",
            upload.url
        );
        let headers: Vec<_> = upload.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(headers, [("content-length", "1234"), ("content-type", "image/jpeg")]);
    }

    /// In a Lambda the SDK sets `x-amzn-trace-id`, which would tell the phone to send our trace to S3.
    #[test]
    fn of_the_headers_only_the_signed_ones_must_be_sent() {
        let url =
            "https://photos/k?X-Amz-Expires=300&X-Amz-SignedHeaders=content-length%3Bhost&X-Amz-Signature=ab";
        assert!(must_be_sent(url, "content-length"));
        for other in ["x-amzn-trace-id", "host", "content", "length"] {
            assert!(!must_be_sent(url, other), "{other}");
        }
    }

    /// A checksum in the signature would be refused with every photo: the phone computes none.
    #[tokio::test]
    async fn no_checksum_is_asked_of_the_phone() {
        let upload = uploads().presign(WANTED, NOW).await.unwrap();
        for word in ["checksum", "content-md5", "crc32"] {
            assert!(!upload.url.to_lowercase().contains(word), "{}", upload.url);
            assert!(!upload.headers.keys().any(|name| name.contains(word)), "{:?}", upload.headers);
        }
    }

    #[tokio::test]
    async fn an_upload_ends_when_its_signature_does() {
        let upload = uploads().presign(WANTED, NOW).await.unwrap();
        assert!(upload.url.contains("X-Amz-Date=20261124T235959Z"), "{}", upload.url);
        assert!(upload.url.contains("X-Amz-Expires=300"), "{}", upload.url);
        assert_eq!(upload.expires_at, datetime!(2026-11-25 00:04:59 UTC));
    }

    #[tokio::test]
    async fn the_key_has_the_day_in_utc_and_is_never_the_same() {
        let one = uploads().presign(WANTED, NOW).await.unwrap();
        let other = uploads().presign(WANTED, NOW).await.unwrap();
        assert_ne!(one.key, other.key);
        let name = one.key.strip_prefix("uploads/2026-11-24/").unwrap().strip_suffix(".jpg").unwrap();
        assert_eq!(name.parse::<Ulid>().unwrap().timestamp_ms(), 1_795_564_799_900);
        assert!(
            one.url.starts_with("https://photos.s3.eu-west-3.amazonaws.com/uploads/2026-11-24/"),
            "{}",
            one.url
        );
    }

    #[tokio::test]
    async fn the_same_goes_for_a_local_day_that_is_another() {
        let elsewhere = datetime!(2026-11-25 03:00 +5);
        let upload = uploads().presign(WANTED, elsewhere).await.unwrap();
        assert!(upload.key.starts_with("uploads/2026-11-24/"), "{}", upload.key);
    }
}
