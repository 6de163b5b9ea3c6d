//! The embedded S3 as the commands use it: its two buckets, and an ingest on top.

use std::path::Path;

use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use fruitvec::config::{from_environment, limits, threads};
use fruitvec::error::{Error, Result};
use fruitvec::ingest::Ingest;
use fruitvec::s3::Store;
use fruitvec_embedded_s3::Server;

use super::model_args::{EngineArgs, ModelArgs};

/// The photos bucket of the embedded S3.
pub(crate) const PHOTOS: &str = "photos";
/// The results bucket of the embedded S3.
pub(crate) const RESULTS: &str = "results";

/// Starts an embedded S3 on a folder, and an ingest of its photos with the limits of the
/// environment.
pub(crate) async fn start_with_ingest(
    model: &ModelArgs,
    engine: EngineArgs,
    data: &Path,
    port: u16,
) -> Result<(Server, Store, Ingest)> {
    // The model comes first: with a wrong one, no folder is created.
    let embedder = engine.load(&model.card()?)?;
    let server = Server::start(data, port).await?;
    let store = create_buckets(&server).await?;
    let (limits, threads) = (limits(from_environment)?, threads(from_environment)?);
    let ingest = Ingest::new(store.clone(), RESULTS, embedder, limits, threads);
    Ok((server, store, ingest))
}

/// Creates the two buckets unless they exist, and returns the store that holds them.
pub(crate) async fn create_buckets(server: &Server) -> Result<Store> {
    let client = server.client();
    for bucket in [PHOTOS, RESULTS] {
        if let Err(error) = client.create_bucket().bucket(bucket).send().await
            && !error.as_service_error().is_some_and(CreateBucketError::is_bucket_already_owned_by_you)
        {
            return Err(Error::S3 {
                verb: "create",
                bucket: bucket.into(),
                key: String::new(),
                transient: false,
                cause: DisplayErrorContext(error).to_string().into(),
            });
        }
    }
    Ok(Store::new(client))
}
