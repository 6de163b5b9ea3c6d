//! What a request makes its success depend on.

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Response, S3Result, s3_error};
use time::OffsetDateTime;

use super::objects::{Expected, Object};

/// The conditions of a read. They are weighed in the order of RFC 9110, section 13.2.2.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// Refuses with 412 or 304 what is read under a condition that does not hold.
    pub(crate) fn check(&self, object: &Object) -> S3Result<()> {
        let modified_since = |then: &Timestamp| seconds(&object.modified.into()) > seconds(then);
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(wanted), _) => matches(wanted, object),
            (None, Some(then)) => !modified_since(then),
            (None, None) => true,
        };
        if !holds {
            return Err(s3_error!(PreconditionFailed));
        }
        let is_news = match (&self.if_none_match, &self.if_modified_since) {
            (Some(known), _) => !matches(known, object),
            (None, Some(then)) => modified_since(then),
            (None, None) => true,
        };
        if is_news { Ok(()) } else { Err(not_modified(object)) }
    }

    /// The same for the source of a copy, for which there is no 304.
    pub(crate) fn check_source(&self, object: &Object) -> S3Result<()> {
        self.check(object).map_err(|_| s3_error!(PreconditionFailed))
    }
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == object.etag)
}

/// HTTP has no time finer than a second.
fn seconds(time: &Timestamp) -> i64 {
    OffsetDateTime::from(time.clone()).unix_timestamp()
}

fn not_modified(object: &Object) -> S3Error {
    let mut headers = S3Response::new(()).headers;
    if let Ok(etag) = ETag::Strong(object.etag.clone()).to_http_header() {
        headers.insert("etag", etag);
    }
    let mut error = s3_error!(NotModified);
    error.set_headers(headers);
    error
}

/// What a write expects of the object it replaces.
pub(crate) fn expected(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<Expected> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Expected::Anything),
        (None, Some(ETagCondition::Any)) => Ok(Expected::Absence),
        (Some(ETagCondition::Any), None) => Ok(Expected::Presence),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Expected::ETag(etag.value().to_owned())),
        // S3 knows no other.
        (None, Some(ETagCondition::ETag(_))) | (Some(_), Some(_)) => {
            Err(s3_error!(NotImplemented, "a write takes If-Match or If-None-Match: *, not both"))
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
    fn an_etag_outweighs_a_time() {
        let matching =
            Conditions { if_match: etag("e"), if_unmodified_since: at(1), ..Conditions::default() };
        assert!(matching.check(&object()).is_ok());
        let other =
            Conditions { if_none_match: etag("x"), if_modified_since: at(200), ..Conditions::default() };
        assert!(other.check(&object()).is_ok());
    }

    #[test]
    fn times_are_compared_by_the_second() {
        let same = Conditions { if_unmodified_since: at(100), ..Conditions::default() };
        assert!(same.check(&object()).is_ok());
        let same = Conditions { if_modified_since: at(100), ..Conditions::default() };
        assert_eq!(same.check(&object()).unwrap_err().code(), &s3s::S3ErrorCode::NotModified);
    }

    #[test]
    fn a_write_takes_one_condition() {
        assert!(expected(etag("e").as_ref(), Some(&ETagCondition::Any)).is_err());
        assert!(expected(None, etag("e").as_ref()).is_err());
    }
}
