//! The settings of the function, read once from the environment and then passed as a value.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use fruitvec_core::config::{MAX_DECODED_BYTES, MODEL, RESULTS_BUCKET, limits};
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::DEFAULT_MODEL;
use fruitvec_core::error::{Error, Result};

use crate::executor::{Executor, WorkerType};

/// The bucket that contains the photos. Required.
pub const PHOTOS_BUCKET: &str = "FRUITVEC_PHOTOS_BUCKET";
/// How many pages of 1,000 objects change detection may list. Default: 200.
///
/// At this limit, a cluster is launched without knowing whether there is work.
pub const MAX_LISTED_PAGES: &str = "FRUITVEC_LOOK_PAGES";
/// The EMR release. Default: emr-7.12.0.
pub const RELEASE: &str = "FRUITVEC_EMR_RELEASE";
/// The comma-separated subnets, from which EMR chooses the one with the best offer. Required.
pub const SUBNETS: &str = "FRUITVEC_EMR_SUBNETS";
/// The IAM role of the EMR service. Required.
pub const SERVICE_ROLE: &str = "FRUITVEC_EMR_SERVICE_ROLE";
/// The instance profile of the machines, and so of the job. Required.
pub const INSTANCE_PROFILE: &str = "FRUITVEC_EMR_INSTANCE_PROFILE";
/// The destination of the logs: `s3://bucket/prefix/`. Required.
pub const LOG_URI: &str = "FRUITVEC_EMR_LOG_URI";
/// The name of an EMR security configuration. Default: none.
pub const SECURITY_CONFIGURATION: &str = "FRUITVEC_EMR_SECURITY_CONFIGURATION";
/// The location of `bootstrap.sh`, `rebuild.py`, the worker and the model: `s3://bucket/prefix`.
/// Default: `emr` in the results bucket.
pub const ARTIFACTS: &str = "FRUITVEC_EMR_ARTIFACTS";
/// The instance type of the primary node, which always runs on demand. Default: m5.xlarge.
pub const PRIMARY_TYPE: &str = "FRUITVEC_EMR_PRIMARY_TYPE";
/// The instance types of the workers, each with its units: `m5.xlarge=4,m5.2xlarge=8`.
/// Default: m5, m5a and m6i, with one unit per vCPU.
pub const WORKER_TYPES: &str = "FRUITVEC_EMR_WORKER_TYPES";
/// The units of core workers, which never change. Default: 8.
pub const CORE_UNITS: &str = "FRUITVEC_EMR_CORE_UNITS";
/// The initial units of task workers; 0 disables task workers. Default: 8.
pub const TASK_UNITS: &str = "FRUITVEC_EMR_TASK_UNITS";
/// The maximum units of core and task workers together. Default: 64.
pub const MAX_UNITS: &str = "FRUITVEC_EMR_MAX_UNITS";
/// The idle time after which a cluster terminates, in seconds. Default: 1800.
pub const IDLE_SECONDS: &str = "FRUITVEC_EMR_IDLE_SECONDS";
/// The age at which a sweep terminates a cluster, in seconds. Default: 43200, twelve hours.
pub const MAX_AGE_SECONDS: &str = "FRUITVEC_EMR_MAX_AGE_SECONDS";
/// The tasks, and so the cores, of a Spark executor. Default: 2.
pub const TASKS_PER_EXECUTOR: &str = "FRUITVEC_EMR_TASKS_PER_EXECUTOR";
/// The heap of a Spark executor, in MiB. Default: 2048.
pub const EXECUTOR_MEMORY_MIB: &str = "FRUITVEC_EMR_EXECUTOR_MEMORY_MIB";
/// The tags of the cluster and its machines: `team=data,stage=production`. Default: none.
pub const TAGS: &str = "FRUITVEC_EMR_TAGS";

const DEFAULT_RELEASE: &str = "emr-7.12.0";
const DEFAULT_PRIMARY_TYPE: &str = "m5.xlarge";
const DEFAULT_WORKER_TYPES: &str = "m5.xlarge=4,m5a.xlarge=4,m6i.xlarge=4,m5.2xlarge=8,m6i.2xlarge=8";
/// The range that EMR accepts as `IdleTimeout`: a minute to a week.
const IDLE_RANGE: RangeInclusive<u32> = 60..=604_800;
/// EMR's limit of instance types in a fleet with an allocation strategy.
const MAX_WORKER_TYPES: usize = 30;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// [`PHOTOS_BUCKET`].
    pub photos_bucket: String,
    /// [`RESULTS_BUCKET`]. It also identifies the clusters of this deployment.
    pub results_bucket: String,
    /// [`MODEL`].
    pub model: String,
    /// [`MAX_LISTED_PAGES`].
    pub max_listed_pages: u32,
    /// [`RELEASE`].
    pub release: String,
    /// [`SUBNETS`].
    pub subnets: Vec<String>,
    /// [`SERVICE_ROLE`].
    pub service_role: String,
    /// [`INSTANCE_PROFILE`].
    pub instance_profile: String,
    /// [`LOG_URI`].
    pub log_uri: String,
    /// [`SECURITY_CONFIGURATION`].
    pub security_configuration: Option<String>,
    /// [`ARTIFACTS`], without a trailing slash.
    pub artifacts: String,
    /// [`PRIMARY_TYPE`].
    pub primary_type: String,
    /// [`WORKER_TYPES`].
    pub worker_types: Vec<WorkerType>,
    /// [`CORE_UNITS`].
    pub core_units: i32,
    /// [`TASK_UNITS`].
    pub task_units: i32,
    /// [`MAX_UNITS`].
    pub max_units: i32,
    /// [`IDLE_SECONDS`].
    pub idle: Duration,
    /// [`MAX_AGE_SECONDS`].
    pub max_age: Duration,
    /// The per-photo limits of the workers, which are the same as those of embed.
    pub limits: Limits,
    /// [`TASKS_PER_EXECUTOR`], [`EXECUTOR_MEMORY_MIB`], [`MAX_DECODED_BYTES`].
    pub executor: Executor,
    /// [`TAGS`].
    pub tags: Vec<(String, String)>,
}

impl Config {
    /// Reads the settings through `variable`, which in production is
    /// [`fruitvec_core::config::from_environment`].
    ///
    /// # Errors
    /// [`Error::Config`] names the variable that is missing or invalid, and the reason.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let required = |name| variable(name).ok_or_else(|| Error::Config(format!("{name} is not set")));
        let results_bucket = required(RESULTS_BUCKET)?;
        let artifacts = variable(ARTIFACTS).unwrap_or_else(|| format!("s3://{results_bucket}/emr"));
        let limits = limits(&variable)?;
        let types = variable(WORKER_TYPES).unwrap_or_else(|| DEFAULT_WORKER_TYPES.to_owned());
        let config = Self {
            photos_bucket: required(PHOTOS_BUCKET)?,
            model: variable(MODEL).unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            max_listed_pages: number(&variable, MAX_LISTED_PAGES, 200, 1..=u32::MAX)?,
            release: release(variable(RELEASE))?,
            subnets: subnets(&required(SUBNETS)?)?,
            service_role: required(SERVICE_ROLE)?,
            instance_profile: required(INSTANCE_PROFILE)?,
            log_uri: s3_uri(LOG_URI, required(LOG_URI)?)?,
            security_configuration: variable(SECURITY_CONFIGURATION),
            artifacts: s3_uri(ARTIFACTS, artifacts)?.trim_end_matches('/').to_owned(),
            primary_type: variable(PRIMARY_TYPE).unwrap_or_else(|| DEFAULT_PRIMARY_TYPE.to_owned()),
            worker_types: worker_types(&types)?,
            core_units: number(&variable, CORE_UNITS, 8, 1..=i32::MAX)?,
            task_units: number(&variable, TASK_UNITS, 8, 0..=i32::MAX)?,
            max_units: number(&variable, MAX_UNITS, 64, 1..=i32::MAX)?,
            idle: Duration::from_secs(number(&variable, IDLE_SECONDS, 1800, IDLE_RANGE)?.into()),
            max_age: Duration::from_secs(number(&variable, MAX_AGE_SECONDS, 43_200, 3600..=u32::MAX)?.into()),
            executor: Executor {
                tasks: number(&variable, TASKS_PER_EXECUTOR, 2, 1..=256)?,
                heap_mib: number(&variable, EXECUTOR_MEMORY_MIB, 2048, 512..=1_048_576)?,
                photo_mib: u32::try_from(limits.decoded_bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX),
            },
            limits,
            tags: tags(&variable(TAGS).unwrap_or_default())?,
            results_bucket,
        };
        config.validated()
    }

    /// Checks the settings that depend on each other.
    fn validated(self) -> Result<Self> {
        let least = self.core_units.saturating_add(self.task_units);
        if self.max_units < least {
            return Err(Error::Config(format!(
                "{MAX_UNITS}={}: must be at least {least}, the sum of {CORE_UNITS} and {TASK_UNITS}",
                self.max_units
            )));
        }
        self.executor.check_fits(&self.worker_types).map_err(|reason| {
            Error::Config(format!(
                "{TASKS_PER_EXECUTOR}, {EXECUTOR_MEMORY_MIB}, {MAX_DECODED_BYTES} and {WORKER_TYPES}: {reason}"
            ))
        })?;
        Ok(self)
    }
}

fn number<T: FromStr + PartialOrd + Display>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    default: T,
    range: RangeInclusive<T>,
) -> Result<T> {
    let Some(value) = variable(name) else { return Ok(default) };
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (min, max) = range.into_inner();
        Error::Config(format!("{name}={value}: must be a whole number from {min} to {max}"))
    })
}

fn release(value: Option<String>) -> Result<String> {
    let release = value.unwrap_or_else(|| DEFAULT_RELEASE.to_owned());
    // The worker is built for Amazon Linux 2023 and Python 3.11, which only EMR 7 has.
    if release.strip_prefix("emr-7.").is_none_or(str::is_empty) {
        return Err(Error::Config(format!(
            "{RELEASE}={release}: must be a release of EMR 7, such as {DEFAULT_RELEASE}"
        )));
    }
    Ok(release)
}

fn subnets(value: &str) -> Result<Vec<String>> {
    let subnets: Vec<_> = comma_separated(value).map(str::to_owned).collect();
    if subnets.is_empty() || subnets.iter().any(|subnet| !subnet.starts_with("subnet-")) {
        let reason = "must be comma-separated subnet ids such as subnet-0a1b2c";
        return Err(Error::Config(format!("{SUBNETS}={value}: {reason}")));
    }
    Ok(subnets)
}

fn s3_uri(name: &str, value: String) -> Result<String> {
    if value.strip_prefix("s3://").is_none_or(|rest| rest.trim_matches('/').is_empty()) {
        return Err(Error::Config(format!("{name}={value}: must be s3://bucket/prefix")));
    }
    Ok(value)
}

fn worker_types(value: &str) -> Result<Vec<WorkerType>> {
    let invalid = |reason: &str| Error::Config(format!("{WORKER_TYPES}={value}: {reason}"));
    let types = comma_separated(value).map(|item| {
        let (name, units) = item.split_once('=').unwrap_or((item, ""));
        let units = units.trim().parse::<i32>().ok().filter(|units| *units > 0);
        let units = units.ok_or_else(|| invalid("each type needs its units, as in m5.xlarge=4"))?;
        WorkerType::new(name.trim(), units).map_err(|reason| invalid(&reason))
    });
    let types: Vec<_> = types.collect::<Result<_>>()?;
    match types.len() {
        0 => Err(invalid("at least one type is needed")),
        1..=MAX_WORKER_TYPES => Ok(types),
        _ => Err(invalid("EMR accepts at most 30 types")),
    }
}

fn tags(value: &str) -> Result<Vec<(String, String)>> {
    comma_separated(value)
        .map(|item| match item.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(Error::Config(format!("{TAGS}={value}: must be comma-separated key=value pairs"))),
        })
        .collect()
}

fn comma_separated(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 6] = [
        (PHOTOS_BUCKET, "photos"),
        (RESULTS_BUCKET, "results"),
        (SUBNETS, "subnet-0a,subnet-0b"),
        (SERVICE_ROLE, "arn:aws:iam::123456789012:role/emr"),
        (INSTANCE_PROFILE, "fruitvec-emr"),
        (LOG_URI, "s3://results/logs/"),
    ];

    /// Reads the required settings together with these.
    pub(crate) fn read(variables: &[(&str, &str)]) -> Result<Config> {
        let all: Vec<_> = variables.iter().chain(&REQUIRED).collect();
        Config::read(|name| all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn each_missing_variable_is_named() {
        for (missing, _) in REQUIRED {
            let given = REQUIRED.iter().filter(|(name, _)| *name != missing);
            let given: Vec<_> = given.collect();
            let error =
                Config::read(|name| given.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()));
            assert_eq!(error.unwrap_err().to_string(), format!("configuration: {missing} is not set"));
        }
    }

    #[test]
    fn everything_else_has_a_default() {
        let config = read(&[]).unwrap();
        assert_eq!(
            (config.artifacts.as_str(), config.primary_type.as_str()),
            ("s3://results/emr", "m5.xlarge")
        );
        assert_eq!(config.subnets, ["subnet-0a", "subnet-0b"]);
        assert!(config.worker_types.len() > 2, "spot capacity needs several types");
    }

    #[test]
    fn an_invalid_value_is_named_with_its_reason() {
        for (name, value, reason) in [
            (RELEASE, "emr-6.15.0", "must be a release of EMR 7"),
            (SUBNETS, "vpc-1", "subnet ids"),
            (LOG_URI, "results/logs", "must be s3://"),
            (ARTIFACTS, "s3://", "must be s3://"),
            (WORKER_TYPES, "m5.xlarge", "needs its units"),
            (WORKER_TYPES, "m5.xlarge=0", "needs its units"),
            (WORKER_TYPES, ",", "at least one type"),
            (WORKER_TYPES, "quantum.xlarge=4", "quantum.xlarge"),
            (CORE_UNITS, "0", "from 1 to"),
            (MAX_UNITS, "15", "at least 16, the sum of FRUITVEC_EMR_CORE_UNITS and FRUITVEC_EMR_TASK_UNITS"),
            (IDLE_SECONDS, "59", "from 60 to 604800"),
            (MAX_AGE_SECONDS, "1", "from 3600"),
            (TASKS_PER_EXECUTOR, "many", "from 1 to 256"),
            (TAGS, "team", "key=value pairs"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}={value}: ")) && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn an_executor_too_large_for_a_worker_is_refused_at_start() {
        for too_large in [(EXECUTOR_MEMORY_MIB, "12288"), (MAX_DECODED_BYTES, "8589934592")] {
            let error = read(&[too_large]).unwrap_err().to_string();
            for named in
                [TASKS_PER_EXECUTOR, EXECUTOR_MEMORY_MIB, MAX_DECODED_BYTES, WORKER_TYPES, "m5.xlarge"]
            {
                assert!(error.contains(named), "{error}");
            }
        }
    }
}
