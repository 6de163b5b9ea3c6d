//! The S3 client: a small set of operations on `aws-sdk-s3`, each with well-defined errors.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::contract::photo::Photo;
use crate::error::{Cause, Error, Result};
use crate::s3::sdk_error::{code, read_error, request_error, status};

/// The media type of JSON.
pub const JSON: &str = "application/json";

/// A client for S3. Clones are cheap and share connections.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
}

/// A response whose headers have arrived and whose body has not been read yet.
#[derive(Debug)]
pub struct GetObject {
    /// The object as the headers describe it.
    pub photo: Photo,
    body: ByteStream,
}

/// The result of a put-if-absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutResult {
    /// The object was written.
    Written,
    /// The key had an object already. It may stem from an earlier attempt of this put whose
    /// response was lost.
    Exists,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The object's key, decoded.
    pub key: String,
    /// The object's `ETag` without quotes.
    pub etag: String,
    /// File size.
    pub size_bytes: u64,
    /// The time of the last write, in whole seconds.
    pub last_modified: OffsetDateTime,
}

/// One page of a listing, with at most 1,000 objects and folders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The objects, in the byte order of their keys.
    pub objects: Vec<ObjectMeta>,
    /// The folders, if requested: the distinct beginnings of keys up to the first `/` after the
    /// prefix.
    pub folders: Vec<String>,
    /// The continuation token for the next page, or `None` after the last.
    pub next: Option<String>,
}

impl Store {
    /// Wraps a client of the SDK.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Connects with the region, endpoint and credentials of the environment.
    ///
    /// Credentials come from variables, profiles, roles or processes. Single sign-on is not
    /// compiled in; use `aws configure export-credentials` instead.
    pub async fn from_environment() -> Self {
        let settings = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
            .http_client(https_client())
            .load()
            .await;
        Self::from_settings(&settings)
    }

    /// Connects with loaded settings, for a program that also uses other AWS services.
    #[must_use]
    pub fn from_settings(settings: &aws_config::SdkConfig) -> Self {
        Self::new(Client::new(settings))
    }

    /// Returns the SDK's client, for operations that only tests and the local server need.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Requests an object, and returns as soon as the headers arrive.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the object does not exist, [`Error::Reject`] when it is archived,
    /// else [`Error::S3`].
    pub async fn open(&self, bucket: &str, key: &str) -> Result<GetObject> {
        let response = self.client.get_object().bucket(bucket).key(key).send().await;
        let output = response.map_err(|error| read_error("get", bucket, key, error))?;
        let photo =
            photo_from_headers(bucket, key, output.e_tag(), output.content_length(), output.last_modified());
        Ok(GetObject { photo, body: output.body })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// As [`Store::open`] and [`GetObject::read`].
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Bytes> {
        self.open(bucket, key).await?.read().await
    }

    /// Reads a range of an object's bytes.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_range(&self, bucket: &str, key: &str, range: std::ops::Range<u64>) -> Result<Bytes> {
        let request = self.client.get_object().bucket(bucket).key(key);
        // An HTTP range includes its last byte.
        let last = range.end.saturating_sub(1);
        let response = request.range(format!("bytes={}-{last}", range.start)).send().await;
        let output = response.map_err(|error| read_error("get", bucket, key, error))?;
        let photo =
            photo_from_headers(bucket, key, output.e_tag(), output.content_length(), output.last_modified());
        GetObject { photo, body: output.body }.read().await
    }

    /// Reads an object and its quoted `ETag`, for [`Store::put_if_match`]. Returns `None` if the
    /// object does not exist.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn get_versioned(&self, bucket: &str, key: &str) -> Result<Option<(Bytes, String)>> {
        match self.open(bucket, key).await {
            Ok(object) => {
                let etag = format!("\"{}\"", object.photo.etag);
                Ok(Some((object.read().await?, etag)))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads and parses a JSON object. Returns `None` if the object does not exist.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when the content is not the JSON of a `T`.
    pub async fn get_json<T: DeserializeOwned>(&self, bucket: &str, key: &str) -> Result<Option<T>> {
        match self.get(bucket, key).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Error::schema(key)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a value as a JSON object on one line, replacing any object at the key.
    ///
    /// # Errors
    /// [`Error::S3`], or [`Error::Schema`] when the value cannot be represented in JSON.
    pub async fn put_json<T: Serialize + Sync>(&self, bucket: &str, key: &str, value: &T) -> Result<()> {
        // One line, because Athena reads each line of a JSON file as a row.
        let body = serde_json::to_vec(value).map_err(Error::schema(key))?;
        self.put(bucket, key, JSON, body).await.map(drop)
    }

    /// Reads the metadata of an object, whether archived or not.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the object does not exist, else [`Error::S3`]. Without the
    /// permission `s3:ListBucket`, S3 responds with 403 to a missing key, which is an
    /// [`Error::S3`].
    pub async fn head(&self, bucket: &str, key: &str) -> Result<Photo> {
        let response = self.client.head_object().bucket(bucket).key(key).send().await;
        let output = response.map_err(|error| read_error("head", bucket, key, error))?;
        Ok(photo_from_headers(bucket, key, output.e_tag(), output.content_length(), output.last_modified()))
    }

    /// Writes an object, replacing any object at the key. Returns its `ETag` without quotes.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn put(&self, bucket: &str, key: &str, kind: &str, body: impl Into<Bytes>) -> Result<String> {
        let request = self.client.put_object().bucket(bucket).key(key).content_type(kind);
        let response = request.body(ByteStream::from(body.into())).send().await;
        let output = response.map_err(|error| request_error("put", bucket, key, error))?;
        Ok(unquoted(output.e_tag.as_deref()))
    }

    /// Writes an object unless the key has one. If several writers compete, exactly one succeeds.
    ///
    /// # Errors
    /// [`Error::S3`]. It is transient after a conflict with a concurrent put of the same key (409).
    pub async fn put_if_absent(
        &self,
        bucket: &str,
        key: &str,
        kind: &str,
        body: impl Into<Bytes>,
    ) -> Result<PutResult> {
        let request = self.client.put_object().bucket(bucket).key(key).content_type(kind).if_none_match("*");
        match request.body(ByteStream::from(body.into())).send().await {
            Ok(_) => Ok(PutResult::Written),
            Err(error) if status(&error) == Some(412) => Ok(PutResult::Exists),
            Err(error) => Err(request_error("put if absent", bucket, key, error)),
        }
    }

    /// Writes an object if the key still has the object with this quoted `ETag`, or if `etag` is
    /// `None` and the key has no object. Returns whether the object was written.
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
            return Ok(self.put_if_absent(bucket, key, kind, body).await? == PutResult::Written);
        };
        let request = self.client.put_object().bucket(bucket).key(key).content_type(kind).if_match(etag);
        match request.body(ByteStream::from(body.into())).send().await {
            Ok(_) => Ok(true),
            // 404: the object was deleted. 409: a concurrent request is replacing it. In both cases
            // it is no longer the object that the caller read.
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(false),
            Err(error) => Err(request_error("put if match", bucket, key, error)),
        }
    }

    /// Deletes any number of objects. An object that does not exist counts as deleted.
    ///
    /// # Errors
    /// [`Error::S3`] names the first object that could not be deleted.
    pub async fn delete(&self, bucket: &str, keys: &[String]) -> Result<()> {
        // The limit of `DeleteObjects`.
        const KEYS_PER_REQUEST: usize = 1000;
        for keys in keys.chunks(KEYS_PER_REQUEST) {
            let ids = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
            let delete = ids
                .collect::<Result<Vec<_>, _>>()
                .and_then(|ids| Delete::builder().set_objects(Some(ids)).quiet(true).build())
                .map_err(|cause| Error::Internal(cause.to_string()))?;
            let response = self.client.delete_objects().bucket(bucket).delete(delete).send().await;
            let output = response.map_err(|error| request_error("delete", bucket, &keys[0], error))?;
            if let Some(error) = output.errors().first() {
                return Err(Error::S3 {
                    verb: "delete",
                    bucket: bucket.to_owned(),
                    key: error.key().unwrap_or_default().to_owned(),
                    transient: true,
                    cause: error.message().unwrap_or_default().into(),
                });
            }
        }
        Ok(())
    }

    /// Deletes an object if it still has this quoted `ETag`. Returns whether the key is free now.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn delete_if_match(&self, bucket: &str, key: &str, etag: &str) -> Result<bool> {
        match self.client.delete_object().bucket(bucket).key(key).if_match(etag).send().await {
            Ok(_) => Ok(true),
            // 404: a concurrent request deleted the object. 409 and 412: one replaced it.
            Err(error) if status(&error) == Some(404) && code(&error) != Some("NoSuchBucket") => Ok(true),
            Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(false),
            Err(error) => Err(request_error("delete if match", bucket, key, error)),
        }
    }

    /// Calls `each` for every object below a prefix, in the byte order of keys.
    ///
    /// # Errors
    /// [`Error::S3`], or the error that `each` returns.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        mut each: impl FnMut(ObjectMeta) -> Result<()>,
    ) -> Result<()> {
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| request_error("list", bucket, prefix, error))?;
            page.contents.unwrap_or_default().into_iter().map(ObjectMeta::from).try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// Lists one page of the objects below a prefix. With `folders`, objects in subfolders are
    /// represented by their folder only.
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
        let page = request.send().await.map_err(|error| request_error("list", bucket, prefix, error))?;
        let folders = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
        Ok(Page {
            objects: page.contents.unwrap_or_default().into_iter().map(ObjectMeta::from).collect(),
            folders: folders.collect(),
            next: page.next_continuation_token,
        })
    }
}

impl From<aws_sdk_s3::types::Object> for ObjectMeta {
    fn from(object: aws_sdk_s3::types::Object) -> Self {
        Self {
            etag: unquoted(object.e_tag()),
            size_bytes: object.size().unwrap_or_default().unsigned_abs(),
            last_modified: whole_seconds(object.last_modified()),
            key: object.key.unwrap_or_default(),
        }
    }
}

impl GetObject {
    /// Reads the body.
    ///
    /// # Errors
    /// A transient [`Error::S3`] when the body is truncated, which the SDK does not retry.
    pub async fn read(self) -> Result<Bytes> {
        let Photo { bucket, key, size_bytes, .. } = self.photo;
        let read = collect(self.body, size_bytes).await;
        read.map_err(|cause| Error::S3 { verb: "read", bucket, key, transient: true, cause })
    }
}

async fn collect(mut body: ByteStream, size: u64) -> Result<Bytes, Cause> {
    // `ByteStream::collect` keeps all chunks and then copies them, which needs the memory twice.
    let mut bytes = Vec::new();
    // Memory that can't be allocated fails this read and does not abort the process.
    bytes.try_reserve_exact(usize::try_from(size)?)?;
    while let Some(chunk) = body.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// Creates the HTTPS client for all AWS services.
#[must_use]
pub fn https_client() -> aws_sdk_s3::config::SharedHttpClient {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    // Ring, because it builds with a C compiler alone.
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

fn photo_from_headers(
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
        last_modified: whole_seconds(modified),
    }
}

fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

fn whole_seconds(time: Option<&DateTime>) -> OffsetDateTime {
    // Some servers list fractions of a second, which the header `Last-Modified` can't express.
    let time = time.map_or(0, DateTime::secs);
    OffsetDateTime::from_unix_timestamp(time).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
