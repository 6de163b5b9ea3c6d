//! An event of an HTTP API (payload format 2.0) to what the app wants.
//!
//! Wire shapes stay in this file. Source: "Create AWS Lambda proxy integrations for HTTP APIs", API Gateway Developer Guide.

use std::borrow::Cow;

use serde::Deserialize;

use crate::media::MediaType;
use crate::refusal::Refusal;

pub(crate) const METHOD: &str = "POST";
pub(crate) const PATH: &str = "/uploads";
/// More than any honest request has; what is longer is not parsed.
const LONGEST_BODY: usize = 4096;

/// The event, as much of it as is needed.
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

/// The body. What else it has is not looked at: the app names no key.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    size_bytes: u64,
}

/// The upload that is wanted, and may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The format.
    pub media: MediaType,
    /// How many bytes it will have: 1 up to the limit.
    pub size_bytes: u64,
}

impl Event {
    /// What is wanted, where photos up to `largest` bytes may be uploaded.
    ///
    /// # Errors
    /// The refusal.
    pub fn wanted(&self, largest: u64) -> Result<Wanted, Refusal> {
        self.addressed()?;
        let bytes = self.bytes()?;
        let body: Body<'_> = serde_json::from_slice(&bytes).map_err(|cause| {
            let expected = r#"{"content_type": "image/jpeg", "size_bytes": 123456}"#;
            Refusal::new(400, format!("the body must be JSON like {expected}: {cause}"))
        })?;
        let media = MediaType::named(&body.content_type).ok_or_else(|| unsupported(&body.content_type))?;
        match body.size_bytes {
            0 => Err(Refusal::new(400, "size_bytes is 0: there is nothing to upload")),
            size if size > largest => Err(Refusal::new(
                413,
                format!("the photo has {size} bytes, at most {largest} are taken: make it smaller"),
            )),
            size_bytes => Ok(Wanted { media, size_bytes }),
        }
    }

    fn addressed(&self) -> Result<(), Refusal> {
        let method = &self.request_context.http.method;
        if self.raw_path != PATH {
            return Err(Refusal::new(404, format!("there is nothing here but {METHOD} {PATH}")));
        }
        if method != METHOD {
            return Err(Refusal::new(405, format!("{PATH} takes {METHOD} only, not {}", excerpt(method))));
        }
        Ok(())
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>, Refusal> {
        let body = self.body.as_deref().unwrap_or_default().as_bytes();
        if body.len() > LONGEST_BODY {
            let detail =
                format!("the request's body has more than {LONGEST_BODY} bytes; the photo goes to the URL");
            return Err(Refusal::new(413, detail));
        }
        if !self.is_base64_encoded {
            return Ok(Cow::Borrowed(body));
        }
        let decoded = base64_simd::STANDARD.decode_to_vec(body);
        decoded
            .map(Cow::Owned)
            .map_err(|_| Refusal::new(400, "the body is not the base64 that it is said to be"))
    }
}

fn unsupported(content_type: &str) -> Refusal {
    let apples = ["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"];
    let advice = if apples.iter().any(|apple| apple.eq_ignore_ascii_case(content_type)) {
        "HEIC can't be read here; convert the photo to JPEG on the phone and send it as image/jpeg"
    } else {
        "send image/jpeg, image/png or image/webp"
    };
    Refusal::new(415, format!("content_type {:?} is not taken: {advice}", excerpt(content_type)))
}

/// Enough to recognise it by.
fn excerpt(text: &str) -> String {
    const LENGTH: usize = 60;
    text.chars().take(LENGTH).chain((text.chars().count() > LENGTH).then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: u64 = 1000;

    fn event(method: &str, path: &str, body: Option<&str>, base64: bool) -> Event {
        serde_json::from_value(serde_json::json!({
            "version": "2.0", "rawPath": path, "requestContext": {"http": {"method": method}},
            "body": body, "isBase64Encoded": base64,
        }))
        .unwrap()
    }

    fn posted(body: &str) -> Result<Wanted, Refusal> {
        event(METHOD, PATH, Some(body), false).wanted(LARGEST)
    }

    #[track_caller]
    fn refused(status: u16, says: &str, wanted: Result<Wanted, Refusal>) {
        let refusal = wanted.unwrap_err();
        assert_eq!(refusal.status, status, "{}", refusal.detail);
        assert!(refusal.detail.contains(says), "{}", refusal.detail);
    }

    #[test]
    fn an_allowed_type_and_size_are_wanted() {
        let wanted = posted(r#"{"content_type": "image/PNG", "size_bytes": 1000}"#).unwrap();
        assert_eq!(wanted, Wanted { media: MediaType::Png, size_bytes: 1000 });
    }

    #[test]
    fn a_type_written_with_escapes_is_the_same_type() {
        let wanted = posted(r#"{"content_type": "image\/webp", "size_bytes": 1}"#).unwrap();
        assert_eq!(wanted.media, MediaType::Webp);
    }

    #[test]
    fn a_base64_body_is_decoded() {
        let body = base64_simd::STANDARD.encode_to_string(r#"{"content_type":"image/jpeg","size_bytes":7}"#);
        let wanted = event(METHOD, PATH, Some(&body), true).wanted(LARGEST).unwrap();
        assert_eq!(wanted, Wanted { media: MediaType::Jpeg, size_bytes: 7 });
        refused(400, "base64", event(METHOD, PATH, Some("no*base64"), true).wanted(LARGEST));
    }

    #[test]
    fn what_is_no_such_json_is_told_what_is() {
        for wrong in ["", "null", "[]", "content_type=image%2Fjpeg", r#"{"content_type": "image/jpeg"}"#] {
            refused(400, r#""size_bytes": 123456"#, posted(wrong));
        }
        refused(400, "size_bytes", posted(r#"{"content_type": "image/jpeg"}"#));
        refused(400, "content_type", posted(r#"{"size_bytes": 7}"#));
        refused(400, "JSON", event(METHOD, PATH, None, false).wanted(LARGEST));
    }

    #[test]
    fn a_size_that_is_no_count_of_bytes_is_refused() {
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
    fn heic_is_told_to_become_jpeg_and_other_types_what_is_taken() {
        refused(415, "JPEG on the phone", posted(r#"{"content_type": "image/heic", "size_bytes": 7}"#));
        refused(415, "JPEG on the phone", posted(r#"{"content_type": "image/HEIF", "size_bytes": 7}"#));
        refused(415, "image/webp", posted(r#"{"content_type": "text/html", "size_bytes": 7}"#));
    }

    #[test]
    fn a_long_body_is_not_parsed_and_a_long_type_not_repeated() {
        let long =
            format!(r#"{{"content_type": "image/jpeg", "size_bytes": 7{}}}"#, " ".repeat(LONGEST_BODY));
        refused(413, "goes to the URL", posted(&long));
        let long = posted(&format!(r#"{{"content_type": "{}", "size_bytes": 7}}"#, "x".repeat(3000)));
        assert!(long.unwrap_err().detail.len() < 200);
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        refused(404, "POST /uploads", event(METHOD, "/", Some("{}"), false).wanted(LARGEST));
        refused(404, "POST /uploads", event(METHOD, "/uploads/x", Some("{}"), false).wanted(LARGEST));
        refused(405, "not GET", event("GET", PATH, None, false).wanted(LARGEST));
    }
}
