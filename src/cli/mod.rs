//! The commands, one a file, and what they share: how a model is named, where data lies, how a fit is shown.

/// Prints a line. Whoever reads may have read enough and gone, as `head` does: that is no error.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

pub(crate) mod batch;
#[cfg(feature = "local")]
pub(crate) mod demo;
pub(crate) mod models;
pub(crate) mod pca;
#[path = "buckets.rs"]
pub(crate) mod place;
pub(crate) mod rebuild;
#[cfg(feature = "local")]
pub(crate) mod serve;
pub(crate) mod status;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fruitvec::config::{self, MODELS_DIR, from_environment};
use fruitvec::embed::{self, Embedder, Engine};
use fruitvec::error::Result;
use fruitvec::model::{DEFAULT_MODEL, ModelCard};
use fruitvec::refit::Refitted;
#[cfg(feature = "local")]
use {
    aws_sdk_s3::error::DisplayErrorContext, aws_sdk_s3::operation::create_bucket::CreateBucketError,
    fruitvec::error::Error, fruitvec::ingest::Ingest, fruitvec::local::Server, fruitvec::store::Store,
    std::path::Path,
};

/// The photos bucket of the embedded S3.
#[cfg(feature = "local")]
pub(crate) const PHOTOS: &str = "photos";
/// The results bucket of the embedded S3.
#[cfg(feature = "local")]
pub(crate) const RESULTS: &str = "results";

/// An embedded S3 on a folder and what ingests its photos, with the limits of the environment.
#[cfg(feature = "local")]
pub(crate) async fn local_ingest(
    model: &ModelChoice,
    engine: EngineChoice,
    data: &Path,
    port: u16,
) -> Result<(Server, Store, Ingest)> {
    let embedder = engine.load(&model.card()?)?;
    let server = Server::start(data, port).await?;
    let store = local_store(&server).await?;
    let (limits, threads) = (config::limits(from_environment)?, config::threads(from_environment)?);
    let ingest = Ingest::new(store.clone(), RESULTS, embedder, limits, threads);
    Ok((server, store, ingest))
}

/// The store of an embedded S3, with its two buckets.
#[cfg(feature = "local")]
pub(crate) async fn local_store(server: &Server) -> Result<Store> {
    let client = server.client();
    for bucket in [PHOTOS, RESULTS] {
        if let Err(error) = client.create_bucket().bucket(bucket).send().await
            && !error.as_service_error().is_some_and(CreateBucketError::is_bucket_already_owned_by_you)
        {
            let cause = DisplayErrorContext(error).to_string().into();
            return Err(Error::S3 {
                verb: "create",
                bucket: bucket.into(),
                key: String::new(),
                passing: false,
                cause,
            });
        }
    }
    Ok(Store::new(client))
}

/// Which model.
#[derive(Args)]
pub(crate) struct ModelChoice {
    /// The model to embed with: an id of `fruitvec models list`.
    #[arg(long = "model", value_name = "ID", default_value = DEFAULT_MODEL, env = fruitvec::config::MODEL)]
    id: String,
}

impl ModelChoice {
    pub(crate) fn card(&self) -> Result<ModelCard> {
        ModelCard::find(&self.id, models_dir().as_deref())
    }
}

/// What runs the network.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct EngineChoice {
    /// What runs the network: tract, native, or native- and avx512, avx2 or portable; otherwise $FRUITVEC_ENGINE, or native where it can.
    #[arg(long, value_name = "NAME")]
    engine: Option<Engine>,
}

impl EngineChoice {
    /// The embedder of a model.
    pub(crate) fn load(self, card: &ModelCard) -> Result<Arc<dyn Embedder>> {
        let engine = match self.engine {
            Some(engine) => Some(engine),
            None => config::engine(from_environment)?,
        };
        embed::load_with(card, models_dir().as_deref(), engine)
    }
}

/// A key for a terminal: what would control it is escaped.
#[cfg(feature = "local")]
pub(crate) fn shown(key: &str) -> String {
    key.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// The folder of models that the environment names.
pub(crate) fn models_dir() -> Option<PathBuf> {
    from_environment(MODELS_DIR).map(PathBuf::from)
}

/// What the fit found, as a table, and where its files are; `place` tells a person where a key lies.
pub(crate) fn show_fit(refitted: &Refitted, place: impl Fn(&str) -> String) {
    let record = &refitted.record;
    let took = if refitted.already {
        "as before: nothing has changed".into()
    } else {
        format!("in {:.1} s", record.seconds)
    };
    say!("PCA of {} photos × {} numbers, {took}\n", record.rows, record.dimension);
    show_variance(&record.explained_variance_ratio);
    for key in refitted.files.iter().filter(|key| key.ends_with(".svg")) {
        say!("picture     {}", place(key));
    }
}

/// The explained-variance table: in per cent, with a bar for the eye.
fn show_variance(ratios: &[f64]) {
    const FULL: f64 = 40.0;
    say!("component  variance %  cumulative %");
    let mut cumulative = 0.0;
    for (component, ratio) in (1..).zip(ratios) {
        cumulative += ratio;
        let bar = "▇".repeat((ratio / ratios[0].max(f64::MIN_POSITIVE) * FULL).round() as usize);
        say!("{component:>9}  {:>10.2}  {:>12.2}  {bar}", 100.0 * ratio, 100.0 * cumulative);
    }
    say!();
}
