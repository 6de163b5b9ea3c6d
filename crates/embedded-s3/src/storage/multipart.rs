//! Multipart uploads: objects that arrive in pieces. The aws command line sends whatever is over 8 MB so.
//!
//! What is not completed when the server stops is gone with it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Mutex, PoisonError};

use md5::{Digest, Md5};
use tempfile::TempPath;

use super::draft::Draft;
use super::notification::Created;
use super::objects::{Expected, Object, Store};
use super::refusal::Refusal;

/// Every part but the last has at least this many bytes, as S3 demands.
const LEAST_PART_BYTES: u64 = 5 << 20;

/// The uploads that have begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    begun: Mutex<HashMap<String, Upload>>,
}

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    parts: BTreeMap<i32, Part>,
}

#[derive(Debug)]
struct Part {
    file: TempPath,
    size: u64,
    md5: [u8; 16],
}

impl Uploads {
    /// Begins an upload; returns its id.
    pub(crate) fn begin(&self, bucket: &str, key: &str) -> Result<String, Refusal> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(std::io::Error::from)?;
        let id = hex::encode(id);
        let upload = Upload { bucket: bucket.to_owned(), key: key.to_owned(), parts: BTreeMap::new() };
        self.begun().insert(id.clone(), upload);
        Ok(id)
    }

    /// Takes a part, in place of the one with this number if there is one; returns its `ETag` without quotes.
    pub(crate) fn part(&self, of: Place<'_>, number: i32, draft: Draft) -> Result<String, Refusal> {
        let md5 = draft.md5();
        let file = draft.finish().file;
        let size = file.as_file().metadata()?.len();
        let mut begun = self.begun();
        let upload = begun.get_mut(of.id).filter(|upload| of.is(upload)).ok_or(Refusal::NoSuchUpload)?;
        upload.parts.insert(number, Part { file: file.into_temp_path(), size, md5 });
        Ok(hex::encode(md5))
    }

    /// Puts the parts together in this order, each of them named by its number and `ETag` without quotes.
    pub(crate) fn complete(
        &self,
        store: &Store,
        of: Place<'_>,
        parts: &[(i32, String)],
        expected: &Expected,
    ) -> Result<Object, Refusal> {
        // Taken out for the time being: the same upload is not completed twice at once.
        let upload = self.end(of)?;
        let put = upload.joined(store, parts).and_then(|draft| {
            store.put(of.bucket, of.key, draft, expected, Created::CompleteMultipartUpload)
        });
        if put.is_err() {
            self.begun().insert(of.id.to_owned(), upload);
        }
        put
    }

    /// Ends an upload and drops its parts.
    pub(crate) fn abort(&self, of: Place<'_>) -> Result<(), Refusal> {
        self.end(of).map(drop)
    }

    fn end(&self, of: Place<'_>) -> Result<Upload, Refusal> {
        let mut begun = self.begun();
        let is_there = begun.get(of.id).is_some_and(|upload| of.is(upload));
        begun.remove(of.id).filter(|_| is_there).ok_or(Refusal::NoSuchUpload)
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, HashMap<String, Upload>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which upload, as a request names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) id: &'a str,
}

impl Place<'_> {
    fn is(&self, upload: &Upload) -> bool {
        upload.bucket == self.bucket && upload.key == self.key
    }
}

impl Upload {
    /// The parts as one draft. Its `ETag` is the MD5 of their MD5s and their number.
    fn joined(&self, store: &Store, wanted: &[(i32, String)]) -> Result<Draft, Refusal> {
        let parts = self.chosen(wanted)?;
        let mut draft = store.draft()?;
        let mut md5 = Md5::new();
        for part in &parts {
            draft.write_file(File::open(&part.file)?, 0..part.size)?;
            md5.update(part.md5);
        }
        Ok(draft.with_etag(format!("{}-{}", hex::encode(md5.finalize()), parts.len())))
    }

    fn chosen(&self, wanted: &[(i32, String)]) -> Result<Vec<&Part>, Refusal> {
        if wanted.is_empty() || !wanted.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Refusal::InvalidPartOrder);
        }
        let find = |(number, etag): &(i32, String)| {
            let part = self.parts.get(number).filter(|part| hex::encode(part.md5) == *etag);
            part.ok_or(Refusal::InvalidPart)
        };
        let parts = wanted.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        match parts.iter().rev().skip(1).any(|part| part.size < LEAST_PART_BYTES) {
            true => Err(Refusal::PartTooSmall),
            false => Ok(parts),
        }
    }
}
