//! Turns each event into an HTTP response.

use fruitvec_core::error::{Error, Result};
use fruitvec_core::metrics::Metrics;
use serde::Serialize;
use time::OffsetDateTime;

use crate::presigner::Presigner;
use crate::request::Event;
use crate::route::METHOD;

const CREATED: u16 = 201;
const METHOD_NOT_ALLOWED: u16 = 405;

/// A response in the shape that an HTTP API expects (payload format 2.0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The HTTP headers.
    pub headers: Headers,
    /// JSON: a [`crate::PresignedUpload`], or problem details (RFC 9457).
    pub body: String,
}

/// The headers of a [`Response`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Headers {
    content_type: &'static str,
    cache_control: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<&'static str>,
}

/// Presigns the upload that the event requests, or reports why the request was refused.
///
/// # Errors
/// Only failures that the app did not cause, such as missing credentials.
pub async fn respond(presigner: &Presigner, event: &Event, now: OffsetDateTime) -> Result<Response> {
    let mut metrics = Metrics::new("upload");
    let response = match event.requested_upload(presigner.max_bytes()) {
        Ok(request) => {
            let upload = presigner.presign(request, now).await?;
            tracing::info!(upload.key, wanted.size_bytes = request.size_bytes, "presigned");
            metrics.count("presigned", 1.0);
            Response::new(CREATED, "application/json", &upload)
        }
        Err(problem) => {
            let (status, detail) = (problem.status, problem.detail.as_str());
            tracing::info!(refusal.status = status, refusal.detail = detail, "refused");
            metrics.count("refused", 1.0);
            Response::new(status, "application/problem+json", &problem.details(presigner.max_bytes()))
        }
    };
    metrics.print();
    response
}

impl Response {
    fn new(status_code: u16, content_type: &'static str, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(|cause| Error::Internal(cause.to_string()))?;
        let allow = (status_code == METHOD_NOT_ALLOWED).then_some(METHOD);
        // The body holds a signature, and no cache may keep that.
        Ok(Self { status_code, headers: Headers { content_type, cache_control: "no-store", allow }, body })
    }
}
