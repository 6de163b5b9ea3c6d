//! Tests how the deployed program starts.

use std::process::{Command, Output};

use fruitvec_launch::{EXECUTOR_MEMORY_MIB, INSTANCE_PROFILE, LOG_URI, PHOTOS_BUCKET, SERVICE_ROLE, SUBNETS};

fn start_with(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_launch"));
    command.env_clear().envs(variables.iter().copied()).output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_missing_variable_is_named() {
    let output = start_with(&[]);
    assert!(!output.status.success());
    assert!(printed(&output).contains("FRUITVEC_RESULTS_BUCKET is not set"), "{}", printed(&output));
}

#[test]
fn invalid_settings_stop_the_program_before_the_first_event() {
    let output = start_with(&[
        (PHOTOS_BUCKET, "photos"),
        (fruitvec_core::config::RESULTS_BUCKET, "results"),
        (SUBNETS, "subnet-0a"),
        (SERVICE_ROLE, "emr"),
        (INSTANCE_PROFILE, "emr-machines"),
        (LOG_URI, "s3://results/logs/"),
        (EXECUTOR_MEMORY_MIB, "65536"),
    ]);
    assert!(!output.status.success());
    assert!(printed(&output).contains("an executor of 2 tasks needs"), "{}", printed(&output));
}
