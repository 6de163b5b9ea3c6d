//! The arguments of a worker, and the worker they describe.

use clap::Args;
use fruitvec::batch::work::Worker;
use fruitvec::config::{self, from_environment};
use fruitvec::contract::model_card::ModelCard;
use fruitvec::error::Result;
use fruitvec::ingest::Ingest;
use fruitvec::s3::Store;

use super::model_args::EngineArgs;

/// The engine and threads of a worker.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) threads: ThreadArgs,
}

/// The number of threads.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct ThreadArgs {
    /// How many threads embed and compute. Default: $FRUITVEC_THREADS, or the number of cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl ThreadArgs {
    fn count(self) -> Result<usize> {
        self.threads.map_or_else(|| config::threads(from_environment), |threads| Ok(threads.into()))
    }
}

/// Returns a worker that loads its model when the first photo arrives. Calls `on_photos` with the
/// number of photos and bytes that were just embedded.
pub(crate) fn worker(
    store: &Store,
    results_bucket: &str,
    card: ModelCard,
    args: WorkerArgs,
    on_photos: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Worker> {
    let (limits, threads) = (config::limits(from_environment)?, args.threads.count()?);
    fruitvec_pca::use_threads(threads);
    let ingest = {
        let (store, bucket, card) = (store.clone(), results_bucket.to_owned(), card.clone());
        move || {
            let embedder = args.engine.load(&card)?;
            Ok(Ingest::new(store.clone(), bucket.clone(), embedder, limits, threads))
        }
    };
    Ok(Worker::new(store.clone(), results_bucket, card, threads, Box::new(ingest)).on_photos(on_photos))
}
