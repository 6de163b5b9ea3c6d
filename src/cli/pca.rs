//! `fruitvec pca`: refit over all current rows. It is `fruitvec rebuild --job pca` for those who have no bucket of photos at hand.

use clap::Args;
use fruitvec::error::Result;
use fruitvec::fits::Asked;
use fruitvec::plan::Wishes;
use fruitvec::refit::COMPONENTS;
use fruitvec::run::Job;

use super::place::{Means, Reached, Threads, bucket};
use super::rebuild::rebuild;
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
    #[arg(long, value_name = "S3://BUCKET", value_parser = bucket, env = fruitvec::config::RESULTS_BUCKET)]
    #[cfg_attr(feature = "local", arg(conflicts_with = "data"))]
    #[cfg_attr(not(feature = "local"), arg(required = true))]
    results: Option<String>,
    /// The folder of the embedded S3, where no bucket is named.
    #[cfg(feature = "local")]
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: std::path::PathBuf,
    #[command(flatten)]
    threads: Threads,
}

impl Pca {
    pub(crate) async fn run(self) -> Result<()> {
        let reached = match self.results {
            // A fit reads no photo.
            Some(results) => Reached::in_s3(String::new(), results).await,
            #[cfg(feature = "local")]
            None => Reached::embedded(&self.data).await?,
            #[cfg(not(feature = "local"))]
            None => {
                return Err(fruitvec::error::Error::Config("name the results bucket with --results".into()));
            }
        };
        let asked = Asked { components: self.components, full: self.full, ..Asked::default() };
        let wishes = Wishes { asked, ..Wishes::default() };
        let run = reached.run(Job::Pca, &self.model)?;
        if let Some(refitted) =
            rebuild(&run, Means { threads: self.threads, ..Means::default() }, &wishes).await?
        {
            show_fit(&refitted, |key| reached.place(key));
        }
        Ok(())
    }
}
