//! `fruitvec demo`: the whole job on one machine.

mod photo_source;
mod summary;
mod upload;

use std::path::PathBuf;

use clap::Args;
use fruitvec::batch::pca::{COMPONENTS, FitOptions, FitResult};
use fruitvec::batch::plan::PlanOptions;
use fruitvec::batch::run_local::run_local;
use fruitvec::contract::run::Job;
use fruitvec::error::{Error, Result};

use self::photo_source::PhotoSources;
use self::upload::Uploader;
use super::buckets::Buckets;
use super::embedded::start_with_ingest;
use super::model_args::{EngineArgs, ModelArgs};
use super::show_fit::show_fit;
use super::terminal::counted;
use super::worker_args::{WorkerArgs, worker};

/// Do the whole job on this machine: photos in, embeddings in Parquet, PCA out.
#[derive(Args)]
pub(crate) struct Demo {
    /// A folder of photos, one folder per label. Default: sample photos that the program paints.
    dir: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// The folder that holds the buckets.
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: PathBuf,
    /// Number of PCA components.
    #[arg(long, value_name = "N", default_value_t = COMPONENTS)]
    components: usize,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<()> {
        let photos = match &self.dir {
            Some(dir) => PhotoSources::in_folder(dir, &self.data)?,
            None => PhotoSources::samples()?,
        };
        let (server, store, ingest) = start_with_ingest(&self.model, self.engine, &self.data, 0).await?;
        let card = ingest.card();
        say!("model       {}: {}, {} numbers", card.id, card.description, card.dimension);
        say!("S3          {}, data in {}", server.endpoint(), self.data.display());
        say!("photos      {}\n", photos.description());

        let summary = Uploader { server: &server, store: &store, ingest: &ingest }.upload(&photos).await?;
        summary.show();

        let buckets = Buckets::of_server(server, store, &self.data);
        let fit = self.refit(&buckets).await?;
        show_fit(&fit, |key| buckets.locate(key));
        show_paths(&fit, &buckets);
        summary.check_all_embedded()
    }

    async fn refit(&self, buckets: &Buckets) -> Result<FitResult> {
        // The events have reported every photo, so the rebuild only has to fit the PCA, unless
        // someone changed the folder in the meantime.
        let fit = FitOptions { components: self.components, ..FitOptions::default() };
        let options = PlanOptions { fit, confirmed: true, ..PlanOptions::default() };
        let run = buckets.start_run(Job::Rebuild, &self.model)?;
        let args = WorkerArgs { engine: self.engine, ..WorkerArgs::default() };
        let worker = worker(&run.store, &run.results_bucket, run.card.clone(), args, |_, _| ())?;
        run_local(&run, &worker, &options, &mut |_| ())
            .await?
            .ok_or_else(|| Error::NothingToDo("there are no embeddings to fit a PCA to".into()))
    }
}

/// Prints where the rows and their projections are.
fn show_paths(fit: &FitResult, buckets: &Buckets) {
    let record = &fit.record;
    let embeddings = format!("embeddings/model={}/date=*/*.parquet", record.model);
    let reduced = format!("reduced/model={}/fit={}/date=*/*.parquet", record.model, record.fit);
    let parts = counted(record.parts, "part");
    say!("embeddings  {}  ({} rows in {parts})", buckets.locate(&embeddings), record.rows);
    say!("reduced     {}", buckets.locate(&reduced));
}
