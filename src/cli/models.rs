//! `fruitvec models`: lists models, verifies their files, and downloads them.

use std::path::Path;

use clap::Subcommand;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::embed::model_file::{ModelLocation, locate};
use fruitvec::error::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::model_args::{EngineArgs, models_dir};
use super::model_download::{Pulled, pull};

/// List, verify and download models.
#[derive(Subcommand)]
pub(crate) enum Models {
    /// List all models, and whether their files are present.
    List,
    /// Verify that a model's file matches its card and gives the embeddings that the card promises.
    Verify {
        /// The model's id.
        id: String,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Download a model's file, unless it is present.
    Pull {
        /// The model's id.
        id: String,
    },
}

impl Models {
    pub(crate) fn run(self) -> Result<()> {
        let folder = models_dir();
        let folder = folder.as_deref();
        match self {
            Self::List => list(folder),
            Self::Verify { id, engine } => verify(&ModelCard::find(&id, folder)?, engine),
            Self::Pull { id } => download(&ModelCard::find(&id, folder)?, folder),
        }
    }
}

fn list(folder: Option<&Path>) -> Result<()> {
    say!("{:<28} {:>7}  {:>5}  {:>8}  {:<8}  what", "id", "numbers", "input", "size", "file");
    for card in ModelCard::all(folder)? {
        let file = match locate(&card, folder) {
            Some(ModelLocation::Bundled(_)) => "bundled",
            Some(ModelLocation::File(_)) => "here",
            None if card.file.url.is_some() => "to pull",
            None => "missing",
        };
        say!(
            "{:<28} {:>7}  {:>5}  {:>5.1} MB  {file:<8}  {}",
            card.id,
            card.dimension,
            card.input.side,
            card.file.size_bytes as f64 / 1e6,
            card.description,
        );
    }
    Ok(())
}

fn verify(card: &ModelCard, engine: EngineArgs) -> Result<()> {
    let embedder = engine.load(card)?;
    let (id, dimension, engine) = (&card.id, card.dimension, embedder.engine());
    say!("{id}: the file matches its card, and gives {dimension} finite numbers ({engine})");
    Ok(())
}

fn download(card: &ModelCard, folder: Option<&Path>) -> Result<()> {
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    let bar = ProgressBar::new(card.file.size_bytes).with_message(card.id.clone());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let pulled = pull(card, folder, |received| bar.set_position(received));
    bar.finish_and_clear();
    match pulled? {
        Pulled::Present(ModelLocation::Bundled(_)) => say!("{} is bundled with the program", card.id),
        Pulled::Present(ModelLocation::File(path)) => {
            say!("{} is already present and matches its card: {}", card.id, path.display());
        }
        Pulled::Downloaded(path) => say!("{} downloaded: {}", card.id, path.display()),
    }
    Ok(())
}
