//! `ETag`s of files: the MD5 of their bytes, or what a multipart upload made of the MD5s of its parts.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The computed `ETag` of a file of so many bytes is kept: to read it is much quicker than to compute it again in the next process.
const LARGE: u64 = 1 << 20;
/// That of a file that changed more recently than this is not: another change may bear the same time stamp.
const SETTLED: Duration = Duration::from_secs(2);

/// What a file's bytes have not changed without: when it was written, to the nanosecond, and its length. A file
/// that is edited by hand gets a new one, and so a new `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    modified_ns: u64,
    size: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { modified_ns: nanoseconds(metadata.modified()?), size: metadata.len() })
    }
}

/// When anything about a file last changed: where that isn't known, when it was last written.
fn changed(metadata: &Metadata) -> io::Result<SystemTime> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
        let nanoseconds = u64::try_from(metadata.ctime_nsec()).unwrap_or_default();
        Ok(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
    }
    #[cfg(not(unix))]
    metadata.modified()
}

/// A time as it is compared.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// An `ETag` that is kept beside the data.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    etag: String,
    stamp: Stamp,
    /// Of one that was computed: when anything about the file last changed, so also when a program set its times back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_ns: Option<u64>,
}

/// Why an `ETag` is kept. Both may be, each in a file of its own: a file may be computed while it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// An upload gave it, and it can't be computed from the file.
    Given,
    /// That took long.
    Computed,
}

/// The `ETag`s of files, computed when first asked for.
#[derive(Debug)]
pub(crate) struct ETags {
    /// Where some are kept.
    folder: PathBuf,
    known: Mutex<HashMap<PathBuf, (Stamp, String)>>,
}

impl ETags {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// The `ETag` of the open file at this path, without quotes. The file is left at its beginning.
    pub(crate) fn of(&self, path: &Path, file: &mut File) -> io::Result<String> {
        let metadata = file.metadata()?;
        let stamp = Stamp::of(&metadata)?;
        if let Some(etag) = self.find(path, stamp) {
            return Ok(etag);
        }
        let etag = match self.kept(path, stamp, Why::Given, None) {
            Some(etag) => etag,
            None if stamp.size < LARGE => hex::encode(md5(file)?),
            None => self.of_large(path, file, stamp, changed(&metadata)?)?,
        };
        self.insert(path, stamp, &etag);
        Ok(etag)
    }

    /// The MD5 of a large file: as it is kept, or else computed, and then kept.
    fn of_large(
        &self,
        path: &Path,
        file: &mut File,
        stamp: Stamp,
        changed: SystemTime,
    ) -> io::Result<String> {
        let changed_ns = Some(nanoseconds(changed));
        if let Some(etag) = self.kept(path, stamp, Why::Computed, changed_ns) {
            return Ok(etag);
        }
        // Asked before it is read, for it may change meanwhile.
        let settled = changed.elapsed().is_ok_and(|age| age >= SETTLED);
        let etag = hex::encode(md5(file)?);
        if settled {
            // Where nothing can be written, it is computed again.
            drop(self.keep(path, Why::Computed, &Kept { etag: etag.clone(), stamp, changed_ns }));
        }
        Ok(etag)
    }

    /// The `ETag` of the file at this path and with this metadata, if it is known.
    pub(crate) fn known(&self, path: &Path, metadata: &Metadata) -> io::Result<Option<String>> {
        Ok(self.find(path, Stamp::of(metadata)?))
    }

    /// Takes note of the `ETag` of a file that is about to be at this path; `computable` if it is its MD5.
    pub(crate) fn note(&self, path: &Path, file: &File, etag: &str, computable: bool) -> io::Result<()> {
        let stamp = Stamp::of(&file.metadata()?)?;
        self.remove(path);
        if !computable {
            self.keep(path, Why::Given, &Kept { etag: etag.to_owned(), stamp, changed_ns: None })?;
        }
        self.insert(path, stamp, etag);
        Ok(())
    }

    /// Forgets a file that is gone.
    pub(crate) fn forget(&self, path: &Path) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        self.remove(path);
    }

    fn find(&self, path: &Path, stamp: Stamp) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(path).filter(|(then, _)| *then == stamp).map(|(_, etag)| etag.clone())
    }

    fn insert(&self, path: &Path, stamp: Stamp, etag: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.to_owned(), (stamp, etag.to_owned()));
    }

    fn keep(&self, path: &Path, why: Why, kept: &Kept) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        fs::write(self.kept_at(path, why), serde_json::to_vec(kept)?)
    }

    fn kept(&self, path: &Path, stamp: Stamp, why: Why, changed_ns: Option<u64>) -> Option<String> {
        let kept: Kept = serde_json::from_slice(&fs::read(self.kept_at(path, why)).ok()?).ok()?;
        (kept.stamp == stamp && kept.changed_ns == changed_ns).then_some(kept.etag)
    }

    /// Removes what is kept of a file.
    fn remove(&self, path: &Path) {
        for why in [Why::Given, Why::Computed] {
            drop(fs::remove_file(self.kept_at(path, why)));
        }
    }

    /// Named by a digest: the path would be too long for a name. It is the path below the data folder that counts,
    /// so that the data can be moved.
    fn kept_at(&self, path: &Path, why: Why) -> PathBuf {
        let data = self.folder.ancestors().nth(2).unwrap_or(Path::new(""));
        let path = path.strip_prefix(data).unwrap_or(path);
        let name = hex::encode(digest(&SHA256, path.as_os_str().as_encoded_bytes()));
        self.folder.join(name + if why == Why::Given { ".json" } else { ".md5.json" })
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
