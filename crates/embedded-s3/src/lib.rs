//! An S3 server in the same process, for `demo`, `serve` and the tests.
//!
//! Objects are plain files. The object `embeddings/model=x/date=2026-11-23/abc.parquet` in the
//! bucket `results` is the file `<data>/results/embeddings/model=x/date=2026-11-23/abc.parquet`,
//! which `DuckDB` or pandas can open. Characters that a file name can't contain are encoded.
//!
//! # Layers
//!
//! The layers, lowest first. A layer imports only layers listed before it.
//!
//! ```text
//! region, credentials
//! notification, client
//! storage
//! http
//! server
//! ```
//!
//! In `storage`:
//!
//! ```text
//! error, object, folders, file_version, key_path, key_locks, staged_object
//! buckets, precondition, etag_cache, folder_cache
//! listing
//! object_folder
//! multipart
//! ```
//!
//! In `http`:
//!
//! ```text
//! blocking, byte_range, content_type, copy_source, conditions, response_body, response_fields
//! backend, request_body
//! buckets, list_objects, multipart, objects
//! operations
//! ```

mod client;
mod credentials;
mod http;
mod notification;
mod region;
mod server;
mod storage;

pub use self::client::client;
pub use self::credentials::Credentials;
pub use self::region::REGION;
pub use self::server::Server;
