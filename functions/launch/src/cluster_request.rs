//! Builds the `RunJobFlow` request of a cluster from the settings and a launch.
//!
//! The request includes the steps. A cluster that was started but never recorded therefore still
//! does its work and terminates.

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
use fruitvec_core::config::{MAX_DECODED_BYTES, MAX_PHOTO_BYTES, MAX_PHOTO_PIXELS};

use crate::cluster::DEPLOYMENT_TAG;
use crate::config::Config;
use crate::launch_request::{Launch, NAME_PREFIX, Parameter};

/// How long EMR waits for spot capacity, in minutes.
///
/// After this time, a starting cluster switches to on-demand capacity. A running cluster continues
/// with the machines it has.
const SPOT_TIMEOUT_MINUTES: i32 = 10;

/// Returns the request that starts the cluster of a launch.
#[must_use]
pub fn cluster_request(config: &Config, launch: &Launch, attempt: u32) -> RunJobFlowInputBuilder {
    RunJobFlowInput::builder()
        .name(launch.cluster(attempt))
        .release_label(&config.release)
        .applications(Application::builder().name("Spark").build())
        .log_uri(&config.log_uri)
        .service_role(&config.service_role)
        .job_flow_role(&config.instance_profile)
        .set_security_configuration(config.security_configuration.clone())
        .visible_to_all_users(true)
        .instances(instances(config))
        .managed_scaling_policy(scaling_policy(config))
        .scale_down_behavior(ScaleDownBehavior::TerminateAtTaskCompletion)
        // A cluster without a YARN application counts as idle, so the driver opens its Spark
        // context first.
        .auto_termination_policy(
            AutoTerminationPolicy::builder().idle_timeout(config.idle.as_secs().cast_signed()).build(),
        )
        .set_configurations(Some(configurations(config)))
        .bootstrap_actions(bootstrap(config))
        .steps(step(config, launch))
        .step_concurrency_level(1)
        .set_tags(Some(tags(config, launch)))
}

fn instances(config: &Config) -> JobFlowInstancesConfig {
    let primary = InstanceFleetConfig::builder()
        .name("primary")
        .instance_fleet_type(InstanceFleetType::Master)
        .target_on_demand_capacity(1)
        .instance_type_configs(InstanceTypeConfig::builder().instance_type(&config.primary_type).build())
        .build();
    let core = workers(config, "core", InstanceFleetType::Core, config.core_units);
    let task =
        (config.task_units > 0).then(|| workers(config, "task", InstanceFleetType::Task, config.task_units));
    JobFlowInstancesConfig::builder()
        .set_instance_fleets(Some([primary, core].into_iter().chain(task).collect()))
        .set_ec2_subnet_ids(Some(config.subnets.clone()))
        .keep_job_flow_alive_when_no_steps(false)
        .termination_protected(false)
        .build()
}

/// Returns a fleet of spot machines.
///
/// It has several types, so that a shortage of one does not stop it. Without any spot capacity, it
/// starts on demand.
fn workers(config: &Config, name: &str, kind: InstanceFleetType, units: i32) -> InstanceFleetConfig {
    let types = config.worker_types.iter().map(|worker| {
        InstanceTypeConfig::builder().instance_type(&worker.name).weighted_capacity(worker.units).build()
    });
    let spot = SpotProvisioningSpecification::builder()
        .timeout_duration_minutes(SPOT_TIMEOUT_MINUTES)
        .timeout_action(SpotProvisioningTimeoutAction::SwitchToOnDemand)
        .allocation_strategy(SpotProvisioningAllocationStrategy::PriceCapacityOptimized)
        .build();
    let on_demand = OnDemandProvisioningSpecification::builder()
        .allocation_strategy(OnDemandProvisioningAllocationStrategy::LowestPrice)
        .build();
    let resize = SpotResizingSpecification::builder()
        .timeout_duration_minutes(SPOT_TIMEOUT_MINUTES)
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

/// Scales task workers only, on spot capacity only.
fn scaling_policy(config: &Config) -> ManagedScalingPolicy {
    let limits = ComputeLimits::builder()
        .unit_type(ComputeLimitsUnitType::InstanceFleetUnits)
        .minimum_capacity_units(config.core_units)
        .maximum_capacity_units(config.max_units)
        .maximum_core_capacity_units(config.core_units)
        // Without this limit, managed scaling would add on-demand machines first.
        .maximum_on_demand_capacity_units(0)
        .build();
    ManagedScalingPolicy::builder().compute_limits(limits).build()
}

/// Returns the configuration of Spark and YARN.
fn configurations(config: &Config) -> Vec<Configuration> {
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
    // A backfill must accept exactly the photos that embed accepts.
    let photo_limits = [
        (MAX_PHOTO_BYTES, config.limits.bytes),
        (MAX_PHOTO_PIXELS, config.limits.pixels),
        (MAX_DECODED_BYTES, config.limits.decoded_bytes),
    ];
    let spark = photo_limits.into_iter().fold(spark, |configuration, (name, limit)| {
        configuration.properties(format!("spark.executorEnv.{name}"), limit.to_string())
    });
    // Each task is a worker process with one thread and needs a core. By default, YARN allocates by
    // memory only, so it must be configured to count cores too.
    let yarn = Configuration::builder().classification("capacity-scheduler").properties(
        "yarn.scheduler.capacity.resource-calculator",
        "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
    );
    vec![spark.build(), yarn.build()]
}

/// Returns the bootstrap action, which downloads the worker and the model.
///
/// Only the primary node needs them, because Spark distributes them to the other machines.
fn bootstrap(config: &Config) -> BootstrapActionConfig {
    let script = ScriptBootstrapActionConfig::builder()
        .path(format!("{}/bootstrap.sh", config.artifacts))
        .args(&config.artifacts)
        .args(&config.model)
        .build();
    BootstrapActionConfig::builder().name("fruitvec").script_bootstrap_action(script).build()
}

/// Returns the step that runs the job.
fn step(config: &Config, launch: &Launch) -> StepConfig {
    let script = format!("{}/rebuild.py", config.artifacts);
    let run = launch.run();
    // In client mode the driver runs on the primary node, the only machine that is never a spot
    // machine.
    let fixed =
        ["spark-submit", "--deploy-mode", "client", &script, "--job", launch.job.as_str(), "--run", &run];
    let buckets =
        ["--photos", &config.photos_bucket, "--results", &config.results_bucket, "--model", &config.model];
    let options = launch.parameters.iter().map(|(name, parameter)| option(name, parameter));
    let jar = HadoopJarStepConfig::builder()
        .jar("command-runner.jar")
        .set_args(Some(fixed.into_iter().chain(buckets).map(str::to_owned).chain(options).collect()));
    StepConfig::builder()
        .name(format!("{NAME_PREFIX}{}", launch.job.as_str()))
        .action_on_failure(ActionOnFailure::TerminateCluster)
        .hadoop_jar_step(jar.build())
        .build()
}

/// Returns an option such as `--retry-rejects` or `--retry-rejects=truncated`.
fn option(name: &str, parameter: &Parameter) -> String {
    let name = name.replace('_', "-");
    match parameter {
        Parameter::Flag => format!("--{name}"),
        // As a single argument, a value can't be mistaken for another option.
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

    /// Set this variable to update the snapshots, then review the changes.
    const UPDATE: &str = "FRUITVEC_UPDATE_SNAPSHOTS";

    /// Records the body of a request and stops it from being sent.
    #[derive(Debug, Clone, Default)]
    struct RequestRecorder(Arc<Mutex<Option<Vec<u8>>>>);

    impl Intercept for RequestRecorder {
        fn name(&self) -> &'static str {
            "RequestRecorder"
        }

        fn read_before_transmit(
            &self,
            context: &BeforeTransmitInterceptorContextRef<'_>,
            _: &RuntimeComponents,
            _: &mut ConfigBag,
        ) -> Result<(), BoxError> {
            *self.0.lock().unwrap() = context.request().body().bytes().map(<[u8]>::to_vec);
            Err("recorded, not sent".into())
        }
    }

    /// Returns the body of the request as it would be sent.
    async fn request_body(config: &Config, event: &Value, attempt: u32) -> Value {
        let recorder = RequestRecorder::default();
        let settings = aws_sdk_emr::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-3"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .interceptor(recorder.clone());
        let client = aws_sdk_emr::Client::from_conf(settings.build());
        let launch = Launch::parse(event.as_object().unwrap()).unwrap();
        cluster_request(config, &launch, attempt).send_with(&client).await.unwrap_err();
        let body = recorder.0.lock().unwrap().take().unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn assert_snapshot(name: &str, found: &Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name).with_extension("json");
        let found = serde_json::to_string_pretty(found).unwrap() + "\n";
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == found,
            "{} differs, {UPDATE}=1 updates it; the request would be\n{found}",
            path.display()
        );
    }

    #[tokio::test]
    async fn the_request_of_each_job_matches_its_snapshot() {
        let config = read(&[]).unwrap();
        for job in ["backfill", "pca", "rebuild"] {
            let event = json!({"job": job, "scheduled_time": "2026-11-24T03:00:00Z"});
            assert_snapshot(job, &request_body(&config, &event, 1).await);
        }
    }

    #[tokio::test]
    async fn every_setting_changes_the_request() {
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
        assert_snapshot("unusual", &request_body(&config.unwrap(), &event, 2).await);
    }

    #[tokio::test]
    async fn a_cluster_terminates_after_its_steps_when_idle_and_on_failure() {
        let event = json!({"job": "pca", "scheduled_time": "2026-11-24T03:00:00Z"});
        let request = request_body(&read(&[]).unwrap(), &event, 1).await;
        assert_eq!(request["Instances"]["KeepJobFlowAliveWhenNoSteps"], false);
        assert_eq!(request["AutoTerminationPolicy"]["IdleTimeout"], 1800);
        assert_eq!(request["Steps"][0]["ActionOnFailure"], "TERMINATE_CLUSTER");
    }
}
