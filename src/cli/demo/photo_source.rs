//! The photos of the demo: the files of a folder, or samples that the program paints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fruitvec::contract::photo::label;
use fruitvec::error::{Error, Result};
use md5::{Digest, Md5};

use super::super::terminal::counted;

/// The file extensions of photos. The content decides what a photo is. The extension only decides
/// which files of a folder are tried.
const EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif", "jxl"];

/// The photos to upload, by key.
pub(super) struct PhotoSources {
    pub(super) by_key: BTreeMap<String, PhotoSource>,
    origin: String,
    skipped: usize,
}

/// Where the bytes of a photo come from.
pub(super) enum PhotoSource {
    File(PathBuf),
    Sample(Bytes),
}

impl PhotoSource {
    /// Returns the bytes, and the `ETag` that S3 will give them.
    pub(super) fn read(&self) -> Result<(Bytes, String)> {
        let bytes = match self {
            Self::File(path) => std::fs::read(path).map(Bytes::from).map_err(Error::file(path))?,
            Self::Sample(bytes) => bytes.clone(),
        };
        let etag = hex::encode(Md5::digest(&bytes));
        Ok((bytes, etag))
    }
}

impl PhotoSources {
    /// Paints the sample photos.
    pub(super) fn samples() -> Result<Self> {
        let by_key = fruitvec_sample_photos::photos()
            .map(|photo| {
                photo.map(|(name, bytes)| (format!("photos/{name}"), PhotoSource::Sample(bytes.into())))
            })
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::Internal(format!("painting: {cause}")))?;
        Ok(Self { by_key, origin: "painted by the program".into(), skipped: 0 })
    }

    /// Finds every photo under `dir`, except under `data`, which holds the buckets. A photo
    /// directly in `dir` gets the name of `dir` as its label.
    pub(super) fn in_folder(dir: &Path, data: &Path) -> Result<Self> {
        let dir = dir.canonicalize().map_err(Error::file(dir))?;
        let data = data.canonicalize().ok();
        let mut photos = Self { by_key: BTreeMap::new(), origin: dir.display().to_string(), skipped: 0 };
        photos.walk(&dir, &dir, data.as_deref())?;
        if photos.by_key.is_empty() {
            let extensions = EXTENSIONS.join(", ");
            let origin = photos.origin;
            return Err(Error::NothingToDo(format!(
                "there is no photo below {origin} (a file that ends in {extensions})"
            )));
        }
        Ok(photos)
    }

    fn walk(&mut self, root: &Path, folder: &Path, data: Option<&Path>) -> Result<()> {
        for entry in std::fs::read_dir(folder).map_err(Error::file(folder))? {
            let entry = entry.map_err(Error::file(folder))?;
            let path = entry.path();
            // The type of a link is not that of its target, so links to folders, which may form a
            // loop, are not followed.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if data != Some(&path) {
                    self.walk(root, &path, data)?;
                }
            } else if let Some(key) = photo_key(root, &path) {
                self.by_key.insert(key, PhotoSource::File(path));
            } else {
                self.skipped += 1;
            }
        }
        Ok(())
    }

    pub(super) fn description(&self) -> String {
        let labels: BTreeSet<_> = self.by_key.keys().filter_map(|key| label(key)).collect();
        let skipped = match self.skipped {
            0 => String::new(),
            n => format!("; {} skipped, not named as photos are", counted(n, "file")),
        };
        format!("{} of {}, {}{skipped}", self.by_key.len(), counted(labels.len(), "label"), self.origin)
    }
}

/// Returns a file's key, `photos/<label>/<name>`, or `None` when its name is not a photo's or not
/// UTF-8.
fn photo_key(root: &Path, path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    let hidden = path.file_name()?.to_str()?.starts_with('.');
    if hidden || !EXTENSIONS.contains(&extension.as_str()) {
        return None;
    }
    let relative = path.strip_prefix(root).ok()?.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
    if relative.contains('/') {
        return Some(format!("photos/{relative}"));
    }
    Some(format!("photos/{}/{relative}", root.file_name()?.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_from_the_path_below_the_folder() {
        let key = |path: &str| photo_key(Path::new("/x/Fruit"), Path::new(path));
        assert_eq!(key("/x/Fruit/Kiwi/a b.JPG").as_deref(), Some("photos/Kiwi/a b.JPG"));
        assert_eq!(key("/x/Fruit/Training/Kiwi/a.png").as_deref(), Some("photos/Training/Kiwi/a.png"));
        assert_eq!(key("/x/Fruit/a.webp").as_deref(), Some("photos/Fruit/a.webp"));
    }

    #[test]
    fn hidden_files_and_other_extensions_are_skipped() {
        for path in ["/x/Fruit/Kiwi/.a.jpg", "/x/Fruit/Kiwi/a.txt", "/x/Fruit/Kiwi/jpg"] {
            assert_eq!(photo_key(Path::new("/x/Fruit"), Path::new(path)), None, "{path}");
        }
    }
}
