//! The S3 operations that the server supports.
//!
//! `s3s` answers all other operations with `NotImplemented`.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsV2Input,
    ListObjectsV2Output, PutObjectInput, PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::http::backend::Backend;
use crate::http::{buckets, list_objects, multipart, objects};
use crate::storage::object_folder::ObjectFolder;

type Response<T> = S3Result<S3Response<T>>;

/// Dispatches S3 operations to an [`ObjectFolder`].
pub(crate) struct Operations {
    backend: Backend,
}

impl Operations {
    pub(crate) fn new(objects: Arc<ObjectFolder>) -> Self {
        Self { backend: Backend::new(objects) }
    }
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Response<CreateBucketOutput> {
        buckets::create(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Response<HeadBucketOutput> {
        buckets::head(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Response<GetBucketLocationOutput> {
        buckets::location(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Response<DeleteBucketOutput> {
        buckets::delete(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Response<ListBucketsOutput> {
        buckets::list(&self.backend).await.map(S3Response::new)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Response<PutObjectOutput> {
        objects::put(&self.backend, request).await.map(S3Response::new)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Response<GetObjectOutput> {
        objects::get(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Response<HeadObjectOutput> {
        objects::head(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Response<CopyObjectOutput> {
        objects::copy(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Response<DeleteObjectOutput> {
        objects::delete(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Response<DeleteObjectsOutput> {
        objects::delete_many(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Response<ListObjectsV2Output> {
        list_objects::list_objects_v2(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Response<CreateMultipartUploadOutput> {
        multipart::create(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Response<UploadPartOutput> {
        multipart::upload_part(&self.backend, request).await.map(S3Response::new)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Response<UploadPartCopyOutput> {
        multipart::upload_part_copy(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Response<CompleteMultipartUploadOutput> {
        multipart::complete(&self.backend, request.input).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Response<AbortMultipartUploadOutput> {
        multipart::abort(&self.backend, request.input).await.map(S3Response::new)
    }
}
