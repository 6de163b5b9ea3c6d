//! The source of a copy.

use s3s::dto::{CopySource, Range};
use s3s::{S3Result, s3_error};

/// Returns the bucket and the key of a copy's source.
pub(crate) fn bucket_and_key(source: CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok((bucket.into(), key.into())),
        _ => Err(s3_error!(NotImplemented, "The source of a copy must be a bucket and a key")),
    }
}

/// Parses the `x-amz-copy-source-range` header.
pub(crate) fn parse_range(header: Option<&str>) -> S3Result<Option<Range>> {
    let range = header.map(Range::parse).transpose();
    range.map_err(|_| s3_error!(InvalidArgument, "x-amz-copy-source-range must be like bytes=0-9"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_bucket_and_a_key() {
        let source = CopySource::parse("photos/a%20b/1.jpg").unwrap();
        assert_eq!(bucket_and_key(source).unwrap(), ("photos".into(), "a b/1.jpg".into()));
        let access_point = "arn:aws:s3:eu-west-3:123456789012:accesspoint/mine/object/1.jpg";
        assert!(bucket_and_key(CopySource::parse(access_point).unwrap()).is_err());
    }

    #[test]
    fn a_malformed_range_is_an_invalid_argument() {
        assert_eq!(parse_range(None).unwrap(), None);
        assert_eq!(parse_range(Some("bytes=0-9")).unwrap(), Some(Range::Int { first: 0, last: Some(9) }));
        let error = parse_range(Some("0-9")).unwrap_err();
        assert_eq!(error.code().as_str(), "InvalidArgument");
    }
}
