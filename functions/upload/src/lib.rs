//! The app asks for an upload and is given a presigned URL: the photo goes straight to S3, and the app names no key.
//!
//! ```text
//! event ──▶ request (what is wanted) ──▶ uploads (key, presigned PUT) ──▶ answer
//!             └─ refusal (RFC 9457) ────────────────────────────────────────┘
//! ```

#[path = "respond.rs"]
mod answer;
mod config;
#[path = "media_type.rs"]
mod media;
#[path = "problem.rs"]
mod refusal;
mod request;
#[path = "presigner.rs"]
mod uploads;

pub use self::answer::{Answer, answer};
pub use self::config::{Config, PHOTOS_BUCKET, UPLOAD_EXPIRY_SECONDS};
pub use self::media::MediaType;
pub use self::refusal::Refusal;
pub use self::request::{Event, Wanted};
pub use self::uploads::{Upload, Uploads};
