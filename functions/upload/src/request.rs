//! Parses an event of an HTTP API (payload format 2.0) into the upload that the app requests.
//!
//! The wire format does not leave this file. Source: "Create AWS Lambda proxy integrations for HTTP
//! APIs" in the API Gateway developer guide.

use std::borrow::Cow;

use serde::Deserialize;

use crate::media_type::MediaType;
use crate::problem::Problem;
use crate::route::{METHOD, PATH};

/// The longest body that is parsed, in bytes. No real request comes near it.
const MAX_BODY_BYTES: usize = 4096;

/// The fields of the event that the function reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    raw_path: String,
    request_context: RequestContext,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
struct RequestContext {
    http: Http,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
}

/// The body of the request.
///
/// Other fields are ignored. In particular, the app can't choose a key.
#[derive(Deserialize)]
struct Body<'a> {
    // A `Cow`, because JSON may escape the slash (`image\/jpeg`), and then it can't be borrowed.
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    size_bytes: u64,
}

/// A valid request for an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedUpload {
    /// The format of the photo.
    pub media: MediaType,
    /// The exact size of the photo in bytes, at least 1 and at most the limit.
    pub size_bytes: u64,
}

impl Event {
    /// Returns the requested upload. Photos of up to `max_bytes` may be uploaded.
    ///
    /// # Errors
    /// A [`Problem`] when the request is not one that the function accepts.
    pub fn requested_upload(&self, max_bytes: u64) -> Result<RequestedUpload, Problem> {
        self.check_route()?;
        let bytes = self.body_bytes()?;
        let body: Body<'_> = serde_json::from_slice(&bytes).map_err(|cause| {
            let expected = r#"{"content_type": "image/jpeg", "size_bytes": 123456}"#;
            Problem::new(400, format!("the body must be JSON like {expected}: {cause}"))
        })?;
        let media = MediaType::named(&body.content_type).ok_or_else(|| unsupported(&body.content_type))?;
        match body.size_bytes {
            0 => Err(Problem::new(400, "size_bytes is 0: there is nothing to upload")),
            size if size > max_bytes => Err(Problem::new(
                413,
                format!("the photo has {size} bytes, but at most {max_bytes} are allowed: make it smaller"),
            )),
            size_bytes => Ok(RequestedUpload { media, size_bytes }),
        }
    }

    fn check_route(&self) -> Result<(), Problem> {
        let method = &self.request_context.http.method;
        if self.raw_path != PATH {
            return Err(Problem::new(404, format!("unknown path: the only route is {METHOD} {PATH}")));
        }
        if method != METHOD {
            return Err(Problem::new(405, format!("{PATH} accepts {METHOD}, not {}", excerpt(method))));
        }
        Ok(())
    }

    fn body_bytes(&self) -> Result<Cow<'_, [u8]>, Problem> {
        let body = self.body.as_deref().unwrap_or_default().as_bytes();
        // A body this long is probably the photo itself, sent to the wrong address.
        if body.len() > MAX_BODY_BYTES {
            let detail = format!(
                "the request body exceeds {MAX_BODY_BYTES} bytes; upload the photo to the returned URL"
            );
            return Err(Problem::new(413, detail));
        }
        if !self.is_base64_encoded {
            return Ok(Cow::Borrowed(body));
        }
        let decoded = base64_simd::STANDARD.decode_to_vec(body);
        decoded.map(Cow::Owned).map_err(|_| {
            Problem::new(400, "the body is not valid base64, although the request says that it is base64")
        })
    }
}

fn unsupported(content_type: &str) -> Problem {
    let apple = ["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"];
    let advice = if apple.iter().any(|heic| heic.eq_ignore_ascii_case(content_type)) {
        "HEIC is not supported; convert the photo to JPEG on the phone and send it as image/jpeg"
    } else {
        "send image/jpeg, image/png or image/webp"
    };
    Problem::new(415, format!("content_type {:?} is not supported: {advice}", excerpt(content_type)))
}

/// Returns the first characters of a text from the request, enough to recognise it.
fn excerpt(text: &str) -> String {
    const LENGTH: usize = 60;
    text.chars().take(LENGTH).chain((text.chars().count() > LENGTH).then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BYTES: u64 = 1000;

    fn event(method: &str, path: &str, body: Option<&str>, base64: bool) -> Event {
        serde_json::from_value(serde_json::json!({
            "version": "2.0", "rawPath": path, "requestContext": {"http": {"method": method}},
            "body": body, "isBase64Encoded": base64,
        }))
        .unwrap()
    }

    fn posted(body: &str) -> Result<RequestedUpload, Problem> {
        event(METHOD, PATH, Some(body), false).requested_upload(MAX_BYTES)
    }

    #[track_caller]
    fn refused(status: u16, text: &str, requested: Result<RequestedUpload, Problem>) {
        let problem = requested.unwrap_err();
        assert_eq!(problem.status, status, "{}", problem.detail);
        assert!(problem.detail.contains(text), "{}", problem.detail);
    }

    #[test]
    fn an_allowed_type_and_size_are_accepted() {
        let requested = posted(r#"{"content_type": "image/PNG", "size_bytes": 1000}"#).unwrap();
        assert_eq!(requested, RequestedUpload { media: MediaType::Png, size_bytes: 1000 });
    }

    #[test]
    fn a_type_written_with_escapes_is_the_same_type() {
        let requested = posted(r#"{"content_type": "image\/webp", "size_bytes": 1}"#).unwrap();
        assert_eq!(requested.media, MediaType::Webp);
    }

    #[test]
    fn a_base64_body_is_decoded() {
        let body = base64_simd::STANDARD.encode_to_string(r#"{"content_type":"image/jpeg","size_bytes":7}"#);
        let requested = event(METHOD, PATH, Some(&body), true).requested_upload(MAX_BYTES).unwrap();
        assert_eq!(requested, RequestedUpload { media: MediaType::Jpeg, size_bytes: 7 });
        refused(400, "base64", event(METHOD, PATH, Some("no*base64"), true).requested_upload(MAX_BYTES));
    }

    #[test]
    fn other_json_is_refused_with_an_example() {
        for wrong in ["", "null", "[]", "content_type=image%2Fjpeg", r#"{"content_type": "image/jpeg"}"#] {
            refused(400, r#""size_bytes": 123456"#, posted(wrong));
        }
        refused(400, "size_bytes", posted(r#"{"content_type": "image/jpeg"}"#));
        refused(400, "content_type", posted(r#"{"size_bytes": 7}"#));
        refused(400, "JSON", event(METHOD, PATH, None, false).requested_upload(MAX_BYTES));
    }

    #[test]
    fn a_size_that_is_not_a_positive_integer_is_refused() {
        for wrong in ["-1", "1.5", "\"7\"", "null", "1e30", "99999999999999999999"] {
            refused(
                400,
                "JSON",
                posted(&format!(r#"{{"content_type": "image/jpeg", "size_bytes": {wrong}}}"#)),
            );
        }
        refused(400, "nothing to upload", posted(r#"{"content_type": "image/jpeg", "size_bytes": 0}"#));
    }

    #[test]
    fn one_byte_too_many_is_refused_with_the_limit() {
        refused(413, "at most 1000", posted(r#"{"content_type": "image/jpeg", "size_bytes": 1001}"#));
    }

    #[test]
    fn an_unsupported_type_is_refused_with_advice() {
        refused(415, "JPEG on the phone", posted(r#"{"content_type": "image/heic", "size_bytes": 7}"#));
        refused(415, "JPEG on the phone", posted(r#"{"content_type": "image/HEIF", "size_bytes": 7}"#));
        refused(415, "image/webp", posted(r#"{"content_type": "text/html", "size_bytes": 7}"#));
    }

    #[test]
    fn a_long_body_is_not_parsed_and_a_long_type_is_cut() {
        let long =
            format!(r#"{{"content_type": "image/jpeg", "size_bytes": 7{}}}"#, " ".repeat(MAX_BODY_BYTES));
        refused(413, "to the returned URL", posted(&long));
        let long = posted(&format!(r#"{{"content_type": "{}", "size_bytes": 7}}"#, "x".repeat(3000)));
        assert!(long.unwrap_err().detail.len() < 200);
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        refused(404, "POST /uploads", event(METHOD, "/", Some("{}"), false).requested_upload(MAX_BYTES));
        refused(
            404,
            "POST /uploads",
            event(METHOD, "/uploads/x", Some("{}"), false).requested_upload(MAX_BYTES),
        );
        refused(405, "not GET", event("GET", PATH, None, false).requested_upload(MAX_BYTES));
    }
}
