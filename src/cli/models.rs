//! `fruitvec models`: which there are, whether their files are right, and fetching them.

use std::path::Path;

use clap::Subcommand;
use fruitvec::error::Result;
use fruitvec::model::{Found, ModelCard};
use fruitvec::pull::{Pulled, pull};
use indicatif::{ProgressBar, ProgressStyle};

use super::{EngineChoice, models_dir};

/// What to do with models.
#[derive(Subcommand)]
pub(crate) enum Models {
    /// Show every model, and whether its file is here.
    List,
    /// Check that a model's file is the one its card describes, and that it gives what the card says.
    Verify {
        /// The model's id.
        id: String,
        #[command(flatten)]
        engine: EngineChoice,
    },
    /// Fetch a model's file, unless it is here.
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
            Self::Pull { id } => fetch(&ModelCard::find(&id, folder)?, folder),
        }
    }
}

fn list(folder: Option<&Path>) -> Result<()> {
    say!("{:<28} {:>7}  {:>5}  {:>8}  {:<8}  what", "id", "numbers", "input", "size", "file");
    for card in ModelCard::all(folder)? {
        let file = match card.locate(folder) {
            Some(Found::Bundled(_)) => "bundled",
            Some(Found::File(_)) => "here",
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

fn verify(card: &ModelCard, engine: EngineChoice) -> Result<()> {
    let embedder = engine.load(card)?;
    say!(
        "{}: the file is the card's, and gives {} finite numbers ({})",
        card.id,
        card.dimension,
        embedder.engine()
    );
    Ok(())
}

fn fetch(card: &ModelCard, folder: Option<&Path>) -> Result<()> {
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    let bar = ProgressBar::new(card.file.size_bytes).with_message(card.id.clone());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let pulled = pull(card, folder, |received| bar.set_position(received));
    bar.finish_and_clear();
    match pulled? {
        Pulled::Present(Found::Bundled(_)) => say!("{} comes with the program", card.id),
        Pulled::Present(Found::File(path)) => {
            say!("{} was here and is right: {}", card.id, path.display())
        }
        Pulled::Downloaded(path) => say!("{} is here now: {}", card.id, path.display()),
    }
    Ok(())
}
