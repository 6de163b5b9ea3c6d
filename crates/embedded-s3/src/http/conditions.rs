//! The conditional headers of requests.

use s3s::dto::{
    CopyObjectInput, ETag, ETagCondition, GetObjectInput, HeadObjectInput, Timestamp, UploadPartCopyInput,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};
use time::OffsetDateTime;

use crate::storage::object::Object;
use crate::storage::precondition::Precondition;

/// The conditions of a read, evaluated in the order of RFC 9110, section 13.2.2.
#[derive(Debug, Default)]
pub(crate) struct ReadConditions {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

macro_rules! read_conditions_from {
    ($input:ty, $if_match:ident, $if_none_match:ident, $if_modified_since:ident, $if_unmodified_since:ident) => {
        impl From<&$input> for ReadConditions {
            fn from(input: &$input) -> Self {
                Self {
                    if_match: input.$if_match.clone(),
                    if_none_match: input.$if_none_match.clone(),
                    if_modified_since: input.$if_modified_since.clone(),
                    if_unmodified_since: input.$if_unmodified_since.clone(),
                }
            }
        }
    };
}

macro_rules! source_conditions_from {
    ($input:ty) => {
        read_conditions_from!(
            $input,
            copy_source_if_match,
            copy_source_if_none_match,
            copy_source_if_modified_since,
            copy_source_if_unmodified_since
        );
    };
}

read_conditions_from!(GetObjectInput, if_match, if_none_match, if_modified_since, if_unmodified_since);
read_conditions_from!(HeadObjectInput, if_match, if_none_match, if_modified_since, if_unmodified_since);
source_conditions_from!(CopyObjectInput);
source_conditions_from!(UploadPartCopyInput);

impl ReadConditions {
    /// Checks the conditions of a read.
    ///
    /// # Errors
    /// `PreconditionFailed` (412) or `NotModified` (304).
    pub(crate) fn check(&self, object: &Object) -> S3Result<()> {
        let modified_since = |time: &Timestamp| seconds(&object.modified.into()) > seconds(time);
        // An ETag takes precedence over a time, as it is exact.
        let is_expected = match (&self.if_match, &self.if_unmodified_since) {
            (Some(etag), _) => matches(etag, object),
            (None, Some(time)) => !modified_since(time),
            (None, None) => true,
        };
        if !is_expected {
            return Err(s3_error!(PreconditionFailed));
        }
        let is_modified = match (&self.if_none_match, &self.if_modified_since) {
            (Some(etag), _) => !matches(etag, object),
            (None, Some(time)) => modified_since(time),
            (None, None) => true,
        };
        if is_modified { Ok(()) } else { Err(not_modified(object)) }
    }

    /// Checks the conditions of a copy's source. A copy has no 304 response, only 412.
    pub(crate) fn check_source(&self, object: &Object) -> S3Result<()> {
        self.check(object).map_err(|_| s3_error!(PreconditionFailed))
    }
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == object.etag)
}

/// Truncates a time to seconds, the resolution of HTTP dates.
fn seconds(time: &Timestamp) -> i64 {
    OffsetDateTime::from(time.clone()).unix_timestamp()
}

fn not_modified(object: &Object) -> S3Error {
    // RFC 9110 requires the ETag in a 304 response.
    let mut headers = S3Response::new(()).headers;
    if let Ok(etag) = ETag::Strong(object.etag.clone()).to_http_header() {
        headers.insert("etag", etag);
    }
    let mut error = s3_error!(NotModified);
    error.set_headers(headers);
    error
}

/// Returns the precondition of a write or a removal.
///
/// # Errors
/// `NotImplemented` for combinations that S3 does not support either.
pub(crate) fn precondition(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<Precondition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Precondition::None),
        (None, Some(ETagCondition::Any)) => Ok(Precondition::IfAbsent),
        (Some(ETagCondition::Any), None) => Ok(Precondition::IfPresent),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Precondition::IfMatch(etag.value().to_owned())),
        (None, Some(ETagCondition::ETag(_))) | (Some(_), Some(_)) => {
            Err(s3_error!(NotImplemented, "A write supports either If-Match or If-None-Match: *, not both"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn object() -> Object {
        let modified = UNIX_EPOCH + Duration::from_millis(100_500);
        Object { key: "a".into(), size: 1, modified, etag: "e".into() }
    }

    fn at(seconds: u64) -> Option<Timestamp> {
        Some((UNIX_EPOCH + Duration::from_secs(seconds)).into())
    }

    fn etag(value: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(ETag::Strong(value.into())))
    }

    #[test]
    fn an_etag_takes_precedence_over_a_time() {
        let matching =
            ReadConditions { if_match: etag("e"), if_unmodified_since: at(1), ..ReadConditions::default() };
        assert!(matching.check(&object()).is_ok());
        let other = ReadConditions {
            if_none_match: etag("x"),
            if_modified_since: at(200),
            ..ReadConditions::default()
        };
        assert!(other.check(&object()).is_ok());
    }

    #[test]
    fn times_are_compared_by_the_second() {
        let same = ReadConditions { if_unmodified_since: at(100), ..ReadConditions::default() };
        assert!(same.check(&object()).is_ok());
        let same = ReadConditions { if_modified_since: at(100), ..ReadConditions::default() };
        assert_eq!(same.check(&object()).unwrap_err().code(), &s3s::S3ErrorCode::NotModified);
    }

    #[test]
    fn an_unmodified_source_fails_the_copy() {
        let input = CopyObjectInput {
            copy_source_if_none_match: etag("e"),
            ..CopyObjectInput::builder()
                .bucket("photos".into())
                .key("b".into())
                .copy_source(s3s::dto::CopySource::parse("photos/a").unwrap())
                .build()
                .unwrap()
        };
        let error = ReadConditions::from(&input).check_source(&object()).unwrap_err();
        assert_eq!(error.code(), &s3s::S3ErrorCode::PreconditionFailed);
    }

    #[test]
    fn a_write_takes_one_condition() {
        assert_eq!(precondition(etag("e").as_ref(), None).unwrap(), Precondition::IfMatch("e".into()));
        assert_eq!(precondition(None, Some(&ETagCondition::Any)).unwrap(), Precondition::IfAbsent);
        assert!(precondition(etag("e").as_ref(), Some(&ETagCondition::Any)).is_err());
        assert!(precondition(None, etag("e").as_ref()).is_err());
    }
}
