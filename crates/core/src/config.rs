//! Settings of deployed programs, read once from the environment and then passed as values.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use crate::contract::limits::Limits;
use crate::error::{Error, Result};

/// The bucket for results: parts, rejects, removals and fits. Required.
pub const RESULTS_BUCKET: &str = "FRUITVEC_RESULTS_BUCKET";

/// The id of the model card to embed with.
/// Default: [`DEFAULT_MODEL`](crate::contract::model_card::DEFAULT_MODEL).
pub const MODEL: &str = "FRUITVEC_MODEL";

/// A folder of ONNX files and additional model cards. It is searched before any other place.
pub const MODELS_DIR: &str = "FRUITVEC_MODELS_DIR";

/// The inference engine, for tests and comparisons: `native`, `native-avx512`, `native-avx2`,
/// `native-portable` or `tract`. Default: native for the networks that it supports, else tract.
pub const ENGINE: &str = "FRUITVEC_ENGINE";

/// The size limit for a photo's file, in bytes. Default: 25 MiB.
pub const MAX_PHOTO_BYTES: &str = "FRUITVEC_MAX_PHOTO_BYTES";

/// The size limit for a photo, in pixels. Default: 64,000,000, and 250,000,000 for a baseline JPEG.
pub const MAX_PHOTO_PIXELS: &str = "FRUITVEC_MAX_PHOTO_PIXELS";

/// The limit on memory for decoding one photo, in bytes. Default: 256 MiB.
pub const MAX_DECODED_BYTES: &str = "FRUITVEC_MAX_DECODED_BYTES";

/// The limit on the time to decode and embed one photo, in whole seconds. Default: 20.
pub const MAX_PHOTO_SECONDS: &str = "FRUITVEC_MAX_PHOTO_SECONDS";

/// The number of photos that are embedded in parallel. Default: the number of cores.
pub const THREADS: &str = "FRUITVEC_THREADS";

/// Bytes at the end of a file that make the decoder panic, for tests of panic handling.
/// Debug builds only.
#[cfg(debug_assertions)]
pub const TEST_POISON: &str = "FRUITVEC_TEST_POISON";

/// Bytes at the end of a file that make the decoder hang, for tests of the time limit.
/// Debug builds only.
#[cfg(debug_assertions)]
pub const TEST_HANG: &str = "FRUITVEC_TEST_HANG";

/// Reads the per-photo limits from [`MAX_PHOTO_BYTES`], [`MAX_PHOTO_PIXELS`],
/// [`MAX_DECODED_BYTES`] and [`MAX_PHOTO_SECONDS`].
///
/// # Errors
/// [`Error::Config`] names the variable that does not parse.
pub fn limits(variable: impl Fn(&str) -> Option<String>) -> Result<Limits> {
    let default = Limits::default();
    let seconds = parse_or(&variable, MAX_PHOTO_SECONDS, default.time.as_secs())?;
    if seconds == 0 {
        return Err(Error::Config(format!("{MAX_PHOTO_SECONDS}=0: must be at least 1")));
    }
    Ok(Limits {
        bytes: parse_or(&variable, MAX_PHOTO_BYTES, default.bytes)?,
        pixels: parse_or(&variable, MAX_PHOTO_PIXELS, default.pixels)?,
        decoded_bytes: parse_or(&variable, MAX_DECODED_BYTES, default.decoded_bytes)?,
        time: Duration::from_secs(seconds),
    })
}

/// Reads the number of photos to embed in parallel from [`THREADS`].
///
/// # Errors
/// [`Error::Config`] when the value is not a positive integer.
pub fn threads(variable: impl Fn(&str) -> Option<String>) -> Result<usize> {
    // Respects the CPU limits of a container, unlike the number of cores of the machine.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match parse_or(&variable, THREADS, cores)? {
        0 => Err(Error::Config(format!("{THREADS}=0: must be at least 1"))),
        threads => Ok(threads),
    }
}

/// Returns the value of an environment variable. Empty and non-UTF-8 values count as unset.
#[must_use]
pub fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn parse_or<T: FromStr<Err: std::fmt::Display>>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    default: T,
) -> Result<T> {
    variable(name).map_or(Ok(default), |value| {
        value.parse().map_err(|cause| Error::Config(format!("{name}={value}: {cause}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a lookup that knows one variable.
    fn only(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |asked| (asked == name).then(|| value.to_owned())
    }

    #[test]
    fn unset_variables_fall_back_to_the_defaults() {
        assert_eq!(limits(|_| None).unwrap(), Limits::default());
        assert!(threads(|_| None).unwrap() >= 1);
    }

    #[test]
    fn each_limit_has_its_own_variable() {
        let default = Limits::default();
        let bytes = limits(only("FRUITVEC_MAX_PHOTO_BYTES", "7")).unwrap();
        assert_eq!(bytes, Limits { bytes: 7, ..default });
        let pixels = limits(only("FRUITVEC_MAX_PHOTO_PIXELS", "7")).unwrap();
        assert_eq!(pixels, Limits { pixels: 7, ..default });
        let memory = limits(only("FRUITVEC_MAX_DECODED_BYTES", "7")).unwrap();
        assert_eq!(memory, Limits { decoded_bytes: 7, ..default });
        let time = limits(only("FRUITVEC_MAX_PHOTO_SECONDS", "7")).unwrap();
        assert_eq!(time, Limits { time: Duration::from_secs(7), ..default });
    }

    #[test]
    fn a_limit_that_is_not_a_number_is_named_with_its_value() {
        let error = limits(only(MAX_PHOTO_BYTES, "25M")).unwrap_err().to_string();
        assert!(error.starts_with("configuration: FRUITVEC_MAX_PHOTO_BYTES=25M: "), "{error}");
        assert!(limits(only(MAX_PHOTO_PIXELS, "-1")).is_err());
        assert!(limits(only(MAX_PHOTO_SECONDS, "0")).is_err(), "no photo would be embedded");
    }

    #[test]
    fn the_number_of_threads_is_a_positive_integer() {
        assert_eq!(threads(only("FRUITVEC_THREADS", "3")).unwrap(), 3);
        for value in ["0", "-1", "many"] {
            let error = threads(only(THREADS, value)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("configuration: FRUITVEC_THREADS={value}: ")), "{error}");
        }
    }
}
