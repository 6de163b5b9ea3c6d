//! The settings of a deployed program: read once from the environment, then passed as a value.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

#[cfg(feature = "tract")]
use crate::embed::Engine;
use crate::error::{Error, Result};
use crate::pixels::Limits;

/// The bucket that takes what we make: parts, rejects, removals, fits. Required.
pub const RESULTS_BUCKET: &str = "FRUITVEC_RESULTS_BUCKET";
/// The id of the model card to embed with. Default: [`crate::model::DEFAULT_MODEL`].
pub const MODEL: &str = "FRUITVEC_MODEL";
/// A folder of ONNX files and further model cards, looked at before any other place.
pub const MODELS_DIR: &str = "FRUITVEC_MODELS_DIR";
/// What runs the network, for tests and comparisons: `native`, `native-avx512`, `native-avx2`, `native-portable` or `tract`. Default: native where it can.
pub const ENGINE: &str = "FRUITVEC_ENGINE";
/// The largest photo that is read, bytes. Default: 25 MiB.
pub const MAX_PHOTO_BYTES: &str = "FRUITVEC_MAX_PHOTO_BYTES";
/// The largest photo that is decoded, pixels. Default: 64,000,000.
pub const MAX_PHOTO_PIXELS: &str = "FRUITVEC_MAX_PHOTO_PIXELS";
/// The most memory that one photo may take while it is decoded, bytes. Default: 256 MiB.
pub const MAX_DECODED_BYTES: &str = "FRUITVEC_MAX_DECODED_BYTES";
/// How many photos are embedded at once. Default: the number of cores.
pub const THREADS: &str = "FRUITVEC_THREADS";
/// Words at which decoding panics where a file ends in them, so that tests see what a program makes of it. Debug builds only.
#[cfg(debug_assertions)]
pub const TEST_POISON: &str = "FRUITVEC_TEST_POISON";

/// The settings of whatever ingests photos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// [`RESULTS_BUCKET`].
    pub results_bucket: String,
    /// [`MODEL`].
    pub model: String,
    /// [`MODELS_DIR`].
    pub models_dir: Option<PathBuf>,
    /// [`ENGINE`].
    #[cfg(feature = "tract")]
    pub engine: Option<Engine>,
    /// [`MAX_PHOTO_BYTES`], [`MAX_PHOTO_PIXELS`], [`MAX_DECODED_BYTES`].
    pub limits: Limits,
    /// [`THREADS`].
    pub threads: usize,
}

impl Config {
    /// The settings as `variable` gives them; in production that is [`from_environment`].
    ///
    /// # Errors
    /// [`Error::Config`] names the variable that is missing or does not parse.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Ok(Self {
            results_bucket: variable(RESULTS_BUCKET)
                .ok_or_else(|| Error::Config(format!("{RESULTS_BUCKET} is not set")))?,
            model: variable(MODEL).unwrap_or_else(|| crate::model::DEFAULT_MODEL.to_owned()),
            models_dir: variable(MODELS_DIR).map(PathBuf::from),
            #[cfg(feature = "tract")]
            engine: engine(&variable)?,
            limits: limits(&variable)?,
            threads: threads(&variable)?,
        })
    }
}

/// What a photo may cost: [`MAX_PHOTO_BYTES`], [`MAX_PHOTO_PIXELS`], [`MAX_DECODED_BYTES`].
///
/// # Errors
/// [`Error::Config`] names the variable that does not parse.
pub fn limits(variable: impl Fn(&str) -> Option<String>) -> Result<Limits> {
    let default = Limits::default();
    Ok(Limits {
        bytes: parsed(&variable, MAX_PHOTO_BYTES, default.bytes)?,
        pixels: parsed(&variable, MAX_PHOTO_PIXELS, default.pixels)?,
        decoded_bytes: parsed(&variable, MAX_DECODED_BYTES, default.decoded_bytes)?,
    })
}

/// What runs the network: [`ENGINE`].
///
/// # Errors
/// [`Error::Config`] when there is no engine of that name.
#[cfg(feature = "tract")]
pub fn engine(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Engine>> {
    let parse =
        |name: String| name.parse().map_err(|cause| Error::Config(format!("{ENGINE}={name}: {cause}")));
    variable(ENGINE).map(parse).transpose()
}

/// How many photos are embedded at once: [`THREADS`].
///
/// # Errors
/// [`Error::Config`] when it is no number from 1.
pub fn threads(variable: impl Fn(&str) -> Option<String>) -> Result<usize> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    parsed(&variable, THREADS, threads).and_then(|threads| match threads {
        0 => Err(Error::Config(format!("{THREADS}=0: at least one photo must be embedded at once"))),
        threads => Ok(threads),
    })
}

/// The environment variable of that name; one that is empty or not UTF-8 counts as not set.
#[must_use]
pub fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(
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
    #[cfg(feature = "tract")]
    use crate::embed::Kernels;

    fn read(variables: &[(&str, &str)]) -> Result<Config> {
        Config::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn a_missing_bucket_is_named() {
        let error = read(&[]).unwrap_err();
        assert_eq!(error.to_string(), "configuration: FRUITVEC_RESULTS_BUCKET is not set");
    }

    #[test]
    fn a_number_that_is_none_is_named_with_its_value() {
        let error = read(&[(RESULTS_BUCKET, "r"), (THREADS, "many")]).unwrap_err();
        assert!(error.to_string().contains("FRUITVEC_THREADS=many"), "{error}");
        assert!(read(&[(RESULTS_BUCKET, "r"), (THREADS, "0")]).is_err());
    }

    #[cfg(feature = "tract")]
    #[test]
    fn an_engine_is_one_that_there_is() {
        let engine = |name| read(&[(RESULTS_BUCKET, "r"), (ENGINE, name)]).map(|config| config.engine);
        assert_eq!(engine("tract").unwrap(), Some(Engine::Tract));
        assert_eq!(engine("native").unwrap(), Some(Engine::Native(None)));
        assert_eq!(engine("native-avx2").unwrap(), Some(Engine::Native(Some(Kernels::Avx2))));
        for name in ["openvino", "native-", "native-mmx"] {
            let error = engine(name).unwrap_err().to_string();
            assert!(error.contains(&format!("FRUITVEC_ENGINE={name}: there is no engine")), "{error}");
        }
    }

    #[test]
    fn everything_else_has_a_default() {
        let config = read(&[(RESULTS_BUCKET, "r")]).unwrap();
        assert_eq!(config.model, crate::model::DEFAULT_MODEL);
        #[cfg(feature = "tract")]
        assert_eq!(config.engine, None);
        assert_eq!(config.limits, Limits::default());
        assert!(config.threads >= 1);
    }
}
