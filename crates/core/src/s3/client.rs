//! S3 behind a few exact verbs: `aws-sdk-s3` does the work, this says what each answer means.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use time::OffsetDateTime;

use crate::error::{Cause, Error, Result};
use crate::photo::Photo;
use crate::reject::{RejectCode, Rejection};

/// What S3 can do for us. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
}

/// An object whose bytes are still on their way.
#[derive(Debug)]
pub struct Opened {
    /// What the response says of the object.
    pub photo: Photo,
    body: ByteStream,
}

/// What became of a put-if-absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is there now, and was not before.
    Written,
    /// There was an object at the key already. It may be ours, of a put whose reply was lost.
    Exists,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key, decoded.
    pub key: String,
    /// The `ETag` without quotes.
    pub etag: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Whole seconds or finer, as the server has it.
    pub last_modified: OffsetDateTime,
}

/// One page of a listing, at most 1,000 names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The objects, in the byte order of their keys.
    pub objects: Vec<Listed>,
    /// The folders, where they were asked for: what keys have in common up to the first `/` after the prefix.
    pub folders: Vec<String>,
    /// What asks for the next page; none after the last.
    pub next: Option<String>,
}

impl Store {
    /// The store that this client reaches.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The store of the environment: region, endpoint and credentials of variables, profiles, roles and processes; single sign-on
    /// is not compiled in, `aws configure export-credentials` bridges it.
    pub async fn from_environment() -> Self {
        let settings = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
            .http_client(https_client())
            .load()
            .await;
        Self::from_settings(&settings)
    }

    /// The store of settings that are loaded already, for who needs other services too.
    #[must_use]
    pub fn from_settings(settings: &aws_config::SdkConfig) -> Self {
        Self::new(Client::new(settings))
    }

    /// The SDK's client, for what only a test or a local server needs.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for an object: returns when the headers are there, before the bytes are.
    ///
    /// # Errors
    /// [`Error::Gone`] when there is none, [`Error::Reject`] when it is archived, else [`Error::S3`].
    pub async fn open(&self, bucket: &str, key: &str) -> Result<Opened> {
        let answer = self.client.get_object().bucket(bucket).key(key).send().await;
        let output = answer.map_err(|error| unread("get", bucket, key, error))?;
        let photo = described(bucket, key, output.e_tag(), output.content_length(), output.last_modified());
        Ok(Opened { photo, body: output.body })
    }

    /// The bytes of an object of ours.
    ///
    /// # Errors
    /// As [`Store::open`] and [`Opened::read`].
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Bytes> {
        self.open(bucket, key).await?.read().await
    }

    /// Some bytes of an object of ours.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_range(&self, bucket: &str, key: &str, range: std::ops::Range<u64>) -> Result<Bytes> {
        let request = self.client.get_object().bucket(bucket).key(key);
        let last = range.end.saturating_sub(1);
        let answer = request.range(format!("bytes={}-{last}", range.start)).send().await;
        let output = answer.map_err(|error| unread("get", bucket, key, error))?;
        let photo = described(bucket, key, output.e_tag(), output.content_length(), output.last_modified());
        Opened { photo, body: output.body }.read().await
    }

    /// The bytes of an object of ours with its quoted `ETag`, for [`Store::put_if_match`]; none where there is no object.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn get_versioned(&self, bucket: &str, key: &str) -> Result<Option<(Bytes, String)>> {
        match self.open(bucket, key).await {
            Ok(opened) => {
                let etag = format!("\"{}\"", opened.photo.etag);
                Ok(Some((opened.read().await?, etag)))
            }
            Err(Error::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What S3 says of an object, archived or not, without its bytes.
    ///
    /// # Errors
    /// [`Error::Gone`] when there is none, else [`Error::S3`]; without `s3:ListBucket` a missing key answers 403, which is one.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<Photo> {
        let answer = self.client.head_object().bucket(bucket).key(key).send().await;
        let output = answer.map_err(|error| unread("head", bucket, key, error))?;
        Ok(described(bucket, key, output.e_tag(), output.content_length(), output.last_modified()))
    }

    /// Writes an object, whatever is there. Returns its `ETag` without quotes.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn put(&self, bucket: &str, key: &str, kind: &str, body: impl Into<Bytes>) -> Result<String> {
        let request = self.client.put_object().bucket(bucket).key(key).content_type(kind);
        let answer = request.body(ByteStream::from(body.into())).send().await;
        let output = answer.map_err(|error| failed("put", bucket, key, error))?;
        Ok(unquoted(output.e_tag.as_deref()))
    }

    /// Writes an object unless there is one. Of many that try at once, one writes.
    ///
    /// # Errors
    /// [`Error::S3`], which passes when another put of the same key was under way (409).
    pub async fn put_if_absent(
        &self,
        bucket: &str,
        key: &str,
        kind: &str,
        body: impl Into<Bytes>,
    ) -> Result<Put> {
        let request = self.client.put_object().bucket(bucket).key(key).content_type(kind).if_none_match("*");
        match request.body(ByteStream::from(body.into())).send().await {
            Ok(_) => Ok(Put::Written),
            Err(error) if status(&error) == Some(412) => Ok(Put::Exists),
            Err(error) => Err(failed("put if absent", bucket, key, error)),
        }
    }

    /// Replaces an object if it is still the one with this quoted `ETag`; with none, writes it if there is none.
    /// Returns whether it did.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn put_if_match(
        &self,
        bucket: &str,
        key: &str,
        kind: &str,
        body: impl Into<Bytes>,
        etag: Option<&str>,
    ) -> Result<bool> {
        let Some(etag) = etag else {
            return Ok(self.put_if_absent(bucket, key, kind, body).await? == Put::Written);
        };
        let request = self.client.put_object().bucket(bucket).key(key).content_type(kind).if_match(etag);
        match request.body(ByteStream::from(body.into())).send().await {
            Ok(_) => Ok(true),
            // 404: it was deleted since; 409: another is just replacing it. Just as little the object that was read.
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(false),
            Err(error) => Err(failed("put if match", bucket, key, error)),
        }
    }

    /// Deletes objects, as many as there are; those that are gone already count as deleted.
    ///
    /// # Errors
    /// [`Error::S3`] names the first that could not be deleted.
    pub async fn delete(&self, bucket: &str, keys: &[String]) -> Result<()> {
        const AT_ONCE: usize = 1000;
        for keys in keys.chunks(AT_ONCE) {
            let ids = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
            let delete = ids
                .collect::<Result<Vec<_>, _>>()
                .and_then(|ids| Delete::builder().set_objects(Some(ids)).quiet(true).build())
                .map_err(|cause| Error::Internal(cause.to_string()))?;
            let answer = self.client.delete_objects().bucket(bucket).delete(delete).send().await;
            let output = answer.map_err(|error| failed("delete", bucket, &keys[0], error))?;
            if let Some(error) = output.errors().first() {
                return Err(Error::S3 {
                    verb: "delete",
                    bucket: bucket.to_owned(),
                    key: error.key().unwrap_or_default().to_owned(),
                    passing: true,
                    cause: error.message().unwrap_or_default().into(),
                });
            }
        }
        Ok(())
    }

    /// Deletes an object if it is still the one with this quoted `ETag`. Returns whether there is none any more.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn delete_if_match(&self, bucket: &str, key: &str, etag: &str) -> Result<bool> {
        match self.client.delete_object().bucket(bucket).key(key).if_match(etag).send().await {
            Ok(_) => Ok(true),
            // 404: another deleted it; 409 and 412: another replaced it.
            Err(error) if status(&error) == Some(404) && code(&error) != Some("NoSuchBucket") => Ok(true),
            Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(false),
            Err(error) => Err(failed("delete if match", bucket, key, error)),
        }
    }

    /// Calls `each` with the objects below a prefix, page by page, in the byte order of their keys.
    ///
    /// # Errors
    /// [`Error::S3`], or what `each` returns.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        mut each: impl FnMut(Listed) -> Result<()>,
    ) -> Result<()> {
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("list", bucket, prefix, error))?;
            page.contents.unwrap_or_default().into_iter().map(Listed::from).try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// One page of the objects below a prefix, for who looks only so far. With `folders`, what lies below a folder is not listed one
    /// by one.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn page(
        &self,
        bucket: &str,
        prefix: &str,
        folders: bool,
        token: Option<String>,
    ) -> Result<Page> {
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let request = request.set_delimiter(folders.then(|| "/".to_owned())).set_continuation_token(token);
        let page = request.send().await.map_err(|error| failed("list", bucket, prefix, error))?;
        let folders = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
        Ok(Page {
            objects: page.contents.unwrap_or_default().into_iter().map(Listed::from).collect(),
            folders: folders.collect(),
            next: page.next_continuation_token,
        })
    }
}

impl From<aws_sdk_s3::types::Object> for Listed {
    fn from(object: aws_sdk_s3::types::Object) -> Self {
        Self {
            etag: unquoted(object.e_tag()),
            size_bytes: object.size().unwrap_or_default().unsigned_abs(),
            last_modified: seconds(object.last_modified()),
            key: object.key.unwrap_or_default(),
        }
    }
}

impl Opened {
    /// The bytes, all of them.
    ///
    /// # Errors
    /// [`Error::S3`], which passes: the SDK does not retry a body that is cut off half way.
    pub async fn read(self) -> Result<Bytes> {
        let Photo { bucket, key, size_bytes, .. } = self.photo;
        let read = whole(self.body, size_bytes).await;
        read.map_err(|cause| Error::S3 { verb: "read", bucket, key, passing: true, cause })
    }
}

/// The bytes of a body, in one allocation of the size that was told, so that none is kept twice.
async fn whole(mut body: ByteStream, size: u64) -> Result<Bytes, Cause> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size)?)?;
    while let Some(piece) = body.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

/// The one HTTPS client: rustls on ring, which needs nothing but a C compiler to build.
#[must_use]
pub fn https_client() -> aws_sdk_s3::config::SharedHttpClient {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

type Failed<E> = SdkError<E, HttpResponse>;

fn status<E>(error: &Failed<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What a failed read means. Only a read can find that an object is gone: a 404 on a write is a wrong endpoint, and must never
/// pass for work done. Codes: "Error responses" in the Amazon S3 API reference.
fn unread<E>(verb: &'static str, bucket: &str, key: &str, error: Failed<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match (status(&error), code(&error)) {
        (Some(404), code) if code != Some("NoSuchBucket") => {
            Error::Gone { bucket: bucket.to_owned(), key: key.to_owned() }
        }
        (Some(403), Some("InvalidObjectState")) => Error::Reject(Rejection::new(
            RejectCode::Archived,
            "the object is in an archive storage class: restore it, then put it again",
        )),
        _ => failed(verb, bucket, key, error),
    }
}

/// What any other failed call means.
fn failed<E>(verb: &'static str, bucket: &str, key: &str, error: Failed<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (passing, cause) = (passing(&error), said(&error).into());
    Error::S3 { verb, bucket: bucket.to_owned(), key: key.to_owned(), passing, cause }
}

/// What an error says, without what the SDK would show of request and answer: of a token that has expired, S3's answer holds the token.
fn said<E>(error: &Failed<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let (Some(status), Some(service)) = (status(error), error.as_service_error()) {
        let (code, message) =
            (service.code().unwrap_or("no code"), service.message().unwrap_or("no reason given"));
        let request = error.request_id().unwrap_or("unknown");
        return format!("{status} {code}: {message} (request {request})");
    }
    let first: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether the same call may succeed later. A 403 counts: it can be one object's, or a role's that is just being changed; the
/// queue gives up on it in the end. So do expired credentials: the next call has new ones.
fn passing<E: ProvideErrorMetadata>(error: &Failed<E>) -> bool {
    const PASSING: [&str; 6] =
        ["BadDigest", "ExpiredToken", "IncompleteBody", "RequestTimeTooSkewed", "RequestTimeout", "SlowDown"];
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(_) => {
            matches!(status(error), Some(403 | 408 | 409 | 429 | 500..))
                || code(error).is_some_and(|code| PASSING.contains(&code))
        }
        _ => true,
    }
}

fn code<E: ProvideErrorMetadata>(error: &Failed<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// The photo that the headers of a response describe.
fn described(
    bucket: &str,
    key: &str,
    etag: Option<&str>,
    length: Option<i64>,
    modified: Option<&DateTime>,
) -> Photo {
    Photo {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        etag: unquoted(etag),
        size_bytes: length.unwrap_or_default().unsigned_abs(),
        last_modified: seconds(modified),
    }
}

fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

fn seconds(time: Option<&DateTime>) -> OffsetDateTime {
    let time = time.map_or(0, DateTime::secs);
    OffsetDateTime::from_unix_timestamp(time).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn refused(status: u16, code: &str, body: &str) -> Failed<GetObjectError> {
        let metadata = ErrorMetadata::builder().code(code).message("The provided token has expired.").build();
        let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        SdkError::service_error(GetObjectError::generic(metadata), response)
    }

    /// The answer of S3 to an expired token, and to a wrong signature, repeats the token.
    #[test]
    fn no_error_shows_a_session_token() {
        let answer = "<Error><Code>ExpiredToken</Code><Token-0>IQoJb3JpZ2luX2VjEXAMPLE</Token-0></Error>";
        let error = unread("get", "photos", "a.jpg", refused(400, "ExpiredToken", answer));
        let says = error.to_string();
        assert!(says.starts_with("get s3://photos/a.jpg: 400 ExpiredToken: The provided token"), "{says}");
        for shown in [says, format!("{error:?}")] {
            assert!(!shown.contains("IQoJ"), "{shown}");
        }
        assert!(matches!(error, Error::S3 { passing: true, .. }), "the next call has new credentials");
    }

    #[test]
    fn what_never_reached_s3_is_told_with_all_its_causes() {
        let cause = std::io::Error::other("connection refused");
        let error: Failed<GetObjectError> = SdkError::timeout_error(cause);
        assert_eq!(said(&error), "request has timed out: connection refused");
    }
}
