//! An object on its way in: its bytes in a temporary file, where no listing sees them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use tempfile::NamedTempFile;

/// Bytes that were received and not put anywhere yet. Dropped, they are gone.
pub(crate) struct Draft {
    file: NamedTempFile,
    md5: Md5,
    checksums: ChecksumHasher,
    /// The `ETag`, if it is not the MD5 of the bytes.
    etag: Option<String>,
}

/// What was received.
pub(crate) struct Received {
    pub(crate) file: NamedTempFile,
    /// Without quotes.
    pub(crate) etag: String,
    /// Whether the `ETag` is the MD5 of the bytes.
    pub(crate) is_md5: bool,
}

impl Draft {
    /// An empty draft in this folder, which is on the file system of the data.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let mut options = tempfile::Builder::new();
        // As any file is that its owner writes: the data is for other programs to read.
        #[cfg(unix)]
        options.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = options.tempfile_in(folder)?;
        Ok(Self { file, md5: Md5::new(), checksums: ChecksumHasher::default(), etag: None })
    }

    /// Which checksums to compute over the bytes, none of which have been written yet.
    pub(crate) fn with_checksums(self, checksums: ChecksumHasher) -> Self {
        Self { checksums, ..self }
    }

    /// Says what the `ETag` is, if it is not the MD5 of the bytes.
    pub(crate) fn with_etag(self, etag: String) -> Self {
        Self { etag: Some(etag), ..self }
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.md5.update(bytes);
        self.checksums.update(bytes);
        self.file.write_all(bytes)
    }

    /// Adds these bytes of a file.
    pub(crate) fn write_file(&mut self, mut file: File, range: Range<u64>) -> io::Result<()> {
        file.seek(SeekFrom::Start(range.start))?;
        let mut left = file.take(range.end - range.start);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match left.read(&mut buffer)? {
                0 => return Ok(()),
                count => self.write(&buffer[..count])?,
            }
        }
    }

    /// The MD5 of the bytes so far.
    pub(crate) fn md5(&self) -> [u8; 16] {
        self.md5.clone().finalize().into()
    }

    /// The checksums that were asked for.
    pub(crate) fn take_checksums(&mut self) -> s3s::dto::Checksum {
        std::mem::take(&mut self.checksums).finalize()
    }

    /// The file and its `ETag`.
    pub(crate) fn finish(self) -> Received {
        let md5 = hex::encode(self.md5());
        Received { file: self.file, is_md5: self.etag.is_none(), etag: self.etag.unwrap_or(md5) }
    }
}
