//! The settings of the function: read once from the environment, then passed as a value.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use fruitvec::config::{MAX_DECODED_BYTES, MODEL, RESULTS_BUCKET, limits};
use fruitvec::error::{Error, Result};
use fruitvec::pixels::Limits;

use crate::executor::{Executor, WorkerType};

/// The bucket of the photos. Required.
pub const PHOTOS_BUCKET: &str = "FRUITVEC_PHOTOS_BUCKET";
/// How many pages of 1,000 objects are looked at to see that there is nothing to do; past them a cluster is launched. Default: 200.
pub const LOOK_PAGES: &str = "FRUITVEC_LOOK_PAGES";
/// The release of EMR. Default: emr-7.12.0.
pub const RELEASE: &str = "FRUITVEC_EMR_RELEASE";
/// The subnets, with commas between them: EMR takes the one with the best offer. Required.
pub const SUBNETS: &str = "FRUITVEC_EMR_SUBNETS";
/// The role that EMR itself works under. Required.
pub const SERVICE_ROLE: &str = "FRUITVEC_EMR_SERVICE_ROLE";
/// The instance profile that the machines, and so the job, work under. Required.
pub const INSTANCE_PROFILE: &str = "FRUITVEC_EMR_INSTANCE_PROFILE";
/// Where the logs go: `s3://bucket/prefix/`. Required.
pub const LOG_URI: &str = "FRUITVEC_EMR_LOG_URI";
/// The name of an EMR security configuration. Default: none.
pub const SECURITY_CONFIGURATION: &str = "FRUITVEC_EMR_SECURITY_CONFIGURATION";
/// Where `bootstrap.sh`, `rebuild.py`, the worker and the model lie: `s3://bucket/prefix`. Default: `emr` in the results bucket.
pub const ARTIFACTS: &str = "FRUITVEC_EMR_ARTIFACTS";
/// The primary's type, always on demand. Default: m5.xlarge.
pub const PRIMARY_TYPE: &str = "FRUITVEC_EMR_PRIMARY_TYPE";
/// The workers' types with the units that one of each counts for: `m5.xlarge=4,m5.2xlarge=8`. Default: m5, m5a and m6i, a unit a vCPU.
pub const WORKER_TYPES: &str = "FRUITVEC_EMR_WORKER_TYPES";
/// Units of core workers: as many from the first minute to the last. Default: 8.
pub const CORE_UNITS: &str = "FRUITVEC_EMR_CORE_UNITS";
/// Units of task workers to begin with; 0 is no task workers at all. Default: 8.
pub const TASK_UNITS: &str = "FRUITVEC_EMR_TASK_UNITS";
/// The most units of both, when there is much to do. Default: 64.
pub const MAX_UNITS: &str = "FRUITVEC_EMR_MAX_UNITS";
/// A cluster that has run nothing for so long ends, seconds. Default: 1800.
pub const IDLE_SECONDS: &str = "FRUITVEC_EMR_IDLE_SECONDS";
/// A cluster older than this hangs, and is terminated, seconds. Default: 43200, twelve hours.
pub const MAX_AGE_SECONDS: &str = "FRUITVEC_EMR_MAX_AGE_SECONDS";
/// Tasks, and so cores, of a Spark executor. Default: 2.
pub const TASKS_PER_EXECUTOR: &str = "FRUITVEC_EMR_TASKS_PER_EXECUTOR";
/// The heap of a Spark executor, MiB. Default: 2048.
pub const EXECUTOR_MEMORY_MIB: &str = "FRUITVEC_EMR_EXECUTOR_MEMORY_MIB";
/// Tags of the cluster and its machines: `team=data,stage=production`. Default: none.
pub const TAGS: &str = "FRUITVEC_EMR_TAGS";

const DEFAULT_RELEASE: &str = "emr-7.12.0";
const DEFAULT_PRIMARY_TYPE: &str = "m5.xlarge";
const DEFAULT_WORKER_TYPES: &str = "m5.xlarge=4,m5a.xlarge=4,m6i.xlarge=4,m5.2xlarge=8,m6i.2xlarge=8";
/// What EMR takes as `IdleTimeout`: a minute to a week.
const IDLE: RangeInclusive<u32> = 60..=604_800;
/// Types in a fleet: the quota of EMR for fleets with an allocation strategy.
const MOST_TYPES: usize = 30;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// [`PHOTOS_BUCKET`].
    pub photos_bucket: String,
    /// [`RESULTS_BUCKET`]. It also tells our clusters from those of another deployment in the same account.
    pub results_bucket: String,
    /// [`MODEL`].
    pub model: String,
    /// [`LOOK_PAGES`].
    pub look_pages: u32,
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
    /// [`ARTIFACTS`], without a slash at the end.
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
    /// What a photo may cost the workers of a cluster, which is what it may cost the function embed.
    pub limits: Limits,
    /// [`TASKS_PER_EXECUTOR`], [`EXECUTOR_MEMORY_MIB`], [`MAX_DECODED_BYTES`].
    pub executor: Executor,
    /// [`TAGS`].
    pub tags: Vec<(String, String)>,
}

impl Config {
    /// The settings as `variable` gives them; in production that is [`fruitvec::config::from_environment`].
    ///
    /// # Errors
    /// [`Error::Config`] names the variable that is missing or makes no sense, and says why.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let required = |name| variable(name).ok_or_else(|| Error::Config(format!("{name} is not set")));
        let results_bucket = required(RESULTS_BUCKET)?;
        let artifacts = variable(ARTIFACTS).unwrap_or_else(|| format!("s3://{results_bucket}/emr"));
        let limits = limits(&variable)?;
        let types = variable(WORKER_TYPES).unwrap_or_else(|| DEFAULT_WORKER_TYPES.to_owned());
        let config = Self {
            photos_bucket: required(PHOTOS_BUCKET)?,
            model: variable(MODEL).unwrap_or_else(|| fruitvec::model::DEFAULT_MODEL.to_owned()),
            look_pages: number(&variable, LOOK_PAGES, 200, 1..=u32::MAX)?,
            release: release(variable(RELEASE))?,
            subnets: subnets(&required(SUBNETS)?)?,
            service_role: required(SERVICE_ROLE)?,
            instance_profile: required(INSTANCE_PROFILE)?,
            log_uri: in_s3(LOG_URI, required(LOG_URI)?)?,
            security_configuration: variable(SECURITY_CONFIGURATION),
            artifacts: in_s3(ARTIFACTS, artifacts)?.trim_end_matches('/').to_owned(),
            primary_type: variable(PRIMARY_TYPE).unwrap_or_else(|| DEFAULT_PRIMARY_TYPE.to_owned()),
            worker_types: worker_types(&types)?,
            core_units: number(&variable, CORE_UNITS, 8, 1..=i32::MAX)?,
            task_units: number(&variable, TASK_UNITS, 8, 0..=i32::MAX)?,
            max_units: number(&variable, MAX_UNITS, 64, 1..=i32::MAX)?,
            idle: Duration::from_secs(number(&variable, IDLE_SECONDS, 1800, IDLE)?.into()),
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
        config.checked()
    }

    /// What no variable can tell alone.
    fn checked(self) -> Result<Self> {
        let least = self.core_units.saturating_add(self.task_units);
        if self.max_units < least {
            return Err(Error::Config(format!(
                "{MAX_UNITS}={}: less than {CORE_UNITS} and {TASK_UNITS} together, {least}",
                self.max_units
            )));
        }
        self.executor.fits(&self.worker_types).map_err(|why| {
            Error::Config(format!(
                "{TASKS_PER_EXECUTOR}, {EXECUTOR_MEMORY_MIB}, {MAX_DECODED_BYTES} and {WORKER_TYPES}: {why}"
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
        let (least, most) = range.into_inner();
        Error::Config(format!("{name}={value}: must be a whole number from {least} to {most}"))
    })
}

fn release(value: Option<String>) -> Result<String> {
    let release = value.unwrap_or_else(|| DEFAULT_RELEASE.to_owned());
    // Python 3.11 and Amazon Linux 2023, which the worker is built for, come with 7.
    if release.strip_prefix("emr-7.").is_none_or(str::is_empty) {
        return Err(Error::Config(format!(
            "{RELEASE}={release}: must be of EMR 7, such as {DEFAULT_RELEASE}"
        )));
    }
    Ok(release)
}

fn subnets(value: &str) -> Result<Vec<String>> {
    let subnets: Vec<_> = items(value).map(str::to_owned).collect();
    if subnets.is_empty() || subnets.iter().any(|subnet| !subnet.starts_with("subnet-")) {
        let reason = "must be ids of subnets such as subnet-0a1b2c, with commas between them";
        return Err(Error::Config(format!("{SUBNETS}={value}: {reason}")));
    }
    Ok(subnets)
}

fn in_s3(name: &str, value: String) -> Result<String> {
    if value.strip_prefix("s3://").is_none_or(|rest| rest.trim_matches('/').is_empty()) {
        return Err(Error::Config(format!("{name}={value}: must be s3://bucket/prefix")));
    }
    Ok(value)
}

fn worker_types(value: &str) -> Result<Vec<WorkerType>> {
    let wrong = |reason: &str| Error::Config(format!("{WORKER_TYPES}={value}: {reason}"));
    let types = items(value).map(|item| {
        let (name, units) = item.split_once('=').unwrap_or((item, ""));
        let units = units.trim().parse::<i32>().ok().filter(|units| *units > 0);
        let units = units.ok_or_else(|| wrong("each type needs its units, as in m5.xlarge=4"))?;
        WorkerType::new(name.trim(), units).map_err(|reason| wrong(&reason))
    });
    let types: Vec<_> = types.collect::<Result<_>>()?;
    match types.len() {
        0 => Err(wrong("at least one type is needed")),
        1..=MOST_TYPES => Ok(types),
        _ => Err(wrong("EMR takes at most 30 types")),
    }
}

fn tags(value: &str) -> Result<Vec<(String, String)>> {
    items(value)
        .map(|item| match item.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(Error::Config(format!("{TAGS}={value}: must be key=value, with commas between them"))),
        })
        .collect()
}

fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const LEAST: [(&str, &str); 6] = [
        (PHOTOS_BUCKET, "photos"),
        (RESULTS_BUCKET, "results"),
        (SUBNETS, "subnet-0a,subnet-0b"),
        (SERVICE_ROLE, "arn:aws:iam::123456789012:role/emr"),
        (INSTANCE_PROFILE, "fruitvec-emr"),
        (LOG_URI, "s3://results/logs/"),
    ];

    /// The settings with just what is required, and these.
    pub(crate) fn read(variables: &[(&str, &str)]) -> Result<Config> {
        let all: Vec<_> = variables.iter().chain(&LEAST).collect();
        Config::read(|name| all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn each_missing_variable_is_named() {
        for (missing, _) in LEAST {
            let given = LEAST.iter().filter(|(name, _)| *name != missing);
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
        assert!(config.worker_types.len() > 2, "spot needs several types");
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_value() {
        for (name, value, why) in [
            (RELEASE, "emr-6.15.0", "must be of EMR 7"),
            (SUBNETS, "vpc-1", "ids of subnets"),
            (LOG_URI, "results/logs", "must be s3://"),
            (ARTIFACTS, "s3://", "must be s3://"),
            (WORKER_TYPES, "m5.xlarge", "needs its units"),
            (WORKER_TYPES, "m5.xlarge=0", "needs its units"),
            (WORKER_TYPES, ",", "at least one type"),
            (WORKER_TYPES, "quantum.xlarge=4", "quantum.xlarge"),
            (CORE_UNITS, "0", "from 1 to"),
            (MAX_UNITS, "15", "less than FRUITVEC_EMR_CORE_UNITS and FRUITVEC_EMR_TASK_UNITS together, 16"),
            (IDLE_SECONDS, "59", "from 60 to 604800"),
            (MAX_AGE_SECONDS, "1", "from 3600"),
            (TASKS_PER_EXECUTOR, "many", "from 1 to 256"),
            (TAGS, "team", "must be key=value"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}={value}: ")) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn an_executor_that_no_worker_can_hold_is_refused_when_the_function_starts() {
        for too_much in [(EXECUTOR_MEMORY_MIB, "12288"), (MAX_DECODED_BYTES, "8589934592")] {
            let error = read(&[too_much]).unwrap_err().to_string();
            for named in
                [TASKS_PER_EXECUTOR, EXECUTOR_MEMORY_MIB, MAX_DECODED_BYTES, WORKER_TYPES, "m5.xlarge"]
            {
                assert!(error.contains(named), "{error}");
            }
        }
    }
}
