//! Presigned URLs, which the app uploads to.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use super::{get, list, put};

fn for_a_minute() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(60)).unwrap()
}

async fn put_url(client: &Client, bucket: &str) -> PresignedRequest {
    let put = client.put_object().bucket(bucket).key("up loads/ü+1.jpg").content_type("image/jpeg");
    put.presigned(for_a_minute()).await.unwrap()
}

/// Sends the request with a plain HTTP client. Returns the status.
async fn send(request: &PresignedRequest, uri: &str, content_type: Option<&str>, body: Option<&[u8]>) -> u16 {
    let uri = uri.to_owned();
    let headers: Vec<(String, String)> = request
        .headers()
        .filter(|(name, _)| *name != "host")
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    let content_type = content_type.map(str::to_owned);
    let body = body.map(<[u8]>::to_vec);
    let send = move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let set = |name: &str, value: &str| match &content_type {
            Some(other) if name.eq_ignore_ascii_case("content-type") => other.clone(),
            _ => value.to_owned(),
        };
        match body {
            Some(body) => {
                let request = headers
                    .iter()
                    .fold(agent.put(uri), |it, (name, value)| it.header(name, set(name, value)));
                request.send(body)
            }
            None => agent.get(uri).call(),
        }
    };
    tokio::task::spawn_blocking(send).await.unwrap().unwrap().status().as_u16()
}

pub(super) async fn a_presigned_put_and_get_work(client: &Client, bucket: &str) {
    let url = put_url(client, bucket).await;
    assert_eq!(send(&url, url.uri(), None, Some(b"abc")).await, 200);
    assert_eq!(get(client, bucket, "up loads/ü+1.jpg").await, b"abc");
    let read = client.get_object().bucket(bucket).key("up loads/ü+1.jpg");
    let url = read.presigned(for_a_minute()).await.unwrap();
    assert_eq!(send(&url, url.uri(), None, None).await, 200);
}

pub(super) async fn a_tampered_url_is_refused(client: &Client, bucket: &str) {
    let url = put_url(client, bucket).await;
    let uri = url.uri().replace("1.jpg", "2.jpg");
    assert_eq!(send(&url, &uri, None, Some(b"abc")).await, 403);
    let uri = url.uri().replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    assert_eq!(send(&url, &uri, None, Some(b"abc")).await, 403);
    assert!(list(client, bucket).await.is_empty());
}

pub(super) async fn an_expired_url_is_refused(client: &Client, bucket: &str) {
    put(client, bucket, "a", "abc").await;
    let config = PresigningConfig::builder().expires_in(Duration::from_secs(1));
    let config = config.start_time(SystemTime::now() - Duration::from_secs(120)).build().unwrap();
    let url = client.get_object().bucket(bucket).key("a").presigned(config).await.unwrap();
    assert_eq!(send(&url, url.uri(), None, None).await, 403);
}

pub(super) async fn another_content_type_is_refused(client: &Client, bucket: &str) {
    let url = put_url(client, bucket).await;
    assert_eq!(send(&url, url.uri(), Some("text/html"), Some(b"abc")).await, 403);
    assert!(list(client, bucket).await.is_empty());
}
