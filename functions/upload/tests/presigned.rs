//! Requests an upload as the app does, then uses or misuses the URL with a plain HTTP client.
//!
//! The embedded S3 checks signatures as S3 does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use fruitvec_embedded_s3::Server;
use fruitvec_upload::{Config, Event, Presigner, Response, respond};
use serde_json::{Value, json};
use time::OffsetDateTime;

const PHOTOS: &str = "photos";
const EXPIRY: Duration = Duration::from_secs(300);
const MAX_BYTES: u64 = 25 << 20;

struct World {
    server: Server,
    presigner: Presigner,
    _data: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), 0).await.unwrap();
        server.client().create_bucket().bucket(PHOTOS).send().await.unwrap();
        let config = Config { photos_bucket: PHOTOS.into(), max_bytes: MAX_BYTES, expiry: EXPIRY };
        Self { presigner: Presigner::new(&server.client(), config), server, _data: data }
    }

    async fn respond(&self, event: &Value) -> Response {
        self.respond_at(event, OffsetDateTime::now_utc()).await
    }

    async fn respond_at(&self, event: &Value, now: OffsetDateTime) -> Response {
        let event: Event = serde_json::from_value(event.clone()).unwrap();
        respond(&self.presigner, &event, now).await.unwrap()
    }

    /// Requests an upload that must be granted.
    async fn granted(&self, content_type: &str, size: usize) -> Value {
        granted(&self.respond(&request(&json!({"content_type": content_type, "size_bytes": size}))).await)
    }

    async fn keys(&self) -> Vec<String> {
        let listed = self.server.client().list_objects_v2().bucket(PHOTOS).send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/upload-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the app's real event with another body.
fn request(body: &Value) -> Value {
    let mut event = event("jpeg");
    event["body"] = body.to_string().into();
    event
}

#[track_caller]
fn granted(response: &Response) -> Value {
    assert_eq!(response.status_code, 201, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

/// Sends a PUT with a plain HTTP client, and returns the status.
async fn put(url: &str, content_type: &str, body: Vec<u8>) -> u16 {
    let (url, content_type) = (url.to_owned(), content_type.to_owned());
    let send = move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        agent.put(url).header("content-type", content_type).send(body).unwrap().status().as_u16()
    };
    tokio::task::spawn_blocking(send).await.unwrap()
}

#[tokio::test]
async fn the_url_accepts_the_requested_photo() {
    let world = World::start().await;
    let upload = granted(&world.respond(&event("jpeg")).await);
    let length = upload["headers"]["content-length"].as_str().unwrap().parse().unwrap();
    let url = upload["url"].as_str().unwrap();
    assert_eq!(upload["method"], "PUT");
    assert_eq!(put(url, "image/jpeg", vec![7; length]).await, 200);
    assert_eq!(world.keys().await, [upload["key"].as_str().unwrap()]);
    let key = upload["key"].as_str().unwrap();
    let stored = world.server.client().head_object().bucket(PHOTOS).key(key).send().await.unwrap();
    assert_eq!((stored.content_type(), stored.content_length()), (Some("image/jpeg"), Some(length as i64)));
}

#[tokio::test]
async fn a_base64_body_is_accepted() {
    let world = World::start().await;
    let upload = granted(&world.respond(&event("base64")).await);
    assert!(upload["key"].as_str().unwrap().ends_with(".webp"), "{upload}");
}

#[tokio::test]
async fn a_type_or_length_other_than_requested_is_refused() {
    let world = World::start().await;
    let upload = world.granted("image/jpeg", 100).await;
    let url = upload["url"].as_str().unwrap();
    assert_eq!(put(url, "text/html", vec![7; 100]).await, 403);
    assert_eq!(put(url, "image/jpeg", vec![7; 101]).await, 403);
    assert_eq!(put(url, "image/jpeg", vec![7; 99]).await, 403);
    assert_eq!(put(url, "image/jpeg", Vec::new()).await, 403);
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn a_tampered_url_is_refused() {
    let world = World::start().await;
    let upload = world.granted("image/png", 10).await;
    let (url, key) = (upload["url"].as_str().unwrap(), upload["key"].as_str().unwrap());
    let (head, last) = url.rsplit_once("X-Amz-Signature=").unwrap();
    let other = if last.starts_with('0') { "1" } else { "0" };
    let (rest, _) = last.split_once('&').unwrap_or((last, ""));
    for tampered in [
        url.replace(key, "photos/Kiwi/1.png"),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        url.replace("content-length%3B", ""),
        format!("{head}X-Amz-Signature={other}{}", &rest[1..]),
    ] {
        assert_ne!(tampered, url);
        assert_eq!(put(&tampered, "image/png", vec![7; 10]).await, 403, "{tampered}");
    }
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn an_expired_url_is_refused() {
    let world = World::start().await;
    let body = json!({"content_type": "image/png", "size_bytes": 10});
    let earlier = OffsetDateTime::now_utc() - 2 * EXPIRY;
    let upload = granted(&world.respond_at(&request(&body), earlier).await);
    assert_eq!(put(upload["url"].as_str().unwrap(), "image/png", vec![7; 10]).await, 403);
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn the_app_can_not_choose_the_key() {
    let world = World::start().await;
    let body = json!({"content_type": "image/png", "size_bytes": 10, "key": "photos/Kiwi/1.png", "bucket": "results"});
    let upload = granted(&world.respond(&request(&body)).await);
    assert!(upload["key"].as_str().unwrap().starts_with("uploads/"), "{upload}");
    assert!(upload["url"].as_str().unwrap().contains("/photos/uploads/"), "{upload}");
}

#[tokio::test]
async fn problem_details_list_what_is_allowed() {
    let world = World::start().await;
    for (name, status, title, text) in [
        ("heic", 415, "Unsupported Media Type", "JPEG"),
        ("too-large", 413, "Content Too Large", "26214400"),
        ("not-json", 400, "Bad Request", "size_bytes"),
    ] {
        let response = world.respond(&event(name)).await;
        let wire = serde_json::to_value(&response).unwrap();
        assert_eq!(wire["statusCode"], status);
        assert_eq!(wire["headers"]["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], title);
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().contains(text), "{problem}");
        assert_eq!(problem["allowed"]["content_types"], json!(["image/jpeg", "image/png", "image/webp"]));
        assert_eq!(problem["allowed"]["max_size_bytes"], MAX_BYTES);
    }
}

#[tokio::test]
async fn another_method_is_refused_with_the_allowed_one() {
    let world = World::start().await;
    let mut event = event("jpeg");
    event["requestContext"]["http"]["method"] = "GET".into();
    let wire = serde_json::to_value(world.respond(&event).await).unwrap();
    assert_eq!((&wire["statusCode"], &wire["headers"]["allow"]), (&json!(405), &json!("POST")));
}
