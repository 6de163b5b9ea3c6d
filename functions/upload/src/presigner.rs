//! Presigns uploads. Each URL allows one PUT of a fixed size and type to one new key.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use fruitvec_core::contract::layout::format_date;
use fruitvec_core::error::{Cause, Error, Result};
use fruitvec_core::s3::client::Store;
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset};
use ulid::Ulid;

use crate::config::Config;
use crate::request::RequestedUpload;

/// Presigns uploads to the photos bucket. It is built once, before the first event.
#[derive(Debug)]
pub struct Presigner {
    client: Client,
    config: Config,
}

/// A presigned request: the app uploads one photo by sending `method` to `url` with these headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresignedUpload {
    /// The URL. It contains a signature that lets anyone upload, so it must never be logged.
    pub url: String,
    /// `PUT`.
    pub method: String,
    /// The signed headers, which must be sent unchanged: `content-type` and `content-length`.
    pub headers: BTreeMap<String, String>,
    /// The key of the new photo: `uploads/<UTC date>/<ulid>.<extension>`.
    pub key: String,
    /// The time by which the upload must have started.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl Presigner {
    /// Creates a presigner that signs with this client's credentials.
    #[must_use]
    pub fn new(client: &Client, config: Config) -> Self {
        // By default the SDK signs a checksum header, which the phone would then have to compute.
        let checksums = RequestChecksumCalculation::WhenRequired;
        let signing = client.config().to_builder().request_checksum_calculation(checksums).build();
        Self { client: Client::from_conf(signing), config }
    }

    /// Creates a presigner that signs with the credentials of the environment.
    pub async fn from_environment(config: Config) -> Self {
        Self::new(Store::from_environment().await.client(), config)
    }

    /// Returns the size limit of a photo in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.config.max_bytes
    }

    /// Presigns an upload that is valid from `now`. This sends no request to S3.
    ///
    /// # Errors
    /// [`Error::S3`] when there are no credentials to sign with.
    pub async fn presign(&self, request: RequestedUpload, now: OffsetDateTime) -> Result<PresignedUpload> {
        let now = now.to_offset(UtcOffset::UTC);
        let key = new_key(request, now);
        let presigned = match self.presigned_put(&key, request, now).await {
            Ok(presigned) => presigned,
            Err(cause) => {
                let bucket = self.config.photos_bucket.clone();
                return Err(Error::S3 { verb: "presign a put of", bucket, key, transient: false, cause });
            }
        };
        let headers = presigned.headers().filter(|(name, _)| must_be_sent(presigned.uri(), name));
        Ok(PresignedUpload {
            url: presigned.uri().to_owned(),
            method: presigned.method().to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            key,
            // The signature carries its start time in whole seconds.
            expires_at: now.truncate_to_second() + self.config.expiry,
        })
    }

    async fn presigned_put(
        &self,
        key: &str,
        request: RequestedUpload,
        now: OffsetDateTime,
    ) -> Result<PresignedRequest, Cause> {
        let from_now =
            PresigningConfig::builder().start_time(now.into()).expires_in(self.config.expiry).build()?;
        let put = self.client.put_object().bucket(&self.config.photos_bucket).key(key);
        let put = put.content_type(request.media.name()).content_length(i64::try_from(request.size_bytes)?);
        put.presigned(from_now).await.map_err(|error| DisplayErrorContext(&error).to_string().into())
    }
}

/// Returns whether the app must send this header, because the URL's signature covers it.
fn must_be_sent(url: &str, header: &str) -> bool {
    // The SDK also lists headers that it would send unsigned, such as a trace id.
    let signed = url.split('&').find_map(|parameter| parameter.strip_prefix("X-Amz-SignedHeaders="));
    // Every HTTP client sets `host` without being asked.
    header != "host" && signed.is_some_and(|names| names.split("%3B").any(|name| name == header))
}

/// Returns a unique key. Its ULID consists of the time and 80 random bits.
fn new_key(request: RequestedUpload, now: OffsetDateTime) -> String {
    let date = format_date(now.date());
    format!("uploads/{date}/{}.{}", Ulid::from_datetime(now.into()), request.media.extension())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    use time::macros::datetime;

    use super::*;
    use crate::media_type::MediaType;

    const NOW: OffsetDateTime = datetime!(2026-11-24 23:59:59.9 UTC);
    const REQUEST: RequestedUpload = RequestedUpload { media: MediaType::Jpeg, size_bytes: 1234 };

    fn presigner() -> Presigner {
        let client = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-3"))
            .credentials_provider(Credentials::new("AKID", "secret", Some("token".into()), None, "test"));
        let config =
            Config { photos_bucket: "photos".into(), max_bytes: 9999, expiry: Duration::from_secs(300) };
        Presigner::new(&Client::from_conf(client.build()), config)
    }

    #[tokio::test]
    async fn type_and_length_are_signed_and_returned() {
        let upload = presigner().presign(REQUEST, NOW).await.unwrap();
        assert_eq!(upload.method, "PUT");
        assert!(
            upload.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&"),
            "{}",
            upload.url
        );
        let headers: Vec<_> = upload.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(headers, [("content-length", "1234"), ("content-type", "image/jpeg")]);
    }

    /// In Lambda, the SDK adds `x-amzn-trace-id`. The phone would send that trace id to S3.
    #[test]
    fn only_signed_headers_must_be_sent() {
        let url =
            "https://photos/k?X-Amz-Expires=300&X-Amz-SignedHeaders=content-length%3Bhost&X-Amz-Signature=ab";
        assert!(must_be_sent(url, "content-length"));
        for other in ["x-amzn-trace-id", "host", "content", "length"] {
            assert!(!must_be_sent(url, other), "{other}");
        }
    }

    /// With a signed checksum, S3 would refuse every photo, because the phone computes none.
    #[tokio::test]
    async fn no_checksum_is_required_from_the_phone() {
        let upload = presigner().presign(REQUEST, NOW).await.unwrap();
        for word in ["checksum", "content-md5", "crc32"] {
            assert!(!upload.url.to_lowercase().contains(word), "{}", upload.url);
            assert!(!upload.headers.keys().any(|name| name.contains(word)), "{:?}", upload.headers);
        }
    }

    #[tokio::test]
    async fn an_upload_expires_with_its_signature() {
        let upload = presigner().presign(REQUEST, NOW).await.unwrap();
        assert!(upload.url.contains("X-Amz-Date=20261124T235959Z"), "{}", upload.url);
        assert!(upload.url.contains("X-Amz-Expires=300"), "{}", upload.url);
        assert_eq!(upload.expires_at, datetime!(2026-11-25 00:04:59 UTC));
    }

    #[tokio::test]
    async fn a_key_is_unique_and_contains_the_utc_date() {
        let first = presigner().presign(REQUEST, NOW).await.unwrap();
        let second = presigner().presign(REQUEST, NOW).await.unwrap();
        assert_ne!(first.key, second.key);
        let name = first.key.strip_prefix("uploads/2026-11-24/").unwrap().strip_suffix(".jpg").unwrap();
        assert_eq!(name.parse::<Ulid>().unwrap().timestamp_ms(), 1_795_564_799_900);
        assert!(
            first.url.starts_with("https://photos.s3.eu-west-3.amazonaws.com/uploads/2026-11-24/"),
            "{}",
            first.url
        );
    }

    #[tokio::test]
    async fn the_key_contains_the_utc_date_where_the_local_date_differs() {
        let elsewhere = datetime!(2026-11-25 03:00 +5);
        let upload = presigner().presign(REQUEST, elsewhere).await.unwrap();
        assert!(upload.key.starts_with("uploads/2026-11-24/"), "{}", upload.key);
    }
}
