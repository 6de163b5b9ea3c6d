//! The settings of a program that ingests photos.

use std::path::PathBuf;

use crate::config::{ENGINE, MODEL, MODELS_DIR, RESULTS_BUCKET, limits, threads};
use crate::contract::limits::Limits;
use crate::contract::model_card::DEFAULT_MODEL;
use crate::embed::Engine;
use crate::error::{Error, Result};

/// The settings of a program that ingests photos, read once and then passed as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The value of [`RESULTS_BUCKET`].
    pub results_bucket: String,
    /// The value of [`MODEL`].
    pub model: String,
    /// The value of [`MODELS_DIR`], if set.
    pub models_dir: Option<PathBuf>,
    /// The value of [`ENGINE`], if set.
    pub engine: Option<Engine>,
    /// The per-photo limits, as [`limits`] reads them.
    pub limits: Limits,
    /// The number of photos that are embedded in parallel, as [`threads`] reads it.
    pub threads: usize,
}

impl Config {
    /// Reads the settings with a lookup such as
    /// [`from_environment`](crate::config::from_environment).
    ///
    /// # Errors
    /// [`Error::Config`] names the variable that is missing or does not parse.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Ok(Self {
            results_bucket: variable(RESULTS_BUCKET)
                .ok_or_else(|| Error::Config(format!("{RESULTS_BUCKET} is not set")))?,
            model: variable(MODEL).unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            models_dir: variable(MODELS_DIR).map(PathBuf::from),
            engine: engine(&variable)?,
            limits: limits(&variable)?,
            threads: threads(&variable)?,
        })
    }
}

/// Reads the inference engine from [`ENGINE`].
///
/// # Errors
/// [`Error::Config`] when the value is not the name of an engine.
pub fn engine(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Engine>> {
    let parse =
        |name: String| name.parse().map_err(|cause| Error::Config(format!("{ENGINE}={name}: {cause}")));
    variable(ENGINE).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::THREADS;
    use crate::embed::Isa;

    fn read(variables: &[(&str, &str)]) -> Result<Config> {
        Config::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn a_missing_bucket_is_named() {
        let error = read(&[]).unwrap_err();
        assert_eq!(error.to_string(), "configuration: FRUITVEC_RESULTS_BUCKET is not set");
    }

    #[test]
    fn a_value_that_is_not_a_number_is_named_with_its_variable() {
        let error = read(&[(RESULTS_BUCKET, "r"), (THREADS, "many")]).unwrap_err();
        assert!(error.to_string().contains("FRUITVEC_THREADS=many"), "{error}");
        assert!(read(&[(RESULTS_BUCKET, "r"), (THREADS, "0")]).is_err());
    }

    #[test]
    fn only_known_engines_are_accepted() {
        let engine = |name| read(&[(RESULTS_BUCKET, "r"), (ENGINE, name)]).map(|config| config.engine);
        assert_eq!(engine("tract").unwrap(), Some(Engine::Tract));
        assert_eq!(engine("native").unwrap(), Some(Engine::Native(None)));
        assert_eq!(engine("native-avx2").unwrap(), Some(Engine::Native(Some(Isa::Avx2))));
        for name in ["openvino", "native-", "native-mmx"] {
            let error = engine(name).unwrap_err().to_string();
            assert!(error.contains(&format!("FRUITVEC_ENGINE={name}: there is no engine")), "{error}");
        }
    }

    #[test]
    fn everything_else_has_a_default() {
        let config = read(&[(RESULTS_BUCKET, "r")]).unwrap();
        assert_eq!(config.model, DEFAULT_MODEL);
        assert_eq!(config.engine, None);
        assert_eq!(config.limits, Limits::default());
        assert!(config.threads >= 1);
    }
}
