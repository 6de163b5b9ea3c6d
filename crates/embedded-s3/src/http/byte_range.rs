//! The `Range` header of a read.

use std::ops;

use s3s::dto::Range;
use s3s::{S3Result, s3_error};

/// Returns the bytes to send from an object of this size. Without a range, these are all bytes.
pub(crate) fn select(range: Option<Range>, size: u64) -> S3Result<ops::Range<u64>> {
    let Some(range) = range else { return Ok(0..size) };
    let bytes = range.check(size)?;
    // A suffix of an empty object. `Content-Range` has no notation for an empty range.
    if bytes.is_empty() {
        return Err(s3_error!(InvalidRange));
    }
    Ok(bytes)
}

/// Formats the `Content-Range` header for a non-empty range of an object of this size.
pub(crate) fn content_range(bytes: &ops::Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_of_the_object() {
        let select = |header: &str, size| select(Some(Range::parse(header).unwrap()), size);
        assert_eq!(select("bytes=2-4", 10).unwrap(), 2..5);
        assert_eq!(select("bytes=2-40", 10).unwrap(), 2..10);
        assert_eq!(select("bytes=-40", 10).unwrap(), 0..10);
        assert!(select("bytes=10-", 10).is_err());
        assert!(select("bytes=-1", 0).is_err());
    }

    #[test]
    fn an_empty_object_can_be_read_without_a_range() {
        assert_eq!(select(None, 0).unwrap(), 0..0);
    }

    #[test]
    fn content_range_names_the_last_byte_and_not_the_end() {
        assert_eq!(content_range(&(2..5), 10), "bytes 2-4/10");
    }
}
