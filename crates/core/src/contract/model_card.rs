//! Model cards: which networks there are, where their files come from, and what they need.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::pixels::{Filter, Fit};

/// The model that is used where none is named: its file is part of the `local` program.
pub const DEFAULT_MODEL: &str = "fruit-mobilenetv2-035-128";

/// The cards of `models/`.
const CARDS: [&str; 6] = [
    include_str!("../../../../models/fruit-mobilenetv2-035-128.toml"),
    include_str!("../../../../models/mobilenetv2-keras.toml"),
    include_str!("../../../../models/mobilenetv1.toml"),
    include_str!("../../../../models/mobilenetv2-12.toml"),
    include_str!("../../../../models/resnet50-v1-12.toml"),
    include_str!("../../../../models/efficientnet-lite4-11.toml"),
];

/// The bundled file. What is deployed carries its model as a file beside the program instead.
#[cfg(feature = "local")]
const BUNDLED: &[(&str, &[u8])] =
    &[(DEFAULT_MODEL, include_bytes!("../../../../models/fruit-mobilenetv2-035-128.onnx"))];
#[cfg(not(feature = "local"))]
const BUNDLED: &[(&str, &[u8])] = &[];

/// What a model is, where its file comes from, and what it needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Lower-case letters, digits and dashes: it becomes part of paths.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// SPDX expression for the weights.
    pub licence: String,
    /// Who published them, where.
    pub source: String,
    /// How many numbers an embedding has.
    pub dimension: usize,
    /// The ONNX file.
    pub file: ModelFile,
    /// What becomes of a photo before the network sees it.
    pub input: ModelInput,
    /// The node whose output is the embedding, where the last global average pool is not it.
    #[serde(default)]
    pub embedding_node: Option<String>,
}

/// An ONNX file, as its card describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name in a models folder.
    pub name: String,
    /// Where it can be downloaded; none where it must be brought.
    #[serde(default)]
    pub url: Option<String>,
    /// 64 lower-case hex digits.
    pub sha256: String,
    /// Bytes.
    pub size_bytes: u64,
}

/// What becomes of a photo before the network sees it: a square of `(pixel − mean) / std`, pixels from 0 to 255, RGB.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInput {
    /// Width and height, pixels.
    pub side: u32,
    /// The order of the tensor's axes.
    pub layout: Layout,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// How a photo that is no square becomes one.
    pub fit: Fit,
    /// Subtracted from each channel.
    pub mean: [f32; 3],
    /// What each channel is divided by.
    pub std: [f32; 3],
}

/// The order of the axes of an input tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// Where a model's file was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// In a folder.
    File(PathBuf),
    /// In the program.
    Bundled(&'static [u8]),
}

impl ModelCard {
    /// The card that this TOML writes.
    ///
    /// # Errors
    /// [`Error::Model`] names the field that is missing, unknown or impossible.
    pub fn parse(toml: &str) -> Result<Self> {
        let card: Self = toml::from_str(toml)
            .map_err(|cause| Error::Model { model: "card".into(), reason: cause.to_string() })?;
        match card.flaw() {
            Some(flaw) => Err(card.error(flaw)),
            None => Ok(card),
        }
    }

    /// The card of that id: in `models_dir`, else one of those that come with the program.
    ///
    /// # Errors
    /// [`Error::Model`] when there is none; it lists those that there are.
    pub fn find(id: &str, models_dir: Option<&Path>) -> Result<Self> {
        let cards = Self::all(models_dir)?;
        let known = cards.iter().map(|card| card.id.as_str()).collect::<Vec<_>>().join(", ");
        cards.into_iter().find(|card| card.id == id).ok_or_else(|| Error::Model {
            model: id.to_owned(),
            reason: format!("there is no card of that id; there are {known}"),
        })
    }

    /// All cards: those of `models_dir` first, then those that come with the program.
    ///
    /// # Errors
    /// [`Error::Model`] or [`Error::File`] when a card can't be read.
    pub fn all(models_dir: Option<&Path>) -> Result<Vec<Self>> {
        let mut cards = models_dir.map_or(Ok(Vec::new()), cards_in)?;
        for card in CARDS {
            let card = Self::parse(card)?;
            if cards.iter().all(|known| known.id != card.id) {
                cards.push(card);
            }
        }
        Ok(cards)
    }

    /// Where the file is: in `models_dir`, in the cache folder, or in the program; nothing is read yet.
    #[must_use]
    pub fn locate(&self, models_dir: Option<&Path>) -> Option<Found> {
        let folders = models_dir.map(Path::to_owned).into_iter().chain(cache_dir());
        let file = folders.map(|folder| folder.join(&self.file.name)).find(|path| path.is_file());
        let bundled = || BUNDLED.iter().find(|(id, _)| *id == self.id).map(|(_, file)| Found::Bundled(file));
        file.map(Found::File).or_else(bundled)
    }

    /// The bytes of the file, verified against the card. No file is used that was not.
    ///
    /// # Errors
    /// [`Error::Model`] when there is no file, or it is not the one of the card.
    pub fn read(&self, models_dir: Option<&Path>) -> Result<Cow<'static, [u8]>> {
        let bytes = match self.locate(models_dir) {
            Some(Found::File(path)) => Cow::from(std::fs::read(&path).map_err(Error::file(&path))?),
            Some(Found::Bundled(bytes)) => Cow::from(bytes),
            None => return Err(self.error(self.how_to_get())),
        };
        self.verify(&bytes)?;
        Ok(bytes)
    }

    /// Whether these bytes are the file that the card describes.
    ///
    /// # Errors
    /// [`Error::Model`] with the checksums when they are not.
    pub fn verify(&self, bytes: &[u8]) -> Result<()> {
        let found = hex::encode(digest(&SHA256, bytes));
        if found == self.file.sha256 {
            return Ok(());
        }
        Err(self.error(format!(
            "{} has sha256 {found} and {} bytes, the card says {} and {}; remove the file and run `fruitvec models pull {}`",
            self.file.name,
            bytes.len(),
            self.file.sha256,
            self.file.size_bytes,
            self.id
        )))
    }

    /// An error about this model.
    #[must_use]
    pub fn error(&self, reason: impl Into<String>) -> Error {
        Error::Model { model: self.id.clone(), reason: reason.into() }
    }

    fn how_to_get(&self) -> String {
        match self.file.url {
            Some(_) => {
                format!("{} is not here; run `fruitvec models pull {}`", self.file.name, self.id)
            }
            None => format!(
                "{} is not here and can't be downloaded; put it in ${} ({})",
                self.file.name,
                crate::config::MODELS_DIR,
                self.source
            ),
        }
    }

    /// What is impossible about this card.
    fn flaw(&self) -> Option<String> {
        let in_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let in_digest = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        let input = &self.input;
        let flaws = [
            (
                self.id.is_empty() || !self.id.chars().all(in_id),
                "id: only lower-case letters, digits and dashes",
            ),
            (self.dimension == 0, "dimension: 0 numbers are no embedding"),
            (
                self.file.sha256.len() != 64 || !self.file.sha256.chars().all(in_digest),
                "file.sha256: 64 lower-case hex digits",
            ),
            (
                self.file.name.is_empty() || self.file.name.contains(['/', '\\']),
                "file.name: a name without a folder",
            ),
            (
                self.file.url.as_ref().is_some_and(|url| !url.starts_with("https://")),
                "file.url: only https is downloaded",
            ),
            (!(1..=4096).contains(&input.side), "input.side: from 1 to 4096 pixels"),
            (
                input.std.iter().any(|std| !std.is_normal())
                    || input.mean.iter().any(|mean| !mean.is_finite()),
                "input.std: finite and not 0",
            ),
            (
                matches!(input.fit, Fit::Crop { shorter_side } if shorter_side < input.side),
                "input.fit: the shorter side must be at least the side",
            ),
        ];
        flaws.into_iter().find(|(flawed, _)| *flawed).map(|(_, words)| words.to_owned())
    }
}

/// Where pulled files are kept: `$XDG_CACHE_HOME/fruitvec/models`, or `~/.cache/fruitvec/models`.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("fruitvec").join("models"))
}

fn cards_in(folder: &Path) -> Result<Vec<ModelCard>> {
    let entries = std::fs::read_dir(folder).map_err(Error::file(folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(Error::file(folder))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
        .iter()
        .map(|path| ModelCard::parse(&std::fs::read_to_string(path).map_err(Error::file(path))?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(line: &str, replacement: &str) -> Result<ModelCard> {
        assert!(CARDS[0].contains(line), "{line}");
        ModelCard::parse(&CARDS[0].replace(line, replacement))
    }

    #[test]
    fn every_card_parses_and_is_named_as_its_file() {
        let cards = ModelCard::all(None).unwrap();
        assert_eq!(cards.len(), CARDS.len());
        for card in cards {
            assert_eq!(card.file.name, format!("{}.onnx", card.id));
        }
    }

    #[test]
    fn an_impossible_card_says_which_field_is_wrong() {
        for (line, replacement, field) in [
            ("dimension = 1280", "dimension = 0", "dimension"),
            ("side = 128", "side = 0", "input.side"),
            ("sha256 = \"bf", "sha256 = \"BF", "file.sha256"),
            ("std = [127.5", "std = [0.0", "input.std"),
            ("id = \"fruit", "id = \"../fruit", "id"),
            ("name = \"fruit", "name = \"../fruit", "file.name"),
            ("\"stretch\"", "{ crop = { shorter_side = 5 } }", "input.fit"),
            ("[file]", "[file]\nurl = \"http://x\"", "file.url"),
            ("dimension = 1280", "", "dimension"),
            ("dimension = 1280", "dimension = 1280\ncolour = 1", "colour"),
        ] {
            let error = with(line, replacement).unwrap_err().to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
    }

    #[test]
    fn an_unknown_model_is_answered_with_those_that_there_are() {
        let error = ModelCard::find("vgg", None).unwrap_err().to_string();
        assert!(error.starts_with("model vgg: ") && error.contains("resnet50-v1-12"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_the_cards_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
        std::fs::write(folder.path().join(&card.file.name), b"tampered").unwrap();
        let error = card.read(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("has sha256") && error.contains("8 bytes"), "{error}");
    }

    #[test]
    fn a_missing_file_is_answered_with_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = ModelCard::find("mobilenetv2-12", None).unwrap();
        card.file.name = "nowhere.onnx".into();
        let error = card.read(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("models pull mobilenetv2-12"), "{error}");
    }

    #[test]
    fn a_card_of_the_folder_comes_before_ours() {
        let folder = tempfile::tempdir().unwrap();
        let card = CARDS[0].replace("MobileNetV2 width 0.35", "Mine");
        std::fs::write(folder.path().join("mine.toml"), card).unwrap();
        let card = ModelCard::find(DEFAULT_MODEL, Some(folder.path())).unwrap();
        assert!(card.description.starts_with("Mine"), "{}", card.description);
    }
}
