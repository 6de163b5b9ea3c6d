//! The commands, one a file, and what they share: how a model is named, where data lies, how a fit is shown.

#[cfg(feature = "local")]
pub(crate) mod demo;
pub(crate) mod models;
pub(crate) mod pca;
#[cfg(feature = "local")]
pub(crate) mod serve;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fruitvec::config::{MODELS_DIR, from_environment};
use fruitvec::embed::{self, Embedder};
use fruitvec::error::Result;
use fruitvec::model::{DEFAULT_MODEL, ModelCard};
use fruitvec::pca::table;
use fruitvec::refit::Refitted;

/// The photos bucket of the embedded S3.
#[cfg(feature = "local")]
pub(crate) const PHOTOS: &str = "photos";
/// The results bucket of the embedded S3.
pub(crate) const RESULTS: &str = "results";

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

    #[cfg_attr(not(feature = "local"), expect(dead_code))]
    pub(crate) fn load(&self) -> Result<Arc<dyn Embedder>> {
        embed::load(&self.card()?, models_dir().as_deref())
    }
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
    println!("PCA of {} photos × {} numbers, {took}\n", record.rows, record.dimension);
    println!("{}", table(&record.explained_variance_ratio));
    for key in refitted.files.iter().filter(|key| key.ends_with(".svg")) {
        println!("picture     {}", place(key));
    }
}
