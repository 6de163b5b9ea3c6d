//! `fruitvec pca`: `fruitvec rebuild --job pca`, for results without their photos bucket.

use std::path::PathBuf;

use clap::Args;
use fruitvec::batch::pca::{COMPONENTS, FitOptions};
use fruitvec::batch::plan::PlanOptions;
use fruitvec::config::RESULTS_BUCKET;
use fruitvec::contract::run::Job;
use fruitvec::error::Result;

use super::buckets::{Buckets, bucket_name};
use super::model_args::ModelArgs;
use super::rebuild::rebuild;
use super::show_fit::show_fit;
use super::worker_args::{ThreadArgs, WorkerArgs};

/// Refit the PCA to all current rows.
#[derive(Args)]
pub(crate) struct Pca {
    #[command(flatten)]
    model: ModelArgs,
    /// Number of components.
    #[arg(long, value_name = "N", default_value_t = COMPONENTS)]
    components: usize,
    /// Fit from the rows alone: ignore cached moments, and fit even if nothing changed.
    #[arg(long)]
    full: bool,
    /// The results bucket in S3. Credentials, region and endpoint come from the environment.
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket_name, env = RESULTS_BUCKET)]
    #[arg(conflicts_with = "data")]
    results: Option<String>,
    /// The folder of the embedded S3, when no bucket is given.
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: PathBuf,
    #[command(flatten)]
    threads: ThreadArgs,
}

impl Pca {
    pub(crate) async fn run(self) -> Result<()> {
        let buckets = match self.results {
            // A fit reads no photos.
            Some(results) => Buckets::in_s3(String::new(), results).await,
            None => Buckets::embedded(&self.data).await?,
        };
        let fit = FitOptions { components: self.components, full: self.full, ..FitOptions::default() };
        let options = PlanOptions { fit, ..PlanOptions::default() };
        let worker = WorkerArgs { threads: self.threads, ..WorkerArgs::default() };
        let run = buckets.start_run(Job::Pca, &self.model)?;
        if let Some(fit) = rebuild(&run, worker, &options).await? {
            show_fit(&fit, |key| buckets.locate(key));
        }
        Ok(())
    }
}
