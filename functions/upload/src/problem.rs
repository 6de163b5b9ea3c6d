//! Why no upload is given, in words for a person and in the form of RFC 9457 for a program.

use serde::Serialize;

use crate::media::MediaType;

/// A request that is not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status: 4xx, for it is the request that must change.
    pub status: u16,
    /// What was wrong with it and what to do.
    pub detail: String,
}

/// The body of a refusal. Its `type` is `about:blank`: the status says what kind of problem it is, and `title` is the status's own.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    allowed: Allowed,
}

/// What would have been granted.
#[derive(Debug, Serialize)]
struct Allowed {
    method: &'static str,
    path: &'static str,
    content_types: [&'static str; 3],
    max_size_bytes: u64,
}

impl Refusal {
    pub(crate) fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// The body, where photos up to `largest` bytes may be uploaded.
    pub(crate) fn problem(&self, largest: u64) -> Problem<'_> {
        Problem {
            r#type: "about:blank",
            title: title(self.status),
            status: self.status,
            detail: &self.detail,
            allowed: Allowed {
                method: crate::request::METHOD,
                path: crate::request::PATH,
                content_types: MediaType::ALL.map(MediaType::name),
                max_size_bytes: largest,
            },
        }
    }
}

/// The reason phrase: RFC 9110, section 15.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        _ => "Refused",
    }
}
