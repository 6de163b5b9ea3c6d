//! The arguments that choose a model and the engine that runs it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fruitvec::config::{MODEL, MODELS_DIR, from_environment};
use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::embed::{self, Embedder, Engine};
use fruitvec::error::Result;
use fruitvec::ingest;

/// Which model.
#[derive(Args)]
pub(crate) struct ModelArgs {
    /// The model to embed with: an id of `fruitvec models list`.
    #[arg(long = "model", value_name = "ID", default_value = DEFAULT_MODEL, env = MODEL)]
    id: String,
}

impl ModelArgs {
    pub(crate) fn card(&self) -> Result<ModelCard> {
        ModelCard::find(&self.id, models_dir().as_deref())
    }
}

/// Which engine.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct EngineArgs {
    /// The engine that runs the network: native, native-avx512, native-avx2, native-portable or
    /// tract. Default: $FRUITVEC_ENGINE, or native if it supports the network.
    #[arg(long, value_name = "NAME")]
    engine: Option<Engine>,
}

impl EngineArgs {
    /// Loads the embedder of a model.
    pub(crate) fn load(self, card: &ModelCard) -> Result<Arc<dyn Embedder>> {
        let engine = match self.engine {
            Some(engine) => Some(engine),
            None => ingest::engine(from_environment)?,
        };
        embed::load_with(card, models_dir().as_deref(), engine)
    }
}

/// Returns the folder of models that the environment names.
pub(crate) fn models_dir() -> Option<PathBuf> {
    from_environment(MODELS_DIR).map(PathBuf::from)
}
