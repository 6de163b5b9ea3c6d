//! The buckets of a command: two in S3, or those of an embedded S3 on a folder.

use std::path::{Path, PathBuf};

use clap::Args;
use fruitvec::batch::run::Run;
use fruitvec::contract::run::{Job, RunId};
use fruitvec::error::{Error, Result};
use fruitvec::s3::Store;
use fruitvec_embedded_s3::Server;

use super::embedded::{PHOTOS, RESULTS, create_buckets};
use super::model_args::ModelArgs;

/// The buckets of a command that also works on the embedded S3.
#[derive(Args)]
pub(crate) struct BucketArgs {
    /// The photos bucket: `s3://BUCKET`, or just its name.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket_name, requires = "results")]
    photos: Option<String>,
    /// The results bucket. Credentials, region and endpoint come from the environment.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket_name, requires = "photos")]
    #[arg(conflicts_with = "data")]
    results: Option<String>,
    /// The folder of the embedded S3, when no buckets are given.
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: PathBuf,
}

impl BucketArgs {
    /// Opens the buckets in S3, or starts the embedded S3.
    pub(crate) async fn open(&self) -> Result<Buckets> {
        match (self.photos.clone(), self.results.clone()) {
            (Some(photos), Some(results)) => Ok(Buckets::in_s3(photos, results).await),
            _ => Buckets::embedded(&self.data).await,
        }
    }
}

/// An open pair of buckets.
pub(crate) struct Buckets {
    pub(crate) store: Store,
    photos: String,
    results: String,
    /// The path or URL of the results bucket, for display.
    display_root: String,
    /// Stops the embedded S3 when dropped.
    _server: Option<Server>,
}

impl Buckets {
    /// Opens two buckets in S3.
    pub(crate) async fn in_s3(photos: String, results: String) -> Self {
        let display_root = format!("s3://{results}");
        Self { store: Store::from_environment().await, photos, results, display_root, _server: None }
    }

    /// Starts an embedded S3 on a folder that exists.
    pub(crate) async fn embedded(data: &Path) -> Result<Self> {
        if !data.is_dir() {
            return Err(Error::Config(format!(
                "there is no folder {}; name it with --data, or buckets with --photos and --results",
                data.display()
            )));
        }
        let server = Server::start(data, 0).await?;
        let store = create_buckets(&server).await?;
        Ok(Self::of_server(server, store, data))
    }

    /// Takes over a running embedded S3.
    pub(crate) fn of_server(server: Server, store: Store, data: &Path) -> Self {
        let display_root = data.join(RESULTS).display().to_string();
        let (photos, results) = (PHOTOS.to_owned(), RESULTS.to_owned());
        Self { store, photos, results, display_root, _server: Some(server) }
    }

    /// Returns a run of a job that starts now.
    pub(crate) fn start_run(&self, job: Job, model: &ModelArgs) -> Result<Run> {
        Ok(Run {
            id: RunId::now(job)?,
            job,
            store: self.store.clone(),
            photos_bucket: self.photos.clone(),
            results_bucket: self.results.clone(),
            card: model.card()?,
        })
    }

    /// Returns where a key of the results bucket is, as a path or URL for display.
    pub(crate) fn locate(&self, key: &str) -> String {
        format!("{}/{key}", self.display_root)
    }
}

/// Parses a bucket: its name, or `s3://bucket/`.
pub(crate) fn bucket_name(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("s3://").unwrap_or(text);
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() || name.contains('/') {
        return Err("name a whole bucket, such as s3://my-photos".into());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::bucket_name;

    #[test]
    fn a_bucket_is_named_with_or_without_its_scheme() {
        for named in ["s3://my-photos", "s3://my-photos/", "my-photos"] {
            assert_eq!(bucket_name(named).as_deref(), Ok("my-photos"));
        }
        for wrong in ["", "s3://", "s3://my-photos/2026", "https://my-photos"] {
            assert!(bucket_name(wrong).is_err(), "{wrong}");
        }
    }
}
