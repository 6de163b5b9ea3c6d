//! The requests of S3, as the trait of `s3s` hands them on, done on the store.
//!
//! `s3s` reads and writes the protocol, and checks signatures; what it leaves to its backend is here: the conditions,
//! the checksums of a body, the encoding of keys in listings. Requests that are not here are answered with
//! `NotImplemented`.

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::REGION;
use super::conditions::{Conditions, expected};
use super::content_type::content_type;
use super::listing::{Query, after};
use super::notification::Created;
use super::objects::{Expected, Object as Stored, Objects, Store};
use super::receive::{Claims, receive};
use super::refusal::Refusal;
use super::send;
use super::uploads::{Place, Uploads};

/// Keys on a page of a listing, and keys in one request to delete them: what S3 allows.
const MOST_KEYS: i32 = 1000;
/// What stays as it is in a listing with `encoding-type=url`.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/');

type Answer<T> = S3Result<S3Response<T>>;

/// S3, on a store.
pub(crate) struct Protocol {
    store: Arc<Store>,
    uploads: Arc<Uploads>,
}

impl Protocol {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, uploads: Arc::default() }
    }

    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Refusal> + Send + 'static,
    ) -> S3Result<T> {
        let store = Arc::clone(&self.store);
        blocking(move || work(&store)).await
    }

    async fn with_uploads<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &Uploads) -> Result<T, Refusal> + Send + 'static,
    ) -> S3Result<T> {
        let uploads = Arc::clone(&self.uploads);
        self.on_store(move |store| work(store, &uploads)).await
    }

    async fn read(&self, bucket: String, key: String, conditions: &Conditions) -> S3Result<(Stored, File)> {
        let (object, file) = self.on_store(move |store| store.get(&bucket, &key)).await?;
        conditions.check(&object)?;
        Ok((object, file))
    }
}

/// Does what waits for the disk where nothing else waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(S3Error::internal_error)?.map_err(S3Error::from)
}

#[async_trait::async_trait]
impl S3 for Protocol {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let bucket = request.input.bucket;
        let location = Some(format!("/{bucket}"));
        self.on_store(move |store| store.create_bucket(&bucket)).await?;
        answer(CreateBucketOutput { location })
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.on_store(move |store| store.bucket(&request.input.bucket)).await?;
        answer(HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..Default::default() })
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.on_store(move |store| store.bucket(&request.input.bucket)).await?;
        let region = BucketLocationConstraint::from_static(REGION);
        answer(GetBucketLocationOutput { location_constraint: Some(region) })
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.on_store(move |store| store.delete_bucket(&request.input.bucket)).await?;
        answer(DeleteBucketOutput::default())
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let buckets = self.on_store(Store::buckets).await?;
        let bucket = |(name, made): (String, SystemTime)| Bucket {
            name: Some(name),
            creation_date: Some(made.into()),
            bucket_region: Some(REGION.to_owned()),
        };
        let buckets = Some(buckets.into_iter().map(bucket).collect());
        answer(ListBucketsOutput { buckets, ..Default::default() })
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let draft = self.on_store(Store::draft).await?;
        let body = request.input.body.take();
        let (draft, checksum) = receive(draft, body, &Claims::from(&request)).await?;
        let PutObjectInput { bucket, key, if_match, if_none_match, .. } = request.input;
        let expected = expected(if_match.as_ref(), if_none_match.as_ref())?;
        let put =
            self.on_store(move |store| store.put(&bucket, &key, draft, &expected, Created::Put)).await?;
        answer(PutObjectOutput {
            e_tag: etag(&put),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            ..Default::default()
        })
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = request.input;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let (object, file) = self.read(input.bucket, input.key, &conditions).await?;
        let range = match input.range {
            Some(range) => range.check(object.size)?,
            None => 0..object.size,
        };
        if input.range.is_some() && range.is_empty() {
            return Err(s3_error!(InvalidRange));
        }
        let content_range =
            input.range.map(|_| format!("bytes {}-{}/{}", range.start, range.end - 1, object.size));
        let content_length = Some(signed(range.end - range.start));
        let body = blocking(move || Ok(send::body(file, range)?)).await?;
        answer(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(body),
            content_length,
            content_range,
            content_type: Some(content_type(&object.key).to_owned()),
            e_tag: etag(&object),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        })
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = request.input;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let (object, _) = self.read(input.bucket, input.key, &conditions).await?;
        answer(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(signed(object.size)),
            content_type: Some(content_type(&object.key).to_owned()),
            e_tag: etag(&object),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        })
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let input = request.input;
        let (from_bucket, from_key) = source(input.copy_source)?;
        let replaces =
            input.metadata_directive.as_ref().is_some_and(|it| it.as_str() == MetadataDirective::REPLACE);
        if from_bucket == input.bucket && from_key == input.key && !replaces {
            return Err(s3_error!(InvalidRequest, "an object copied to itself stays what it is"));
        }
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let (object, file) = self.on_store(move |store| store.get(&from_bucket, &from_key)).await?;
        conditions.check_source(&object)?;
        let copy = move |store: &Store| {
            let mut draft = store.draft()?;
            draft.write_file(file, 0..object.size)?;
            store.put(&input.bucket, &input.key, draft, &Expected::Anything, Created::Copy)
        };
        let put = self.on_store(copy).await?;
        let result = CopyObjectResult {
            e_tag: etag(&put),
            last_modified: Some(put.modified.into()),
            ..Default::default()
        };
        answer(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let DeleteObjectInput { bucket, key, if_match, .. } = request.input;
        let expected = expected(if_match.as_ref(), None)?;
        self.on_store(move |store| store.remove(&bucket, &key, &expected)).await?;
        answer(DeleteObjectOutput::default())
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        if delete.objects.is_empty() || delete.objects.len() > MOST_KEYS as usize {
            return Err(s3_error!(MalformedXML, "from 1 to {MOST_KEYS} keys can be deleted at once"));
        }
        let is_quiet = delete.quiet.unwrap_or_default();
        let (deleted, errors) =
            self.on_store(move |store| delete_each(store, &bucket, delete.objects)).await?;
        answer(DeleteObjectsOutput {
            deleted: (!is_quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        })
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let input = request.input;
        let query = query(&input)?;
        let bucket = input.bucket.clone();
        let listed = self.on_store(move |store| store.list(&bucket, &query)).await?;
        answer(page(input, listed))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let CreateMultipartUploadInput { bucket, key, .. } = request.input;
        let begin = {
            let (bucket, key) = (bucket.clone(), key.clone());
            move |store: &Store, uploads: &Uploads| {
                store.bucket(&bucket)?;
                uploads.begin(&bucket, &key)
            }
        };
        let upload_id = Some(self.with_uploads(begin).await?);
        answer(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id,
            ..Default::default()
        })
    }

    async fn upload_part(&self, mut request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let draft = self.on_store(Store::draft).await?;
        let body = request.input.body.take();
        let (draft, checksum) = receive(draft, body, &Claims::from(&request)).await?;
        let UploadPartInput { bucket, key, upload_id: id, part_number, .. } = request.input;
        let take = move |_: &Store, uploads: &Uploads| {
            uploads.part(Place { bucket: &bucket, key: &key, id: &id }, part_number, draft)
        };
        let etag = self.with_uploads(take).await?;
        answer(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            ..Default::default()
        })
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        let input = request.input;
        let (from_bucket, from_key) = source(input.copy_source)?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let range = input.copy_source_range.as_deref().map(Range::parse).transpose();
        let range = range.map_err(|_| s3_error!(InvalidArgument, "x-amz-copy-source-range"))?;
        let (object, file) = self.on_store(move |store| store.get(&from_bucket, &from_key)).await?;
        conditions.check_source(&object)?;
        let range = range.map_or(Ok(0..object.size), |range| range.check(object.size))?;
        let (bucket, key, id) = (input.bucket, input.key, input.upload_id);
        let copy = move |store: &Store, uploads: &Uploads| {
            let mut draft = store.draft()?;
            draft.write_file(file, range)?;
            uploads.part(Place { bucket: &bucket, key: &key, id: &id }, input.part_number, draft)
        };
        let e_tag = Some(ETag::Strong(self.with_uploads(copy).await?));
        let result =
            CopyPartResult { e_tag, last_modified: Some(SystemTime::now().into()), ..Default::default() };
        answer(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let CompleteMultipartUploadInput { bucket, key, upload_id: id, .. } = request.input;
        let expected = expected(request.input.if_match.as_ref(), request.input.if_none_match.as_ref())?;
        let parts = request.input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let named = |part: CompletedPart| Some((part.part_number?, part.e_tag?.into_value()));
        let parts: Option<Vec<_>> = parts.into_iter().map(named).collect();
        let parts = parts.ok_or_else(|| s3_error!(MalformedXML, "each part has a number and an ETag"))?;
        let (at_bucket, at_key) = (bucket.clone(), key.clone());
        let complete = move |store: &Store, uploads: &Uploads| {
            uploads.complete(store, Place { bucket: &at_bucket, key: &at_key, id: &id }, &parts, &expected)
        };
        let put = self.with_uploads(complete).await?;
        answer(CompleteMultipartUploadOutput {
            location: Some(format!("/{bucket}/{key}")),
            bucket: Some(bucket),
            key: Some(key),
            e_tag: etag(&put),
            ..Default::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let AbortMultipartUploadInput { bucket, key, upload_id: id, .. } = request.input;
        let abort =
            move |_: &Store, uploads: &Uploads| uploads.abort(Place { bucket: &bucket, key: &key, id: &id });
        self.with_uploads(abort).await?;
        answer(AbortMultipartUploadOutput::default())
    }
}

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

/// The bucket and the key that are copied.
fn source(source: CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok((bucket.into(), key.into())),
        _ => Err(s3_error!(NotImplemented, "the source of a copy is a bucket and a key")),
    }
}

fn query(input: &ListObjectsV2Input) -> S3Result<Query> {
    let limit = input.max_keys.unwrap_or(MOST_KEYS).min(MOST_KEYS);
    let limit = usize::try_from(limit).map_err(|_| s3_error!(InvalidArgument, "max-keys is negative"))?;
    let from = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => {
            hex::decode(token).map_err(|_| s3_error!(InvalidArgument, "continuation-token"))?
        }
        (None, Some(key)) => after(key),
        (None, None) => Vec::new(),
    };
    Ok(Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        from,
        limit,
    })
}

/// A page as it was asked for.
fn page(input: ListObjectsV2Input, listed: Objects) -> ListObjectsV2Output {
    let is_url = input.encoding_type.as_ref().is_some_and(|it| it.as_str() == EncodingType::URL);
    let text = |text: String| if is_url { utf8_percent_encode(&text, URL).to_string() } else { text };
    let count = listed.objects.len() + listed.common_prefixes.len();
    let object = |object: Stored| Object {
        e_tag: etag(&object),
        size: Some(signed(object.size)),
        last_modified: Some(object.modified.into()),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        key: Some(text(object.key)),
        ..Default::default()
    };
    let common_prefix = |prefix| CommonPrefix { prefix: Some(text(prefix)) };
    ListObjectsV2Output {
        contents: Some(listed.objects.into_iter().map(object).collect()),
        common_prefixes: Some(listed.common_prefixes.into_iter().map(common_prefix).collect()),
        name: Some(input.bucket),
        prefix: Some(text(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(text),
        start_after: input.start_after.map(text),
        encoding_type: input.encoding_type,
        max_keys: Some(input.max_keys.unwrap_or(MOST_KEYS).min(MOST_KEYS)),
        key_count: i32::try_from(count).ok(),
        is_truncated: Some(listed.next.is_some()),
        continuation_token: input.continuation_token,
        next_continuation_token: listed.next.map(hex::encode),
        ..Default::default()
    }
}

/// Removes each of these objects; one failure leaves the others be.
fn delete_each(
    store: &Store,
    bucket: &str,
    objects: Vec<ObjectIdentifier>,
) -> Result<(DeletedObjects, Errors), Refusal> {
    store.bucket(bucket)?;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in objects {
        let expected = object.e_tag.map_or(Expected::Anything, |etag| Expected::ETag(etag.into_value()));
        match store.remove(bucket, &object.key, &expected) {
            Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
            Err(refusal) => {
                let message = Some(refusal.to_string());
                let code = Some(S3Error::from(refusal).code().as_str().to_owned());
                errors.push(Error { code, key: Some(object.key), message, ..Default::default() });
            }
        }
    }
    Ok((deleted, errors))
}

fn etag(object: &Stored) -> Option<ETag> {
    Some(ETag::Strong(object.etag.clone()))
}

/// A size as the protocol's types have it.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
