//! Translates the SDK's errors into the project's [`Error`].

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

use crate::error::Error;
use crate::rejection::{RejectCode, Rejection};

/// The error of a request to any AWS service.
pub type RequestError<E> = SdkError<E, HttpResponse>;

/// Returns the HTTP status of the response, or `None` if there was no response.
pub(super) fn status<E>(error: &RequestError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Returns the service's error code, or `None` if it never answered.
///
/// S3's codes are listed under "Error responses" in the Amazon S3 API reference.
pub fn code<E: ProvideErrorMetadata>(error: &RequestError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Translates the failure of a request that reads an object.
///
/// Only such a request may report [`Error::NotFound`]. A 404 on a write means a wrong endpoint or
/// bucket, and must not count as work done.
pub(super) fn read_error<E>(verb: &'static str, bucket: &str, key: &str, error: RequestError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match (status(&error), code(&error)) {
        (Some(404), code) if code != Some("NoSuchBucket") => {
            Error::NotFound { bucket: bucket.to_owned(), key: key.to_owned() }
        }
        (Some(403), Some("InvalidObjectState")) => Error::Reject(Rejection::new(
            RejectCode::Archived,
            "the object is in an archive storage class; restore it, then upload it again",
        )),
        _ => request_error(verb, bucket, key, error),
    }
}

/// Translates the failure of any other request.
pub(super) fn request_error<E>(verb: &'static str, bucket: &str, key: &str, error: RequestError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (transient, cause) = (is_transient(&error), describe_sdk_error(&error).into());
    Error::S3 { verb, bucket: bucket.to_owned(), key: key.to_owned(), transient, cause }
}

/// Describes an error without the request and response that the SDK would print.
///
/// S3's response to an expired session token contains the token, which must not reach a log.
pub fn describe_sdk_error<E>(error: &RequestError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let (Some(status), Some(service)) = (status(error), error.as_service_error()) {
        let (code, message) =
            (service.code().unwrap_or("no code"), service.message().unwrap_or("no reason given"));
        let request = error.request_id().unwrap_or("unknown");
        return format!("{status} {code}: {message} (request {request})");
    }
    let first: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Returns whether the same request may succeed later.
fn is_transient<E: ProvideErrorMetadata>(error: &RequestError<E>) -> bool {
    // The next request has new credentials, so an expired token is transient.
    const TRANSIENT: [&str; 6] =
        ["BadDigest", "ExpiredToken", "IncompleteBody", "RequestTimeTooSkewed", "RequestTimeout", "SlowDown"];
    match error {
        // The request is invalid, and a retry would send the same one.
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(_) => {
            // A 403 may concern a single object, or a role whose policy is just being changed. If
            // it persists, the queue moves the message to the dead-letter queue.
            matches!(status(error), Some(403 | 408 | 409 | 429 | 500..))
                || code(error).is_some_and(|code| TRANSIENT.contains(&code))
        }
        // No complete response arrived.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;
    use crate::error::Disposition;

    fn refused(status: u16, code: &str, body: &str) -> RequestError<GetObjectError> {
        let metadata = ErrorMetadata::builder().code(code).message("The provided token has expired.").build();
        let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        SdkError::service_error(GetObjectError::generic(metadata), response)
    }

    fn read(status: u16, code: &str) -> Error {
        read_error("get", "photos", "a.jpg", refused(status, code, ""))
    }

    /// S3's responses to an expired token and to a wrong signature repeat the token.
    #[test]
    fn no_error_shows_a_session_token() {
        let body = "<Error><Code>ExpiredToken</Code><Token-0>IQoJb3JpZ2luX2VjEXAMPLE</Token-0></Error>";
        let error = read_error("get", "photos", "a.jpg", refused(400, "ExpiredToken", body));
        let message = error.to_string();
        assert!(
            message.starts_with("get s3://photos/a.jpg: 400 ExpiredToken: The provided token"),
            "{message}"
        );
        for shown in [message, format!("{error:?}")] {
            assert!(!shown.contains("IQoJ"), "{shown}");
        }
        assert!(matches!(error, Error::S3 { transient: true, .. }), "the next request has new credentials");
    }

    #[test]
    fn a_request_that_never_reached_s3_is_described_with_all_its_causes() {
        let cause = std::io::Error::other("connection refused");
        let error: RequestError<GetObjectError> = SdkError::timeout_error(cause);
        assert_eq!(describe_sdk_error(&error), "request has timed out: connection refused");
    }

    #[test]
    fn only_a_read_of_a_missing_object_reports_it_as_gone() {
        assert_eq!(read(404, "NoSuchKey").disposition(), Disposition::Gone);
        assert_eq!(read(404, "NoSuchBucket").disposition(), Disposition::Fatal);
        let written = request_error("put", "results", "a", refused(404, "NoSuchKey", ""));
        assert_eq!(written.disposition(), Disposition::Fatal);
    }

    #[test]
    fn an_archived_photo_is_rejected_and_other_refusals_are_retried() {
        assert_eq!(read(403, "InvalidObjectState").disposition(), Disposition::Reject);
        for (status, code) in
            [(403, "AccessDenied"), (429, "SlowDown"), (503, "SlowDown"), (400, "BadDigest")]
        {
            assert_eq!(read(status, code).disposition(), Disposition::Retry, "{status} {code}");
        }
        assert_eq!(read(400, "InvalidArgument").disposition(), Disposition::Fatal);
    }
}
