//! What a cluster is: the whole request of `RunJobFlow`, a pure function of settings and launch.
//!
//! One call has everything, the steps too: a cluster that is started and then forgotten still does its work and ends.

use aws_sdk_emr::operation::run_job_flow::RunJobFlowInput;
use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use aws_sdk_emr::types::{
    ActionOnFailure, Application, AutoTerminationPolicy, BootstrapActionConfig, ComputeLimits,
    ComputeLimitsUnitType, Configuration, HadoopJarStepConfig, InstanceFleetConfig,
    InstanceFleetProvisioningSpecifications, InstanceFleetResizingSpecifications, InstanceFleetType,
    InstanceTypeConfig, JobFlowInstancesConfig, ManagedScalingPolicy, OnDemandProvisioningAllocationStrategy,
    OnDemandProvisioningSpecification, ScaleDownBehavior, ScriptBootstrapActionConfig,
    SpotProvisioningAllocationStrategy, SpotProvisioningSpecification, SpotProvisioningTimeoutAction,
    SpotResizingSpecification, StepConfig, Tag,
};
use fruitvec::config::{MAX_DECODED_BYTES, MAX_PHOTO_BYTES, MAX_PHOTO_PIXELS};

use crate::config::Config;
use crate::job::{Launch, NAME_PREFIX, Parameter};

/// The tag by which a cluster is known as this deployment's: its value is the results bucket, which no other has.
pub const DEPLOYMENT_TAG: &str = "fruitvec-results";
/// How long spot machines are waited for: when the cluster starts, then it goes on demand; later, then it works with what it has.
const SPOT_MINUTES: i32 = 10;

/// The request that starts the cluster of a launch.
#[must_use]
pub fn specification(config: &Config, launch: &Launch, attempt: u32) -> RunJobFlowInputBuilder {
    RunJobFlowInput::builder()
        .name(launch.cluster(attempt))
        .release_label(&config.release)
        .applications(Application::builder().name("Spark").build())
        .log_uri(&config.log_uri)
        .service_role(&config.service_role)
        .job_flow_role(&config.instance_profile)
        .set_security_configuration(config.security_configuration.clone())
        .visible_to_all_users(true)
        .instances(machines(config))
        .managed_scaling_policy(limits(config))
        .scale_down_behavior(ScaleDownBehavior::TerminateAtTaskCompletion)
        // Idle is a cluster without a YARN application: the driver opens its Spark context before anything else.
        .auto_termination_policy(
            AutoTerminationPolicy::builder().idle_timeout(config.idle.as_secs().cast_signed()).build(),
        )
        .set_configurations(Some(settings(config)))
        .bootstrap_actions(bootstrap(config))
        .steps(step(config, launch))
        .step_concurrency_level(1)
        .set_tags(Some(tags(config, launch)))
}

fn machines(config: &Config) -> JobFlowInstancesConfig {
    let on_demand = InstanceFleetConfig::builder()
        .name("primary")
        .instance_fleet_type(InstanceFleetType::Master)
        .target_on_demand_capacity(1)
        .instance_type_configs(InstanceTypeConfig::builder().instance_type(&config.primary_type).build())
        .build();
    let core = workers(config, "core", InstanceFleetType::Core, config.core_units);
    let task =
        (config.task_units > 0).then(|| workers(config, "task", InstanceFleetType::Task, config.task_units));
    JobFlowInstancesConfig::builder()
        .set_instance_fleets(Some([on_demand, core].into_iter().chain(task).collect()))
        .set_ec2_subnet_ids(Some(config.subnets.clone()))
        .keep_job_flow_alive_when_no_steps(false)
        .termination_protected(false)
        .build()
}

/// A fleet on spot, of several types, so that no shortage of one stops it; where there is no spot at all, it begins on demand.
fn workers(config: &Config, name: &str, kind: InstanceFleetType, units: i32) -> InstanceFleetConfig {
    let types = config.worker_types.iter().map(|worker| {
        InstanceTypeConfig::builder().instance_type(&worker.name).weighted_capacity(worker.units).build()
    });
    let spot = SpotProvisioningSpecification::builder()
        .timeout_duration_minutes(SPOT_MINUTES)
        .timeout_action(SpotProvisioningTimeoutAction::SwitchToOnDemand)
        .allocation_strategy(SpotProvisioningAllocationStrategy::PriceCapacityOptimized)
        .build();
    let on_demand = OnDemandProvisioningSpecification::builder()
        .allocation_strategy(OnDemandProvisioningAllocationStrategy::LowestPrice)
        .build();
    let resize = SpotResizingSpecification::builder()
        .timeout_duration_minutes(SPOT_MINUTES)
        .allocation_strategy(SpotProvisioningAllocationStrategy::PriceCapacityOptimized)
        .build();
    InstanceFleetConfig::builder()
        .name(name)
        .instance_fleet_type(kind)
        .target_on_demand_capacity(0)
        .target_spot_capacity(units)
        .set_instance_type_configs(Some(types.collect()))
        .launch_specifications(
            InstanceFleetProvisioningSpecifications::builder()
                .spot_specification(spot)
                .on_demand_specification(on_demand)
                .build(),
        )
        .resize_specifications(
            InstanceFleetResizingSpecifications::builder().spot_resize_specification(resize).build(),
        )
        .build()
}

/// Core workers stay as many as they are; only task workers come and go, and only on spot: without the limit of 0, managed scaling
/// would add machines on demand first.
fn limits(config: &Config) -> ManagedScalingPolicy {
    let limits = ComputeLimits::builder()
        .unit_type(ComputeLimitsUnitType::InstanceFleetUnits)
        .minimum_capacity_units(config.core_units)
        .maximum_capacity_units(config.max_units)
        .maximum_core_capacity_units(config.core_units)
        .maximum_on_demand_capacity_units(0)
        .build();
    ManagedScalingPolicy::builder().compute_limits(limits).build()
}

/// Spark's and YARN's settings. Each task is a worker process with one thread, so it must have a core, and YARN must count cores:
/// by itself it counts memory only.
fn settings(config: &Config) -> Vec<Configuration> {
    let executor = config.executor;
    let spark = [
        ("spark.dynamicAllocation.enabled", "true".to_owned()),
        ("spark.executor.cores", executor.tasks.to_string()),
        ("spark.executor.memory", format!("{}m", executor.heap_mib)),
        ("spark.executor.memoryOverhead", format!("{}m", executor.overhead_mib())),
        ("spark.task.cpus", "1".to_owned()),
    ];
    let spark = spark
        .into_iter()
        .fold(Configuration::builder().classification("spark-defaults"), |configuration, (name, value)| {
            configuration.properties(name, value)
        });
    // A backfill must take in just what the function embed takes in.
    let photo_limits = [
        (MAX_PHOTO_BYTES, config.limits.bytes),
        (MAX_PHOTO_PIXELS, config.limits.pixels),
        (MAX_DECODED_BYTES, config.limits.decoded_bytes),
    ];
    let spark = photo_limits.into_iter().fold(spark, |configuration, (name, limit)| {
        configuration.properties(format!("spark.executorEnv.{name}"), limit.to_string())
    });
    let yarn = Configuration::builder().classification("capacity-scheduler").properties(
        "yarn.scheduler.capacity.resource-calculator",
        "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
    );
    vec![spark.build(), yarn.build()]
}

/// The primary fetches worker and model before it takes the step; Spark carries them to the other machines.
fn bootstrap(config: &Config) -> BootstrapActionConfig {
    let script = ScriptBootstrapActionConfig::builder()
        .path(format!("{}/bootstrap.sh", config.artifacts))
        .args(&config.artifacts)
        .args(&config.model)
        .build();
    BootstrapActionConfig::builder().name("fruitvec").script_bootstrap_action(script).build()
}

/// The driver runs on the primary, the one machine that spot can't take away.
fn step(config: &Config, launch: &Launch) -> StepConfig {
    let script = format!("{}/rebuild.py", config.artifacts);
    let run = launch.run();
    let fixed =
        ["spark-submit", "--deploy-mode", "client", &script, "--job", launch.job.as_str(), "--run", &run];
    let buckets =
        ["--photos", &config.photos_bucket, "--results", &config.results_bucket, "--model", &config.model];
    let given = launch.parameters.iter().map(|(name, parameter)| option(name, parameter));
    let jar = HadoopJarStepConfig::builder()
        .jar("command-runner.jar")
        .set_args(Some(fixed.into_iter().chain(buckets).map(str::to_owned).chain(given).collect()));
    StepConfig::builder()
        .name(format!("{NAME_PREFIX}{}", launch.job.as_str()))
        .action_on_failure(ActionOnFailure::TerminateCluster)
        .hadoop_jar_step(jar.build())
        .build()
}

/// `--retry-rejects` or `--retry-rejects=truncated`: in one word, so that no value is taken for an option.
fn option(name: &str, parameter: &Parameter) -> String {
    let name = name.replace('_', "-");
    match parameter {
        Parameter::Flag => format!("--{name}"),
        Parameter::Value(value) => format!("--{name}={value}"),
    }
}

fn tags(config: &Config, launch: &Launch) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let own = [tag(DEPLOYMENT_TAG, &config.results_bucket), tag("fruitvec-run", &launch.run())];
    own.into_iter().chain(config.tags.iter().map(|(key, value)| tag(key, value))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use aws_sdk_emr::config::interceptors::BeforeTransmitInterceptorContextRef;
    use aws_sdk_emr::config::{
        BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
    };
    use aws_sdk_emr::error::BoxError;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{self, tests::read};

    /// Set to write the snapshots anew: look at what changed before it is committed.
    const UPDATE: &str = "FRUITVEC_UPDATE_SNAPSHOTS";

    /// Keeps what is about to be sent.
    #[derive(Debug, Clone, Default)]
    struct Wire(Arc<Mutex<Option<Vec<u8>>>>);

    impl Intercept for Wire {
        fn name(&self) -> &'static str {
            "Wire"
        }

        fn read_before_transmit(
            &self,
            context: &BeforeTransmitInterceptorContextRef<'_>,
            _: &RuntimeComponents,
            _: &mut ConfigBag,
        ) -> Result<(), BoxError> {
            *self.0.lock().unwrap() = context.request().body().bytes().map(<[u8]>::to_vec);
            Err("it was only to be seen".into())
        }
    }

    /// The request as it would go over the wire.
    async fn sent(config: &Config, event: &Value, attempt: u32) -> Value {
        let wire = Wire::default();
        let settings = aws_sdk_emr::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-3"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .interceptor(wire.clone());
        let client = aws_sdk_emr::Client::from_conf(settings.build());
        let launch = Launch::parse(event.as_object().unwrap()).unwrap();
        specification(config, &launch, attempt).send_with(&client).await.unwrap_err();
        let body = wire.0.lock().unwrap().take().unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn assert_snapshot(name: &str, found: &Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name).with_extension("json");
        let found = serde_json::to_string_pretty(found).unwrap() + "\n";
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == found,
            "{}: {UPDATE}=1 writes it anew; what would be sent is\n{found}",
            path.display()
        );
    }

    #[tokio::test]
    async fn each_job_s_cluster_is_as_its_snapshot_has_it() {
        let config = read(&[]).unwrap();
        for job in ["backfill", "pca", "rebuild"] {
            let event = json!({"job": job, "scheduled_time": "2026-11-24T03:00:00Z"});
            assert_snapshot(job, &sent(&config, &event, 1).await);
        }
    }

    #[tokio::test]
    async fn everything_can_be_set() {
        let config = read(&[
            (config::RELEASE, "emr-7.9.0"),
            (config::SUBNETS, "subnet-9f"),
            (config::SECURITY_CONFIGURATION, "encrypted"),
            (config::ARTIFACTS, "s3://artifacts/fruitvec/1.2/"),
            (config::PRIMARY_TYPE, "m6i.xlarge"),
            (config::WORKER_TYPES, "r5.xlarge=1, r5.4xlarge=4"),
            (config::CORE_UNITS, "1"),
            (config::TASK_UNITS, "0"),
            (config::MAX_UNITS, "1"),
            (config::IDLE_SECONDS, "60"),
            (config::TASKS_PER_EXECUTOR, "4"),
            (config::EXECUTOR_MEMORY_MIB, "8192"),
            (config::TAGS, "team=data,stage=production"),
            (MAX_PHOTO_BYTES, "1000000"),
            (MAX_PHOTO_PIXELS, "2000000"),
            (MAX_DECODED_BYTES, "536870912"),
        ]);
        let event = json!({"job": "rebuild", "scheduled_time": "2026-11-24T03:00:00Z", "full": true, "yes": true,
            "retry_rejects": "truncated", "components": 5});
        assert_snapshot("unusual", &sent(&config.unwrap(), &event, 2).await);
    }

    #[tokio::test]
    async fn a_cluster_ends_by_itself_in_three_ways() {
        let event = json!({"job": "pca", "scheduled_time": "2026-11-24T03:00:00Z"});
        let request = sent(&read(&[]).unwrap(), &event, 1).await;
        assert_eq!(request["Instances"]["KeepJobFlowAliveWhenNoSteps"], false);
        assert_eq!(request["AutoTerminationPolicy"]["IdleTimeout"], 1800);
        assert_eq!(request["Steps"][0]["ActionOnFailure"], "TERMINATE_CLUSTER");
    }
}
