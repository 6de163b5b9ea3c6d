//! `fruitvec pca`: refit over all current rows.

use clap::Args;
use fruitvec::error::Result;
use fruitvec::refit::{COMPONENTS, Refit};
use fruitvec::snapshot::Snapshot;
use fruitvec::store::Store;

use super::{ModelChoice, show_fit};

/// Refit the PCA over all current rows.
#[derive(Args)]
pub(crate) struct Pca {
    #[command(flatten)]
    model: ModelChoice,
    /// How many components.
    #[arg(long, value_name = "N", default_value_t = COMPONENTS)]
    components: usize,
    /// From the rows alone, whatever is kept and even if nothing has changed.
    #[arg(long)]
    full: bool,
    /// The results bucket in S3, reached with the credentials, region and endpoint of the environment.
    #[arg(long, value_name = "BUCKET", env = fruitvec::config::RESULTS_BUCKET)]
    #[cfg_attr(feature = "local", arg(conflicts_with = "data"))]
    #[cfg_attr(not(feature = "local"), arg(required = true))]
    results: Option<String>,
    /// The folder of the embedded S3, where no bucket is named.
    #[cfg(feature = "local")]
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: std::path::PathBuf,
}

impl Pca {
    pub(crate) async fn run(self) -> Result<()> {
        if let Some(bucket) = &self.results {
            let store = Store::from_environment().await;
            return self.refit(&store, bucket, |key| format!("s3://{bucket}/{key}")).await;
        }
        self.refit_local().await
    }

    #[cfg(feature = "local")]
    async fn refit_local(&self) -> Result<()> {
        if !self.data.is_dir() {
            let reason = format!("there is no folder {}; name it with --data", self.data.display());
            return Err(fruitvec::error::Error::Config(reason));
        }
        let server = fruitvec::local::Server::start(&self.data, 0).await?;
        let store = super::local_store(&server).await?;
        let results = self.data.join(super::RESULTS);
        self.refit(&store, super::RESULTS, |key| results.join(key).display().to_string()).await
    }

    #[cfg(not(feature = "local"))]
    async fn refit_local(&self) -> Result<()> {
        Err(fruitvec::error::Error::Config("name the results bucket with --results".into()))
    }

    async fn refit(&self, store: &Store, results_bucket: &str, place: impl Fn(&str) -> String) -> Result<()> {
        let card = self.model.card()?;
        let snapshot = Snapshot::take(store, results_bucket, &card.id).await?;
        let refit = Refit { store, results_bucket, card: &card, components: self.components };
        let refitted = if self.full { refit.run_full(&snapshot).await } else { refit.run(&snapshot).await };
        show_fit(&refitted?, place);
        Ok(())
    }
}
