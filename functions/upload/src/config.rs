//! The settings of the function: read once from the environment, then passed as a value.

use std::time::Duration;

use fruitvec::config::limits;
use fruitvec::error::{Error, Result};

/// The bucket that photos are uploaded to. Required.
pub const PHOTOS_BUCKET: &str = "FRUITVEC_PHOTOS_BUCKET";
/// For how long an upload may be begun, seconds. Default: 300.
pub const UPLOAD_EXPIRY_SECONDS: &str = "FRUITVEC_UPLOAD_EXPIRY_SECONDS";

const DEFAULT_EXPIRY: u64 = 300;
/// Longer than a week S3 does not let a presigned URL live.
const LONGEST_EXPIRY: u64 = 7 * 24 * 60 * 60;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// [`PHOTOS_BUCKET`].
    pub photos_bucket: String,
    /// The largest photo that may be uploaded, bytes: [`fruitvec::config::MAX_PHOTO_BYTES`], as large as is embedded.
    pub largest: u64,
    /// [`UPLOAD_EXPIRY_SECONDS`].
    pub expiry: Duration,
}

impl Config {
    /// The settings as `variable` gives them; in production that is [`fruitvec::config::from_environment`].
    ///
    /// # Errors
    /// [`Error::Config`] names the variable that is missing or makes no sense.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Ok(Self {
            photos_bucket: variable(PHOTOS_BUCKET)
                .ok_or_else(|| Error::Config(format!("{PHOTOS_BUCKET} is not set")))?,
            largest: limits(&variable)?.bytes,
            expiry: expiry(variable(UPLOAD_EXPIRY_SECONDS))?,
        })
    }
}

fn expiry(value: Option<String>) -> Result<Duration> {
    let Some(value) = value else { return Ok(Duration::from_secs(DEFAULT_EXPIRY)) };
    match value.parse() {
        Ok(seconds) if (1..=LONGEST_EXPIRY).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Config(format!(
            "{UPLOAD_EXPIRY_SECONDS}={value}: must be whole seconds from 1 to {LONGEST_EXPIRY}, a week"
        ))),
    }
}

#[cfg(test)]
mod tests {
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
    fn an_upload_may_be_as_large_as_what_is_embedded_and_begun_for_five_minutes() {
        let config = read(&[(PHOTOS_BUCKET, "p")]).unwrap();
        assert_eq!(config.largest, fruitvec::pixels::Limits::default().bytes);
        assert_eq!(config.expiry, Duration::from_secs(300));
    }

    #[test]
    fn an_expiry_that_s3_would_not_take_is_named_with_its_value() {
        for wrong in ["0", "604801", "5m", "-1"] {
            let error = read(&[(PHOTOS_BUCKET, "p"), (UPLOAD_EXPIRY_SECONDS, wrong)]).unwrap_err();
            assert!(error.to_string().contains(&format!("{UPLOAD_EXPIRY_SECONDS}={wrong}")), "{error}");
        }
    }
}
