//! Multipart upload operations.

use std::time::SystemTime;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedMultipartUpload, CompletedPart, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use crate::http::backend::Backend;
use crate::http::conditions::{ReadConditions, precondition};
use crate::http::copy_source;
use crate::http::request_body::{ExpectedChecksums, stage_body};
use crate::http::response_fields::etag;
use crate::storage::multipart::{MultipartUploads, UploadRef};
use crate::storage::object_folder::ObjectFolder;

pub(crate) async fn create(
    backend: &Backend,
    input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    let CreateMultipartUploadInput { bucket, key, .. } = input;
    let create = {
        let (bucket, key) = (bucket.clone(), key.clone());
        move |objects: &ObjectFolder, uploads: &MultipartUploads| {
            objects.buckets.existing(&bucket)?;
            uploads.create(&bucket, &key)
        }
    };
    let upload_id = Some(backend.run_with_uploads(create).await?);
    Ok(CreateMultipartUploadOutput { bucket: Some(bucket), key: Some(key), upload_id, ..Default::default() })
}

pub(crate) async fn upload_part(
    backend: &Backend,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let staged = backend.run(ObjectFolder::stage).await?;
    let body = request.input.body.take();
    let (staged, checksum) = stage_body(staged, body, &ExpectedChecksums::from(&request)).await?;
    let UploadPartInput { bucket, key, upload_id: id, part_number, .. } = request.input;
    let put_part = move |_: &ObjectFolder, uploads: &MultipartUploads| {
        uploads.put_part(UploadRef { bucket: &bucket, key: &key, id: &id }, part_number, staged)
    };
    let etag = backend.run_with_uploads(put_part).await?;
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..Default::default()
    })
}

pub(crate) async fn upload_part_copy(
    backend: &Backend,
    input: UploadPartCopyInput,
) -> S3Result<UploadPartCopyOutput> {
    let conditions = ReadConditions::from(&input);
    let (from_bucket, from_key) = copy_source::bucket_and_key(input.copy_source)?;
    let range = copy_source::parse_range(input.copy_source_range.as_deref())?;
    let (source, file) = backend.open_source(from_bucket, from_key, &conditions).await?;
    let bytes = range.map_or(Ok(0..source.size), |range| range.check(source.size))?;
    let (bucket, key, id) = (input.bucket, input.key, input.upload_id);
    let copy = move |objects: &ObjectFolder, uploads: &MultipartUploads| {
        let mut staged = objects.stage()?;
        staged.write_file(file, bytes)?;
        uploads.put_part(UploadRef { bucket: &bucket, key: &key, id: &id }, input.part_number, staged)
    };
    let e_tag = Some(ETag::Strong(backend.run_with_uploads(copy).await?));
    let last_modified = Some(SystemTime::now().into());
    let result = CopyPartResult { e_tag, last_modified, ..Default::default() };
    Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
}

pub(crate) async fn complete(
    backend: &Backend,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let CompleteMultipartUploadInput { bucket, key, upload_id: id, .. } = input;
    let precondition = precondition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let parts = numbered_etags(input.multipart_upload)?;
    let complete = {
        let (bucket, key) = (bucket.clone(), key.clone());
        move |objects: &ObjectFolder, uploads: &MultipartUploads| {
            let upload_ref = UploadRef { bucket: &bucket, key: &key, id: &id };
            uploads.complete(objects, upload_ref, &parts, &precondition)
        }
    };
    let object = backend.run_with_uploads(complete).await?;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag: etag(&object),
        ..Default::default()
    })
}

/// Returns the numbers and unquoted `ETag`s of the parts to assemble.
fn numbered_etags(upload: Option<CompletedMultipartUpload>) -> S3Result<Vec<(i32, String)>> {
    let parts = upload.and_then(|upload| upload.parts).unwrap_or_default();
    let numbered_etag = |part: CompletedPart| Some((part.part_number?, part.e_tag?.into_value()));
    let parts: Option<Vec<_>> = parts.into_iter().map(numbered_etag).collect();
    parts.ok_or_else(|| s3_error!(MalformedXML, "Each part needs a number and an ETag"))
}

pub(crate) async fn abort(
    backend: &Backend,
    input: AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
    let AbortMultipartUploadInput { bucket, key, upload_id: id, .. } = input;
    let abort = move |_: &ObjectFolder, uploads: &MultipartUploads| {
        uploads.abort(UploadRef { bucket: &bucket, key: &key, id: &id })
    };
    backend.run_with_uploads(abort).await?;
    Ok(AbortMultipartUploadOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(parts: Vec<CompletedPart>) -> Option<CompletedMultipartUpload> {
        Some(CompletedMultipartUpload { parts: Some(parts) })
    }

    #[test]
    fn a_completed_part_needs_a_number_and_an_etag() {
        let e_tag = Some(ETag::Strong("e".into()));
        let part = CompletedPart { part_number: Some(2), e_tag, ..Default::default() };
        assert_eq!(numbered_etags(upload(vec![part.clone()])).unwrap(), [(2, "e".to_owned())]);
        let unnumbered = CompletedPart { part_number: None, ..part.clone() };
        let error = numbered_etags(upload(vec![part, unnumbered])).unwrap_err();
        assert_eq!(error.code().as_str(), "MalformedXML");
    }

    #[test]
    fn a_request_without_a_body_has_no_parts() {
        assert_eq!(numbered_etags(None).unwrap(), []);
    }
}
