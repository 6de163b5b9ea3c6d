//! Finds, verifies and reads the ONNX file of a model card.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

#[cfg(feature = "cli")]
use crate::contract::model_card::DEFAULT_MODEL;
use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};

/// The files that are part of the program, by model id. Only the command line has one. A deployed
/// function reads its model from a file in its package.
#[cfg(feature = "cli")]
const BUNDLED: &[(&str, &[u8])] =
    &[(DEFAULT_MODEL, include_bytes!("../../models/fruit-mobilenetv2-035-128.onnx"))];
#[cfg(not(feature = "cli"))]
const BUNDLED: &[(&str, &[u8])] = &[];

/// The largest file that is read. A Lambda function has no memory for a larger network.
const MAX_BYTES: u64 = 1 << 30;

/// The location of a model's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelLocation {
    /// A file in a folder.
    File(PathBuf),
    /// The contents of a file that is part of the program.
    Bundled(&'static [u8]),
}

/// Returns the folder for downloaded files: `$XDG_CACHE_HOME/fruitvec/models`, or
/// `~/.cache/fruitvec/models`.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    // The XDG specification treats an empty variable as unset.
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(cache.join("fruitvec").join("models"))
}

/// Locates a model's file, in this order: `models_dir`, the cache folder, the program. Reads
/// nothing.
#[must_use]
pub fn locate(card: &ModelCard, models_dir: Option<&Path>) -> Option<ModelLocation> {
    let folders = models_dir.map(Path::to_owned).into_iter().chain(cache_dir());
    let file = folders.map(|folder| folder.join(&card.file.name)).find(|path| path.is_file());
    let bundled =
        || BUNDLED.iter().find(|(id, _)| *id == card.id).map(|(_, file)| ModelLocation::Bundled(file));
    file.map(ModelLocation::File).or_else(bundled)
}

/// Reads a model's file and verifies it against the card.
///
/// # Errors
/// [`Error::Model`] if no file is found, or the file is not the card's, or is larger than a GiB.
pub fn read(card: &ModelCard, models_dir: Option<&Path>) -> Result<Cow<'static, [u8]>> {
    let bytes = match locate(card, models_dir) {
        Some(ModelLocation::File(path)) => {
            let size = std::fs::metadata(&path).map_err(Error::file(&path))?.len();
            if size > MAX_BYTES {
                let name = &card.file.name;
                return Err(card.error(format!(
                    "{name} has {size} bytes, at most {MAX_BYTES} are read; use a smaller network"
                )));
            }
            Cow::from(std::fs::read(&path).map_err(Error::file(&path))?)
        }
        Some(ModelLocation::Bundled(bytes)) => Cow::from(bytes),
        None => return Err(card.error(missing_file(card))),
    };
    verify(card, &bytes)?;
    Ok(bytes)
}

/// Checks that these bytes are the file that the card describes.
///
/// # Errors
/// [`Error::Model`] with both checksums if they are not.
pub fn verify(card: &ModelCard, bytes: &[u8]) -> Result<()> {
    let found = hex::encode(digest(&SHA256, bytes));
    if found == card.file.sha256 {
        return Ok(());
    }
    Err(card.error(format!(
        "{} has sha256 {found} and {} bytes, the card says {} and {}; \
         remove the file and run `fruitvec models pull {}`",
        card.file.name,
        bytes.len(),
        card.file.sha256,
        card.file.size_bytes,
        card.id
    )))
}

/// Describes a missing file and how to get it.
fn missing_file(card: &ModelCard) -> String {
    match card.file.url {
        Some(_) => format!("{} was not found; run `fruitvec models pull {}`", card.file.name, card.id),
        None => format!(
            "{} was not found and can't be downloaded; put it into ${} ({})",
            card.file.name,
            crate::config::MODELS_DIR,
            card.source
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> ModelCard {
        ModelCard::find("mobilenetv2-12", None).unwrap()
    }

    #[test]
    fn a_file_with_the_wrong_checksum_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let card = card();
        std::fs::write(folder.path().join(&card.file.name), b"tampered").unwrap();
        let error = read(&card, Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("has sha256") && error.contains("8 bytes"), "{error}");
        assert!(verify(&card, b"tampered").is_err());
    }

    #[test]
    fn a_file_with_the_right_checksum_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card();
        card.file.sha256 = hex::encode(digest(&SHA256, b"weights"));
        std::fs::write(folder.path().join(&card.file.name), b"weights").unwrap();
        assert_eq!(*read(&card, Some(folder.path())).unwrap(), *b"weights");
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let card = card();
        // The file has no blocks on disk.
        std::fs::File::create(folder.path().join(&card.file.name)).unwrap().set_len(MAX_BYTES + 1).unwrap();
        let error = read(&card, Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("has 1073741825 bytes"), "{error}");
    }

    #[test]
    fn a_missing_file_is_reported_with_the_command_that_downloads_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card();
        card.file.name = "nowhere.onnx".into();
        let error = read(&card, Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("models pull mobilenetv2-12"), "{error}");
    }

    #[test]
    fn a_missing_file_without_a_url_is_reported_with_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card();
        card.file.name = "nowhere.onnx".into();
        card.file.url = None;
        let error = read(&card, Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains(crate::config::MODELS_DIR) && error.contains(&card.source), "{error}");
        assert!(!error.contains("models pull"), "{error}");
    }

    #[test]
    fn the_models_folder_is_searched_first() {
        let folder = tempfile::tempdir().unwrap();
        let card = card();
        let path = folder.path().join(&card.file.name);
        std::fs::write(&path, b"any").unwrap();
        assert_eq!(locate(&card, Some(folder.path())), Some(ModelLocation::File(path)));
    }

    #[test]
    fn a_folder_with_the_files_name_is_not_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card();
        card.file.name = "nowhere.onnx".into();
        std::fs::create_dir(folder.path().join(&card.file.name)).unwrap();
        assert_eq!(locate(&card, Some(folder.path())), None);
    }
}
