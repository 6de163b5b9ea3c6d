//! An S3 server inside the process, on a folder: for `demo`, `serve` and the tests.
//!
//! ```text
//! server ──▶ protocol (the trait of s3s) ──▶ objects (buckets and objects as folders and files) ──▶ notification
//!              receive, send, conditions       keys, listing, etags, draft, uploads
//! ```
//!
//! Objects are plain files: `<data>/results/embeddings/model=x/date=2026-11-23/abc.parquet` is the object with that
//! key in the bucket `results`, for `DuckDB` or pandas to open. What a file name can't hold is encoded: see `keys`.

#[path = "http/conditions.rs"]
mod conditions;
#[path = "http/content_type.rs"]
mod content_type;
mod credentials;
#[path = "../../../src/ingest/notification_loop.rs"]
pub mod dispatch;
#[path = "storage/staged_object.rs"]
mod draft;
#[path = "storage/etag_cache.rs"]
mod etags;
#[path = "storage/key_path.rs"]
mod keys;
#[path = "storage/listing.rs"]
mod listing;
mod notification;
#[path = "storage/object_folder.rs"]
mod objects;
#[path = "http/operations.rs"]
mod protocol;
#[path = "http/request_body.rs"]
mod receive;
#[path = "storage/error.rs"]
mod refusal;
#[path = "http/response_body.rs"]
mod send;
mod server;
#[path = "storage/multipart.rs"]
mod uploads;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials as SdkCredentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation,
};

pub use fruitvec_painter as painter;

pub use self::credentials::Credentials;
pub use self::server::Server;

/// The region that the embedded S3 says it is in.
pub const REGION: &str = "eu-west-3";

/// A client of the S3 server at this loopback endpoint: plain HTTP, the bucket in the path.
#[must_use]
pub fn client(endpoint: &str, credentials: &Credentials) -> Client {
    let Credentials { access_key_id, secret_access_key } = credentials;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(SdkCredentials::new(access_key_id, secret_access_key, None, None, "fruitvec"))
        // Loopback keeps bytes as they are.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}
