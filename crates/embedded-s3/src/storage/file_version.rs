//! Detects that a file changed, from its metadata alone.

use std::fs::Metadata;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Minimum age of a change before its timestamp is trusted.
///
/// Two changes within one tick of the file system's clock get the same timestamp. A result cached
/// between them would never be invalidated.
pub(crate) const MIN_TRUSTED_AGE: Duration = Duration::from_secs(2);

/// A fingerprint of a file's contents: its modification time and its length.
///
/// Any edit changes the version, so it also invalidates the cached `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileVersion {
    modified_ns: u64,
    pub(crate) size: u64,
}

impl FileVersion {
    pub(crate) fn from_metadata(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { modified_ns: nanoseconds(metadata.modified()?), size: metadata.len() })
    }
}

/// Returns the time of the last change to a file's bytes or metadata.
///
/// Programs can set the modification time back, but not this time. Systems without it report the
/// modification time.
pub(crate) fn changed(metadata: &Metadata) -> io::Result<SystemTime> {
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

/// Converts a time to nanoseconds since 1970. Earlier times become 0.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_file_of_the_same_size_with_another_time_is_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        fs::write(&path, "abc").unwrap();
        let version = || FileVersion::from_metadata(&fs::metadata(&path).unwrap()).unwrap();
        let before = version();
        assert_eq!(version(), before);
        let later = SystemTime::now() + Duration::from_secs(10);
        File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_ne!(version(), before);
    }

    #[test]
    fn times_before_1970_become_0() {
        assert_eq!(nanoseconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(nanoseconds(UNIX_EPOCH + Duration::from_micros(3)), 3_000);
    }
}
