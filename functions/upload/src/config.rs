//! The settings of the function, read once from the environment and then passed as a value.

use std::time::Duration;

use fruitvec_core::config::limits;
use fruitvec_core::error::{Error, Result};

/// The bucket that photos are uploaded to. Required.
pub const PHOTOS_BUCKET: &str = "FRUITVEC_PHOTOS_BUCKET";
/// The time within which the app must start an upload, in seconds. Default: 300.
pub const UPLOAD_EXPIRY_SECONDS: &str = "FRUITVEC_UPLOAD_EXPIRY_SECONDS";

const DEFAULT_EXPIRY_SECONDS: u64 = 300;
/// The longest expiry that S3 accepts for a presigned URL: a week.
const MAX_EXPIRY_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// [`PHOTOS_BUCKET`].
    pub photos_bucket: String,
    /// The largest photo that may be uploaded, in bytes.
    ///
    /// The same limit as that of embed, so that no upload is accepted only to be rejected later.
    pub max_bytes: u64,
    /// [`UPLOAD_EXPIRY_SECONDS`].
    pub expiry: Duration,
}

impl Config {
    /// Reads the settings through `variable`, which in production is
    /// [`fruitvec_core::config::from_environment`].
    ///
    /// # Errors
    /// [`Error::Config`] names the variable that is missing or invalid.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Ok(Self {
            photos_bucket: variable(PHOTOS_BUCKET)
                .ok_or_else(|| Error::Config(format!("{PHOTOS_BUCKET} is not set")))?,
            max_bytes: limits(&variable)?.bytes,
            expiry: expiry(variable(UPLOAD_EXPIRY_SECONDS))?,
        })
    }
}

fn expiry(value: Option<String>) -> Result<Duration> {
    let Some(value) = value else { return Ok(Duration::from_secs(DEFAULT_EXPIRY_SECONDS)) };
    match value.parse() {
        Ok(seconds) if (1..=MAX_EXPIRY_SECONDS).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Config(format!(
            "{UPLOAD_EXPIRY_SECONDS}={value}: must be whole seconds from 1 to {MAX_EXPIRY_SECONDS}, a week"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use fruitvec_core::contract::limits::Limits;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config> {
        Config::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn a_missing_bucket_is_named() {
        let error = read(&[]).unwrap_err();
        assert_eq!(error.to_string(), "configuration: FRUITVEC_PHOTOS_BUCKET is not set");
    }

    #[test]
    fn by_default_an_upload_has_embed_s_size_limit_and_expires_after_five_minutes() {
        let config = read(&[(PHOTOS_BUCKET, "p")]).unwrap();
        assert_eq!(config.max_bytes, Limits::default().bytes);
        assert_eq!(config.expiry, Duration::from_secs(300));
    }

    #[test]
    fn an_expiry_that_s3_would_not_accept_is_reported_with_its_value() {
        for wrong in ["0", "604801", "5m", "-1"] {
            let error = read(&[(PHOTOS_BUCKET, "p"), (UPLOAD_EXPIRY_SECONDS, wrong)]).unwrap_err();
            assert!(error.to_string().contains(&format!("{UPLOAD_EXPIRY_SECONDS}={wrong}")), "{error}");
        }
    }
}
