//! Model cards, which describe a network's file, its input and its embedding.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The id of the default model. The command-line program bundles its file.
pub const DEFAULT_MODEL: &str = "fruit-mobilenetv2-035-128";

/// The largest file of a card that is read.
const MAX_CARD_BYTES: u64 = 64 << 10;
/// The most values per embedding, and the most pixels of a resized photo's shorter side.
const MAX_DIMENSION: usize = 1 << 16;
const MAX_SHORTER_SIDE: u32 = 8192;
/// The most characters of a syntax error in a message.
const MAX_MESSAGE: usize = 300;

/// The cards of `models/`, which every program includes.
const CARDS: [&str; 6] = [
    include_str!("../../../../models/fruit-mobilenetv2-035-128.toml"),
    include_str!("../../../../models/mobilenetv2-keras.toml"),
    include_str!("../../../../models/mobilenetv1.toml"),
    include_str!("../../../../models/mobilenetv2-12.toml"),
    include_str!("../../../../models/resnet50-v1-12.toml"),
    include_str!("../../../../models/efficientnet-lite4-11.toml"),
];

/// The description of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The model's id, which is part of paths: lower-case letters, digits and dashes.
    pub id: String,
    /// One line for display.
    pub description: String,
    /// The licence of the weights, as an SPDX expression.
    pub licence: String,
    /// The publisher of the weights, and the place of publication.
    pub source: String,
    /// Values per embedding.
    pub dimension: usize,
    /// The ONNX file.
    pub file: ModelFile,
    /// The input that the network expects.
    pub input: ModelInput,
    /// The node whose output is the embedding. When absent, it is the last global average pool.
    #[serde(default)]
    pub embedding_node: Option<String>,
}

/// The description of an ONNX file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The file's name in a models folder.
    pub name: String,
    /// The download URL. When absent, the user must supply the file.
    #[serde(default)]
    pub url: Option<String>,
    /// SHA-256 of the file, as 64 lower-case hex digits.
    pub sha256: String,
    /// File size.
    pub size_bytes: u64,
}

/// The network's input: a square RGB image of `(pixel − mean) / std`, with pixels from 0 to 255.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInput {
    /// Width and height, in pixels.
    pub side: u32,
    /// The order of the tensor's axes.
    pub layout: Layout,
    /// The resampling filter.
    pub filter: Filter,
    /// How a photo that is not square becomes square.
    pub fit: ResizeMode,
    /// The value to subtract from each channel.
    pub mean: [f32; 3],
    /// The divisor of each channel.
    pub std: [f32; 3],
}

/// The order of an input tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// A resampling filter. Names and kernels are Pillow's, which widens the kernel for downscaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// A triangle.
    Bilinear,
    /// The Keys cubic with a = −0.5, also known as Catmull-Rom.
    Bicubic,
    /// A sinc windowed to three lobes.
    Lanczos3,
}

/// How an image that is not square becomes square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// Stretches the whole image to a square, as Keras does.
    Stretch,
    /// Scales the image until its shorter side is `shorter_side`, then crops the centre, as the
    /// ONNX model zoo does.
    Crop {
        /// Pixels, at least the side of the square. A smaller value counts as the side of the
        /// square.
        shorter_side: u32,
    },
}

impl ModelCard {
    /// Parses and validates a card.
    ///
    /// # Errors
    /// [`Error::Model`] names the field that is missing, unknown or invalid.
    pub fn parse(toml: &str) -> Result<Self> {
        let card: Self = toml::from_str(toml)
            .map_err(|cause| Error::Model { model: "card".into(), reason: described(&cause, toml) })?;
        match card.invalid_field() {
            Some(reason) => Err(card.error(reason)),
            None => Ok(card),
        }
    }

    /// Finds a card by its id, in `models_dir` and then among the built-in cards.
    ///
    /// # Errors
    /// [`Error::Model`] lists the known ids when the card does not exist.
    pub fn find(id: &str, models_dir: Option<&Path>) -> Result<Self> {
        let cards = Self::all(models_dir)?;
        let known = cards.iter().map(|card| card.id.as_str()).collect::<Vec<_>>().join(", ");
        cards.into_iter().find(|card| card.id == id).ok_or_else(|| Error::Model {
            model: id.to_owned(),
            reason: format!("there is no card of that id; known ids: {known}"),
        })
    }

    /// Returns all cards, first those in `models_dir`, then the built-in ones.
    ///
    /// A card in `models_dir` replaces a built-in card with the same id.
    ///
    /// # Errors
    /// [`Error::Model`] or [`Error::File`] when a card cannot be read.
    pub fn all(models_dir: Option<&Path>) -> Result<Vec<Self>> {
        let mut cards = models_dir.map_or(Ok(Vec::new()), read_cards)?;
        for card in CARDS {
            let card = Self::parse(card)?;
            if cards.iter().all(|known| known.id != card.id) {
                cards.push(card);
            }
        }
        Ok(cards)
    }

    /// Creates an error about this model.
    #[must_use]
    pub fn error(&self, reason: impl Into<String>) -> Error {
        Error::Model { model: self.id.clone(), reason: reason.into() }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let Self { description, licence, source, file, embedding_node, .. } = self;
        let optional = [&file.url, embedding_node].into_iter().flatten();
        [description, licence, source, &file.name].into_iter().chain(optional).map(String::as_str)
    }

    /// Describes the first invalid field.
    fn invalid_field(&self) -> Option<&'static str> {
        let in_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let in_digest = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        let Self { id, file, input, .. } = self;
        let checks = [
            // The id becomes part of object keys.
            (
                !id.is_empty() && id.chars().all(in_id),
                "id: must consist of lower-case letters, digits and dashes",
            ),
            ((1..=MAX_DIMENSION).contains(&self.dimension), "dimension: must be from 1 to 65536"),
            (
                file.sha256.len() == 64 && file.sha256.chars().all(in_digest),
                "file.sha256: must be 64 lower-case hex digits",
            ),
            // A path could lead out of the models folder.
            (
                !matches!(file.name.as_str(), "" | "." | "..") && !file.name.contains(['/', '\\']),
                "file.name: must be a file name without a folder",
            ),
            (
                file.url.as_ref().is_none_or(|url| url.starts_with("https://")),
                "file.url: must start with https://",
            ),
            ((1..=4096).contains(&input.side), "input.side: must be from 1 to 4096 pixels"),
            (input.std.iter().all(|std| std.is_normal()), "input.std: must be finite and not 0"),
            (input.mean.iter().all(|mean| mean.is_finite()), "input.mean: must be finite"),
            (
                !matches!(input.fit, ResizeMode::Crop { shorter_side } if shorter_side < input.side),
                "input.fit: the shorter side must be at least input.side",
            ),
            (
                !matches!(input.fit, ResizeMode::Crop { shorter_side } if shorter_side > MAX_SHORTER_SIDE),
                "input.fit: the shorter side must be at most 8192 pixels",
            ),
            // The texts become lines of output and of logs.
            (
                self.texts().all(|text| !text.chars().any(char::is_control)),
                "description, licence, source, file.name, file.url, embedding_node: must be single lines",
            ),
        ];
        checks.into_iter().find(|(valid, _)| !valid).map(|(_, reason)| reason)
    }
}

/// Describes a syntax error in one line.
fn described(cause: &toml::de::Error, toml: &str) -> String {
    let message: String = cause.message().replace('\n', " ").chars().take(MAX_MESSAGE).collect();
    match cause.span().and_then(|span| toml.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

fn read_cards(folder: &Path) -> Result<Vec<ModelCard>> {
    let entries = std::fs::read_dir(folder).map_err(Error::file(folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(Error::file(folder))?;
    // Reading a pipe would wait for its other end.
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml") && path.is_file());
    // The operating system lists a folder in any order.
    paths.sort();
    paths.iter().map(|path| read_card(path)).collect()
}

fn read_card(path: &Path) -> Result<ModelCard> {
    let size = std::fs::metadata(path).map_err(Error::file(path))?.len();
    if size > MAX_CARD_BYTES {
        let reason = format!("{} has {size} bytes, at most {MAX_CARD_BYTES} are read", path.display());
        return Err(Error::Model { model: "card".into(), reason });
    }
    ModelCard::parse(&std::fs::read_to_string(path).map_err(Error::file(path))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses the first card with one line replaced.
    fn with(line: &str, replacement: &str) -> Result<ModelCard> {
        assert!(CARDS[0].contains(line), "{line}");
        ModelCard::parse(&CARDS[0].replace(line, replacement))
    }

    #[test]
    fn every_built_in_card_is_valid_and_names_its_file_after_its_id() {
        let cards = ModelCard::all(None).unwrap();
        assert_eq!(cards.len(), CARDS.len());
        for card in cards {
            assert_eq!(card.file.name, format!("{}.onnx", card.id));
        }
    }

    #[test]
    fn an_invalid_card_is_refused_with_the_name_of_the_field() {
        for (line, replacement, field) in [
            ("dimension = 1280", "dimension = 0", "dimension"),
            ("dimension = 1280", "dimension = 4294967296", "dimension"),
            ("side = 128", "side = 0", "input.side"),
            ("sha256 = \"bf", "sha256 = \"BF", "file.sha256"),
            ("std = [127.5", "std = [0.0", "input.std"),
            ("id = \"fruit", "id = \"../fruit", "id"),
            ("name = \"fruit", "name = \"../fruit", "file.name"),
            ("\"stretch\"", "{ crop = { shorter_side = 5 } }", "input.fit"),
            ("\"stretch\"", "{ crop = { shorter_side = 4294967295 } }", "input.fit"),
            ("description = \"", "description = \"\\u001b[2J", "description"),
            ("licence = \"", "licence = \"\\n", "licence"),
            ("[file]", "[file]\nurl = \"http://x\"", "file.url"),
            ("dimension = 1280", "", "dimension"),
            ("dimension = 1280", "dimension = 1280\ncolour = 1", "colour"),
        ] {
            let error = with(line, replacement).unwrap_err().to_string();
            assert!(error.contains(field) && error.lines().count() == 1, "{field}: {error}");
        }
    }

    #[test]
    fn a_syntax_error_is_described_with_its_line() {
        let deep = format!("id = \"a\"\ndescription = {}", "[".repeat(10_000));
        let error = ModelCard::parse(&deep).unwrap_err().to_string();
        assert!(error.starts_with("model card: line 2: ") && error.lines().count() == 1, "{error}");
        let long = ModelCard::parse(&format!("{} = 1", "k".repeat(10_000))).unwrap_err().to_string();
        assert!(long.len() < 400, "{long}");
    }

    #[test]
    fn a_card_that_is_too_large_or_not_a_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
        assert_eq!(ModelCard::all(Some(folder.path())).unwrap().len(), CARDS.len());
        std::fs::write(folder.path().join("large.toml"), " ".repeat(100_000)).unwrap();
        let error = ModelCard::all(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("large.toml has 100000 bytes"), "{error}");
    }

    #[test]
    fn the_error_for_an_unknown_model_lists_the_known_ones() {
        let error = ModelCard::find("vgg", None).unwrap_err().to_string();
        assert!(error.starts_with("model vgg: ") && error.contains("resnet50-v1-12"), "{error}");
    }

    #[test]
    fn a_card_in_the_models_folder_replaces_the_built_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let card = CARDS[0].replace("description = \"", "description = \"Mine: ");
        std::fs::write(folder.path().join("mine.toml"), card).unwrap();
        let card = ModelCard::find(DEFAULT_MODEL, Some(folder.path())).unwrap();
        assert!(card.description.starts_with("Mine: "), "{}", card.description);
        assert_eq!(ModelCard::all(Some(folder.path())).unwrap().len(), CARDS.len());
    }
}
