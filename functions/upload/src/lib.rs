//! Gives the app a presigned URL for each photo that it uploads.
//!
//! The photo goes straight from the app to S3. The app cannot choose the object's key.
//!
//! ```text
//! event ──▶ request (validation) ──▶ presigner (key, presigned PUT) ──▶ respond
//!              └─ problem (RFC 9457) ──────────────────────────────────────┘
//! ```

mod config;
mod media_type;
mod presigner;
mod problem;
mod request;
mod respond;
mod route;

pub use self::config::{Config, PHOTOS_BUCKET, UPLOAD_EXPIRY_SECONDS};
pub use self::media_type::MediaType;
pub use self::presigner::{PresignedUpload, Presigner};
pub use self::problem::Problem;
pub use self::request::{Event, RequestedUpload};
pub use self::respond::{Headers, Response, respond};
