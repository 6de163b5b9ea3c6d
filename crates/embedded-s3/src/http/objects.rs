//! Operations on single objects, and deletion in bulk.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, DeletedObjects, Error, Errors, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, MetadataDirective, ObjectIdentifier, PutObjectInput,
    PutObjectOutput,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use crate::http::backend::Backend;
use crate::http::blocking::run_blocking;
use crate::http::byte_range;
use crate::http::conditions::{ReadConditions, precondition};
use crate::http::content_type::content_type;
use crate::http::copy_source;
use crate::http::request_body::{ExpectedChecksums, stage_body};
use crate::http::response_body::file_body;
use crate::http::response_fields::{etag, signed_size};
use crate::notification::CreatedBy;
use crate::storage::error::StorageError;
use crate::storage::object_folder::ObjectFolder;
use crate::storage::precondition::Precondition;

/// Maximum number of keys in one `DeleteObjects` request, as on S3.
const MAX_DELETED_KEYS: usize = 1000;

pub(crate) async fn put(
    backend: &Backend,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let staged = backend.run(ObjectFolder::stage).await?;
    let body = request.input.body.take();
    let (staged, checksum) = stage_body(staged, body, &ExpectedChecksums::from(&request)).await?;
    // Validated only now: a client that is still sending its body would not see the error.
    let PutObjectInput { bucket, key, if_match, if_none_match, .. } = request.input;
    let precondition = precondition(if_match.as_ref(), if_none_match.as_ref())?;
    let put = move |objects: &ObjectFolder| objects.put(&bucket, &key, staged, &precondition, CreatedBy::Put);
    let object = backend.run(put).await?;
    Ok(PutObjectOutput {
        e_tag: etag(&object),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..Default::default()
    })
}

pub(crate) async fn get(backend: &Backend, input: GetObjectInput) -> S3Result<GetObjectOutput> {
    let conditions = ReadConditions::from(&input);
    let (object, file) = backend.open(input.bucket, input.key, &conditions).await?;
    let bytes = byte_range::select(input.range, object.size)?;
    let content_range = input.range.map(|_| byte_range::content_range(&bytes, object.size));
    let content_length = Some(signed_size(bytes.end - bytes.start));
    // Blocking, because the first chunk is read right away.
    let body = run_blocking(move || Ok(file_body(file, bytes)?)).await?;
    Ok(GetObjectOutput {
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

pub(crate) async fn head(backend: &Backend, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
    let conditions = ReadConditions::from(&input);
    let (object, _) = backend.open(input.bucket, input.key, &conditions).await?;
    Ok(HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: Some(signed_size(object.size)),
        content_type: Some(content_type(&object.key).to_owned()),
        e_tag: etag(&object),
        last_modified: Some(object.modified.into()),
        ..Default::default()
    })
}

pub(crate) async fn copy(backend: &Backend, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
    let conditions = ReadConditions::from(&input);
    let (from_bucket, from_key) = copy_source::bucket_and_key(input.copy_source)?;
    let replaces_metadata =
        input.metadata_directive.as_ref().is_some_and(|it| it.as_str() == MetadataDirective::REPLACE);
    // S3 rejects a copy that changes nothing.
    if from_bucket == input.bucket && from_key == input.key && !replaces_metadata {
        return Err(s3_error!(InvalidRequest, "An object can't be copied to itself without new metadata"));
    }
    let (source, file) = backend.open_source(from_bucket, from_key, &conditions).await?;
    let copy = move |objects: &ObjectFolder| {
        let mut staged = objects.stage()?;
        staged.write_file(file, 0..source.size)?;
        objects.put(&input.bucket, &input.key, staged, &Precondition::None, CreatedBy::Copy)
    };
    let object = backend.run(copy).await?;
    let result = CopyObjectResult {
        e_tag: etag(&object),
        last_modified: Some(object.modified.into()),
        ..Default::default()
    };
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
}

pub(crate) async fn delete(backend: &Backend, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    let precondition = precondition(input.if_match.as_ref(), None)?;
    backend.run(move |objects| objects.remove(&input.bucket, &input.key, &precondition)).await?;
    Ok(DeleteObjectOutput::default())
}

pub(crate) async fn delete_many(
    backend: &Backend,
    input: DeleteObjectsInput,
) -> S3Result<DeleteObjectsOutput> {
    let DeleteObjectsInput { bucket, delete, .. } = input;
    if delete.objects.is_empty() || delete.objects.len() > MAX_DELETED_KEYS {
        return Err(s3_error!(MalformedXML, "One request can delete from 1 to {MAX_DELETED_KEYS} keys"));
    }
    let is_quiet = delete.quiet.unwrap_or_default();
    let (deleted, errors) = backend.run(move |objects| delete_each(objects, &bucket, delete.objects)).await?;
    Ok(DeleteObjectsOutput {
        deleted: (!is_quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    })
}

/// Removes each object. The error of one does not affect the others.
fn delete_each(
    objects: &ObjectFolder,
    bucket: &str,
    keys: Vec<ObjectIdentifier>,
) -> Result<(DeletedObjects, Errors), StorageError> {
    objects.buckets.existing(bucket)?;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in keys {
        let precondition =
            object.e_tag.map_or(Precondition::None, |etag| Precondition::IfMatch(etag.into_value()));
        match objects.remove(bucket, &object.key, &precondition) {
            Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
            Err(error) => {
                let error = S3Error::from(error);
                let code = Some(error.code().as_str().to_owned());
                let message = error.message().map(str::to_owned);
                errors.push(Error { code, key: Some(object.key), message, ..Default::default() });
            }
        }
    }
    Ok((deleted, errors))
}
