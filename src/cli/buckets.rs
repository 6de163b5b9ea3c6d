//! Where a batch reads and writes: two buckets of S3, or those of the embedded S3 in a folder.

use clap::Args;
use fruitvec::config::{self, from_environment};
use fruitvec::error::{Error, Result};
use fruitvec::ingest::Ingest;
use fruitvec::model::ModelCard;
use fruitvec::run::{Job, Run, RunId};
use fruitvec::store::Store;
use fruitvec::work::Worker;

use super::{EngineChoice, ModelChoice};

/// What plan, work and commit have in common.
#[derive(Args)]
pub(crate) struct Common {
    /// The bucket of the photos: `s3://BUCKET`, or its name alone.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket)]
    pub(crate) photos: Option<String>,
    /// The results bucket, reached with the credentials, region and endpoint of the environment.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket, env = config::RESULTS_BUCKET)]
    pub(crate) results: String,
    #[command(flatten)]
    pub(crate) model: ModelChoice,
}

/// What a worker works with.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct Means {
    #[command(flatten)]
    pub(crate) engine: EngineChoice,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// How many threads work.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct Threads {
    /// How many threads embed and compute; otherwise $FRUITVEC_THREADS, or the number of cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl Threads {
    fn count(self) -> Result<usize> {
        self.threads.map_or_else(|| config::threads(from_environment), |threads| Ok(threads.into()))
    }
}

/// The buckets of a command that can also do with the embedded S3.
#[derive(Args)]
pub(crate) struct Place {
    /// The bucket of the photos: `s3://BUCKET`, or its name alone.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket, requires = "results")]
    photos: Option<String>,
    /// The results bucket, reached with the credentials, region and endpoint of the environment.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket, requires = "photos")]
    #[cfg_attr(feature = "local", arg(conflicts_with = "data"))]
    results: Option<String>,
    /// The folder of the embedded S3, where no buckets are named.
    #[cfg(feature = "local")]
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: std::path::PathBuf,
}

/// A place that is reached.
pub(crate) struct Reached {
    pub(crate) store: Store,
    pub(crate) photos: String,
    pub(crate) results: String,
    /// What a key of the results begins with, for a person.
    shown: String,
    /// Kept up as long as the place is used.
    #[cfg(feature = "local")]
    _server: Option<fruitvec::local::Server>,
}

impl Reached {
    /// Buckets of S3.
    pub(crate) async fn in_s3(photos: String, results: String) -> Self {
        let shown = format!("s3://{results}");
        Self {
            store: Store::from_environment().await,
            photos,
            results,
            shown,
            #[cfg(feature = "local")]
            _server: None,
        }
    }

    /// Those of the embedded S3 in a folder that is there.
    #[cfg(feature = "local")]
    pub(crate) async fn embedded(data: &std::path::Path) -> Result<Self> {
        if !data.is_dir() {
            let reason = format!(
                "there is no folder {}; name it with --data, or buckets with --photos and --results",
                data.display()
            );
            return Err(Error::Config(reason));
        }
        let server = fruitvec::local::Server::start(data, 0).await?;
        let store = super::local_store(&server).await?;
        Ok(Self::of(server, store, data))
    }

    /// Those of an embedded S3 that is up.
    #[cfg(feature = "local")]
    pub(crate) fn of(server: fruitvec::local::Server, store: Store, data: &std::path::Path) -> Self {
        let shown = data.join(super::RESULTS).display().to_string();
        let (photos, results) = (super::PHOTOS.to_owned(), super::RESULTS.to_owned());
        Self { store, photos, results, shown, _server: Some(server) }
    }

    /// A run of a job that begins now.
    pub(crate) fn run(&self, job: Job, model: &ModelChoice) -> Result<Run> {
        Ok(Run {
            id: RunId::now(job)?,
            job,
            store: self.store.clone(),
            photos_bucket: self.photos.clone(),
            results_bucket: self.results.clone(),
            card: model.card()?,
        })
    }

    /// Where a key of the results lies, for a person.
    pub(crate) fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.shown)
    }
}

impl Place {
    /// Reaches the buckets that were named, or brings up the embedded S3.
    pub(crate) async fn reach(&self) -> Result<Reached> {
        match (self.photos.clone(), self.results.clone()) {
            (Some(photos), Some(results)) => Ok(Reached::in_s3(photos, results).await),
            #[cfg(feature = "local")]
            _ => Reached::embedded(&self.data).await,
            #[cfg(not(feature = "local"))]
            _ => Err(Error::Config("name the buckets with --photos and --results".into())),
        }
    }
}

/// A worker that loads its model when the first photo comes.
pub(crate) fn worker(
    store: &Store,
    results: &str,
    card: ModelCard,
    means: Means,
    heard: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Worker> {
    let (limits, threads) = (config::limits(from_environment)?, means.threads.count()?);
    fruitvec_pca::use_threads(threads);
    let (for_photos, bucket, of_photos) = (store.clone(), results.to_owned(), card.clone());
    let load = move || {
        let embedder = means.engine.load(&of_photos)?;
        Ok(Ingest::new(for_photos.clone(), bucket.clone(), embedder, limits, threads))
    };
    Ok(Worker::new(store.clone(), results, card, threads, Box::new(load)).hearing(heard))
}

/// A bucket's name, as it is or as `s3://bucket/`.
pub(crate) fn bucket(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("s3://").unwrap_or(text);
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() || name.contains('/') {
        return Err("name a whole bucket, such as s3://my-photos".into());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn a_bucket_is_named_with_or_without_its_scheme() {
        for named in ["s3://my-photos", "s3://my-photos/", "my-photos"] {
            assert_eq!(bucket(named).as_deref(), Ok("my-photos"));
        }
        for wrong in ["", "s3://", "s3://my-photos/2026", "https://my-photos"] {
            assert!(bucket(wrong).is_err(), "{wrong}");
        }
    }
}
