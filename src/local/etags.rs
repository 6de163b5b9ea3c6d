//! `ETag`s of files: the MD5 of their bytes, or what a multipart upload made of the MD5s of its parts.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use md5::{Digest, Md5};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// What a file's bytes have not changed without: when it was written, to the nanosecond, and its length. A file
/// that is edited by hand gets a new one, and so a new `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    modified_ns: u64,
    size: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX), size: metadata.len() })
    }
}

/// An `ETag` that can't be computed from the file, kept beside the data.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    etag: String,
    stamp: Stamp,
}

/// The `ETag`s of files, computed when first asked for.
#[derive(Debug)]
pub(crate) struct ETags {
    /// Where those that can't be computed are kept.
    folder: PathBuf,
    known: Mutex<HashMap<PathBuf, (Stamp, String)>>,
}

impl ETags {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// The `ETag` of the open file at this path, without quotes. The file is left at its beginning.
    pub(crate) fn of(&self, path: &Path, file: &mut File) -> io::Result<String> {
        let stamp = Stamp::of(&file.metadata()?)?;
        if let Some(etag) = self.find(path, stamp) {
            return Ok(etag);
        }
        let etag = match self.kept(path, stamp) {
            Some(etag) => etag,
            None => hex::encode(md5(file)?),
        };
        self.insert(path, stamp, &etag);
        Ok(etag)
    }

    /// The `ETag` of the file at this path and with this metadata, if it is known.
    pub(crate) fn known(&self, path: &Path, metadata: &Metadata) -> io::Result<Option<String>> {
        Ok(self.find(path, Stamp::of(metadata)?))
    }

    /// Takes note of the `ETag` of a file that is about to be at this path; `computable` if it is its MD5.
    pub(crate) fn note(&self, path: &Path, file: &File, etag: &str, computable: bool) -> io::Result<()> {
        let stamp = Stamp::of(&file.metadata()?)?;
        match computable {
            true => drop(fs::remove_file(self.kept_at(path))),
            false => {
                fs::create_dir_all(&self.folder)?;
                fs::write(self.kept_at(path), serde_json::to_vec(&Kept { etag: etag.to_owned(), stamp })?)?;
            }
        }
        self.insert(path, stamp, etag);
        Ok(())
    }

    /// Forgets a file that is gone.
    pub(crate) fn forget(&self, path: &Path) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        drop(fs::remove_file(self.kept_at(path)));
    }

    fn find(&self, path: &Path, stamp: Stamp) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(path).filter(|(then, _)| *then == stamp).map(|(_, etag)| etag.clone())
    }

    fn insert(&self, path: &Path, stamp: Stamp, etag: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.to_owned(), (stamp, etag.to_owned()));
    }

    fn kept(&self, path: &Path, stamp: Stamp) -> Option<String> {
        let kept: Kept = serde_json::from_slice(&fs::read(self.kept_at(path)).ok()?).ok()?;
        (kept.stamp == stamp).then_some(kept.etag)
    }

    /// Named by a digest: the path would be too long for a name. It is the path below the data folder that counts,
    /// so that the data can be moved.
    fn kept_at(&self, path: &Path) -> PathBuf {
        let data = self.folder.ancestors().nth(2).unwrap_or(Path::new(""));
        let path = path.strip_prefix(data).unwrap_or(path);
        self.folder.join(hex::encode(digest(&SHA256, path.as_os_str().as_encoded_bytes())) + ".json")
    }
}

/// The MD5 of a file from its beginning, where it is left.
fn md5(file: &mut File) -> io::Result<[u8; 16]> {
    file.rewind()?;
    let mut digest = Md5::new();
    let mut buffer = vec![0; file.metadata()?.len().clamp(1, 1 << 16) as usize];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    file.rewind()?;
    Ok(digest.finalize().into())
}
