//! Multipart uploads.
//!
//! The AWS CLI uses them for files over 8 MB. Uploads in progress are lost when the server stops.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use md5::{Digest, Md5};
use tempfile::TempPath;

use crate::notification::CreatedBy;
use crate::storage::error::StorageError;
use crate::storage::object::Object;
use crate::storage::object_folder::ObjectFolder;
use crate::storage::precondition::Precondition;
use crate::storage::staged_object::StagedObject;

/// Minimum size of every part but the last, as on S3.
const MIN_PART_BYTES: u64 = 5 << 20;

/// The uploads in progress, by id.
#[derive(Debug, Default)]
pub(crate) struct MultipartUploads {
    in_progress: Mutex<HashMap<String, Upload>>,
}

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    parts: BTreeMap<i32, Part>,
}

#[derive(Debug)]
struct Part {
    /// Closed, because an upload can have more parts than a process can have open files.
    file: TempPath,
    size: u64,
    md5: [u8; 16],
}

/// Identifies an upload in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadRef<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) id: &'a str,
}

impl UploadRef<'_> {
    /// Whether the upload with this id also has this bucket and key.
    fn matches(&self, upload: &Upload) -> bool {
        upload.bucket == self.bucket && upload.key == self.key
    }
}

impl MultipartUploads {
    /// Starts an upload and returns its id.
    pub(crate) fn create(&self, bucket: &str, key: &str) -> Result<String, StorageError> {
        // Random, so that an id from before a restart is not mistaken for a new upload.
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(std::io::Error::from)?;
        let id = hex::encode(id);
        let upload = Upload { bucket: bucket.to_owned(), key: key.to_owned(), parts: BTreeMap::new() };
        self.in_progress().insert(id.clone(), upload);
        Ok(id)
    }

    /// Adds a part and returns its `ETag`, without quotes. Replaces an earlier part of this number.
    pub(crate) fn put_part(
        &self,
        upload_ref: UploadRef<'_>,
        number: i32,
        staged: StagedObject,
    ) -> Result<String, StorageError> {
        let md5 = staged.md5();
        let file = staged.finish().file;
        let size = file.as_file().metadata()?.len();
        let mut in_progress = self.in_progress();
        let upload = in_progress.get_mut(upload_ref.id).filter(|upload| upload_ref.matches(upload));
        let upload = upload.ok_or(StorageError::NoSuchUpload)?;
        upload.parts.insert(number, Part { file: file.into_temp_path(), size, md5 });
        Ok(hex::encode(md5))
    }

    /// Assembles the parts, given by number and unquoted `ETag`, and puts the object.
    pub(crate) fn complete(
        &self,
        objects: &ObjectFolder,
        upload_ref: UploadRef<'_>,
        parts: &[(i32, String)],
        precondition: &Precondition,
    ) -> Result<Object, StorageError> {
        // Removed while it is assembled, so that a concurrent request can't complete it too.
        let upload = self.take(upload_ref)?;
        let UploadRef { bucket, key, id } = upload_ref;
        let put = upload.assemble(objects, parts).and_then(|staged| {
            objects.put(bucket, key, staged, precondition, CreatedBy::CompleteMultipartUpload)
        });
        // The client may correct the request and try again.
        if put.is_err() {
            self.in_progress().insert(id.to_owned(), upload);
        }
        put
    }

    /// Aborts an upload and deletes its parts.
    pub(crate) fn abort(&self, upload_ref: UploadRef<'_>) -> Result<(), StorageError> {
        self.take(upload_ref).map(drop)
    }

    fn take(&self, upload_ref: UploadRef<'_>) -> Result<Upload, StorageError> {
        let upload = self.in_progress().remove(upload_ref.id);
        upload.filter(|upload| upload_ref.matches(upload)).ok_or(StorageError::NoSuchUpload)
    }

    fn in_progress(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Concatenates parts into one staged object.
    ///
    /// As on S3, its `ETag` is the MD5 of the parts' MD5s, followed by the number of parts.
    fn assemble(
        &self,
        objects: &ObjectFolder,
        requested: &[(i32, String)],
    ) -> Result<StagedObject, StorageError> {
        let parts = self.select_parts(requested)?;
        let mut staged = objects.stage()?;
        let mut md5 = Md5::new();
        for part in &parts {
            staged.write_file(File::open(&part.file)?, 0..part.size)?;
            md5.update(part.md5);
        }
        Ok(staged.with_etag(format!("{}-{}", hex::encode(md5.finalize()), parts.len())))
    }

    /// Returns the requested parts after validating their order, `ETag`s and sizes.
    fn select_parts(&self, requested: &[(i32, String)]) -> Result<Vec<&Part>, StorageError> {
        if requested.is_empty() || !requested.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(StorageError::InvalidPartOrder);
        }
        let find = |(number, etag): &(i32, String)| {
            let part = self.parts.get(number).filter(|part| hex::encode(part.md5) == *etag);
            part.ok_or(StorageError::InvalidPart)
        };
        let parts = requested.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        match parts.iter().rev().skip(1).any(|part| part.size < MIN_PART_BYTES) {
            true => Err(StorageError::EntityTooSmall),
            false => Ok(parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates an upload with parts 1, 2, … of these sizes. The MD5 of part N is N, 16 times.
    fn upload(sizes: &[u64]) -> Upload {
        let part = |(number, &size): (u8, &u64)| {
            let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
            (i32::from(number), Part { file, size, md5: [number; 16] })
        };
        let parts = (1..).zip(sizes).map(part).collect();
        Upload { bucket: "photos".into(), key: "a.jpg".into(), parts }
    }

    fn requested(numbers: &[u8]) -> Vec<(i32, String)> {
        numbers.iter().map(|&number| (i32::from(number), hex::encode([number; 16]))).collect()
    }

    #[test]
    fn parts_are_selected_in_ascending_order() {
        let upload = upload(&[MIN_PART_BYTES, MIN_PART_BYTES, 1]);
        let sizes = |numbers: &[u8]| {
            let parts = upload.select_parts(&requested(numbers));
            parts.map(|parts| parts.iter().map(|part| part.size).collect::<Vec<_>>())
        };
        assert_eq!(sizes(&[1, 3]).unwrap(), [MIN_PART_BYTES, 1]);
        for numbers in [&[2, 1][..], &[1, 1], &[]] {
            assert!(matches!(sizes(numbers), Err(StorageError::InvalidPartOrder)), "{numbers:?}");
        }
    }

    #[test]
    fn a_part_needs_its_number_and_its_etag() {
        let upload = upload(&[1]);
        assert!(matches!(upload.select_parts(&requested(&[2])), Err(StorageError::InvalidPart)));
        let other_etag = [(1, hex::encode([9; 16]))];
        assert!(matches!(upload.select_parts(&other_etag), Err(StorageError::InvalidPart)));
    }

    #[test]
    fn only_the_last_part_may_be_small() {
        let upload = upload(&[MIN_PART_BYTES - 1, 1]);
        assert!(upload.select_parts(&requested(&[1])).is_ok());
        assert!(matches!(upload.select_parts(&requested(&[1, 2])), Err(StorageError::EntityTooSmall)));
    }

    #[test]
    fn an_upload_id_is_valid_for_its_own_key_only() {
        let uploads = MultipartUploads::default();
        let id = uploads.create("photos", "a.jpg").unwrap();
        let other_key = uploads.abort(UploadRef { bucket: "photos", key: "b.jpg", id: &id });
        assert!(matches!(other_key, Err(StorageError::NoSuchUpload)));
    }

    #[test]
    fn an_aborted_upload_is_gone() {
        let uploads = MultipartUploads::default();
        let id = uploads.create("photos", "a.jpg").unwrap();
        let upload_ref = UploadRef { bucket: "photos", key: "a.jpg", id: &id };
        uploads.abort(upload_ref).unwrap();
        assert!(matches!(uploads.abort(upload_ref), Err(StorageError::NoSuchUpload)));
    }
}
