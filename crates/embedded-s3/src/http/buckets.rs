//! Bucket operations.

use std::time::SystemTime;

use s3s::S3Result;
use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsOutput,
};

use crate::http::backend::Backend;
use crate::region::REGION;

pub(crate) async fn create(backend: &Backend, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
    let bucket = input.bucket;
    let location = Some(format!("/{bucket}"));
    backend.run(move |objects| objects.buckets.create(&bucket)).await?;
    Ok(CreateBucketOutput { location })
}

pub(crate) async fn head(backend: &Backend, input: HeadBucketInput) -> S3Result<HeadBucketOutput> {
    backend.run(move |objects| objects.buckets.existing(&input.bucket)).await?;
    Ok(HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..Default::default() })
}

pub(crate) async fn location(
    backend: &Backend,
    input: GetBucketLocationInput,
) -> S3Result<GetBucketLocationOutput> {
    backend.run(move |objects| objects.buckets.existing(&input.bucket)).await?;
    let region = BucketLocationConstraint::from_static(REGION);
    Ok(GetBucketLocationOutput { location_constraint: Some(region) })
}

pub(crate) async fn delete(backend: &Backend, input: DeleteBucketInput) -> S3Result<DeleteBucketOutput> {
    backend.run(move |objects| objects.buckets.delete(&input.bucket)).await?;
    Ok(DeleteBucketOutput::default())
}

pub(crate) async fn list(backend: &Backend) -> S3Result<ListBucketsOutput> {
    let buckets = backend.run(|objects| objects.buckets.list()).await?;
    let bucket = |(name, created): (String, SystemTime)| Bucket {
        name: Some(name),
        creation_date: Some(created.into()),
        bucket_region: Some(REGION.to_owned()),
    };
    let buckets = Some(buckets.into_iter().map(bucket).collect());
    Ok(ListBucketsOutput { buckets, ..Default::default() })
}
