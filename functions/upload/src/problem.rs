//! Why a request was refused: a sentence for people, and problem details (RFC 9457) for programs.

use serde::Serialize;

use crate::media_type::MediaType;
use crate::route::{METHOD, PATH};

/// The reason why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status. It is always 4xx, because the app has to change its request.
    pub status: u16,
    /// The fault in the request, and how to correct it.
    pub detail: String,
}

/// The body of the response, as RFC 9457 defines it.
///
/// With the type `about:blank`, the status alone names the kind of problem, and the title is the
/// status's reason phrase.
#[derive(Debug, Serialize)]
pub(crate) struct ProblemDetails<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    allowed: AllowedRequest,
}

/// The request that would have been accepted.
#[derive(Debug, Serialize)]
struct AllowedRequest {
    method: &'static str,
    path: &'static str,
    content_types: [&'static str; 3],
    max_size_bytes: u64,
}

impl Problem {
    pub(crate) fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// Returns the response body. Photos of up to `max_bytes` may be uploaded.
    pub(crate) fn details(&self, max_bytes: u64) -> ProblemDetails<'_> {
        ProblemDetails {
            r#type: "about:blank",
            title: reason_phrase(self.status),
            status: self.status,
            detail: &self.detail,
            allowed: AllowedRequest {
                method: METHOD,
                path: PATH,
                content_types: MediaType::ALL.map(MediaType::name),
                max_size_bytes: max_bytes,
            },
        }
    }
}

/// Returns the reason phrase that RFC 9110, section 15, gives for a status.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        _ => "Refused",
    }
}
