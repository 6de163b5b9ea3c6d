//! One event, one answer.

use fruitvec::error::{Error, Result};
use fruitvec::metrics::Metrics;
use serde::Serialize;
use time::OffsetDateTime;

use crate::request::{Event, METHOD};
use crate::uploads::Uploads;

const CREATED: u16 = 201;
const METHOD_NOT_ALLOWED: u16 = 405;

/// A response in the shape that an HTTP API takes (payload format 2.0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The HTTP status.
    pub status_code: u16,
    /// Its headers.
    pub headers: Headers,
    /// JSON: an [`crate::Upload`], or a problem of RFC 9457.
    pub body: String,
}

/// The headers that an answer may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Headers {
    content_type: &'static str,
    /// An answer holds a signature.
    cache_control: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<&'static str>,
}

/// Grants the upload that the event asks for, or says why not.
///
/// # Errors
/// Only what is not the app's fault: it can't be signed.
pub async fn answer(uploads: &Uploads, event: &Event, now: OffsetDateTime) -> Result<Answer> {
    let mut metrics = Metrics::new("upload");
    let answer = match event.wanted(uploads.largest()) {
        Ok(wanted) => {
            let upload = uploads.presign(wanted, now).await?;
            tracing::info!(upload.key, wanted.size_bytes, "presigned");
            metrics.count("presigned", 1.0);
            Answer::new(CREATED, "application/json", &upload)
        }
        Err(refusal) => {
            tracing::info!(refusal.status, refusal.detail, "refused");
            metrics.count("refused", 1.0);
            Answer::new(refusal.status, "application/problem+json", &refusal.problem(uploads.largest()))
        }
    };
    print(&metrics);
    answer
}

impl Answer {
    fn new(status_code: u16, content_type: &'static str, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(|cause| Error::Internal(cause.to_string()))?;
        let allow = (status_code == METHOD_NOT_ALLOWED).then_some(METHOD);
        Ok(Self { status_code, headers: Headers { content_type, cache_control: "no-store", allow }, body })
    }
}

/// CloudWatch takes metrics from what is printed.
#[allow(clippy::print_stdout)]
fn print(metrics: &Metrics) {
    if let Some(line) = metrics.line() {
        println!("{line}");
    }
}
