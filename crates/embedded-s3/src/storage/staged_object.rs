//! An incoming object whose bytes are in a temporary file, where no listing sees them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use tempfile::NamedTempFile;

/// Received bytes that have no key yet. Dropping them deletes the temporary file.
pub(crate) struct StagedObject {
    file: NamedTempFile,
    md5: Md5,
    checksums: ChecksumHasher,
    /// Replaces the MD5 as the `ETag`.
    etag: Option<String>,
}

/// A complete temporary file and its `ETag`.
pub(crate) struct StagedFile {
    pub(crate) file: NamedTempFile,
    /// Without quotes.
    pub(crate) etag: String,
    /// Whether the `ETag` is the MD5 of the bytes.
    pub(crate) is_md5: bool,
}

impl StagedObject {
    /// Creates an empty staged object in a folder on the data's file system.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let mut options = tempfile::Builder::new();
        // Temporary files are private by default, but other programs must be able to read the data.
        // The umask still applies.
        #[cfg(unix)]
        options.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = options.tempfile_in(folder)?;
        Ok(Self { file, md5: Md5::new(), checksums: ChecksumHasher::default(), etag: None })
    }

    /// Selects the checksums to compute. Must precede the first write.
    pub(crate) fn with_checksums(self, checksums: ChecksumHasher) -> Self {
        Self { checksums, ..self }
    }

    /// Assigns an `ETag` that is not the MD5 of the bytes.
    pub(crate) fn with_etag(self, etag: String) -> Self {
        Self { etag: Some(etag), ..self }
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.md5.update(bytes);
        self.checksums.update(bytes);
        self.file.write_all(bytes)
    }

    /// Appends a byte range of a file.
    pub(crate) fn write_file(&mut self, mut file: File, range: Range<u64>) -> io::Result<()> {
        file.seek(SeekFrom::Start(range.start))?;
        let mut remaining = file.take(range.end - range.start);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match remaining.read(&mut buffer)? {
                0 => return Ok(()),
                count => self.write(&buffer[..count])?,
            }
        }
    }

    /// Returns the MD5 of the bytes written so far.
    pub(crate) fn md5(&self) -> [u8; 16] {
        self.md5.clone().finalize().into()
    }

    /// Returns the selected checksums and stops computing them.
    pub(crate) fn take_checksums(&mut self) -> s3s::dto::Checksum {
        std::mem::take(&mut self.checksums).finalize()
    }

    /// Returns the temporary file and its `ETag`.
    pub(crate) fn finish(self) -> StagedFile {
        let md5 = hex::encode(self.md5());
        StagedFile { file: self.file, is_md5: self.etag.is_none(), etag: self.etag.unwrap_or(md5) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_etag_is_the_md5_unless_one_is_assigned() {
        let folder = tempfile::tempdir().unwrap();
        let staged = || {
            let mut staged = StagedObject::new(folder.path()).unwrap();
            staged.write(b"abc").unwrap();
            staged
        };
        let plain = staged().finish();
        assert_eq!((plain.etag.as_str(), plain.is_md5), ("900150983cd24fb0d6963f7d28e17f72", true));
        let assigned = staged().with_etag("parts-2".into()).finish();
        assert_eq!((assigned.etag.as_str(), assigned.is_md5), ("parts-2", false));
    }

    #[test]
    fn a_range_of_a_file_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::write(&source, "0123456789").unwrap();
        let mut staged = StagedObject::new(folder.path()).unwrap();
        staged.write(b"a").unwrap();
        staged.write_file(File::open(&source).unwrap(), 2..5).unwrap();
        let staged = staged.finish();
        assert_eq!(fs::read_to_string(staged.file.path()).unwrap(), "a234");
    }

    #[test]
    fn a_dropped_object_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        drop(StagedObject::new(folder.path()).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
