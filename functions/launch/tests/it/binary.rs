//! The program as it is deployed.

use std::process::{Command, Output};

use fruitvec_launch::{EXECUTOR_MEMORY_MIB, INSTANCE_PROFILE, LOG_URI, PHOTOS_BUCKET, SERVICE_ROLE, SUBNETS};

fn started_with(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_launch"));
    command.env_clear().envs(variables.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_variable_that_is_missing_is_named() {
    let output = started_with(&[]);
    assert!(!output.status.success());
    assert!(said(&output).contains("FRUITVEC_RESULTS_BUCKET is not set"), "{}", said(&output));
}

#[test]
fn settings_that_can_not_work_end_it_before_the_first_event() {
    let output = started_with(&[
        (PHOTOS_BUCKET, "photos"),
        (fruitvec::config::RESULTS_BUCKET, "results"),
        (SUBNETS, "subnet-0a"),
        (SERVICE_ROLE, "emr"),
        (INSTANCE_PROFILE, "emr-machines"),
        (LOG_URI, "s3://results/logs/"),
        (EXECUTOR_MEMORY_MIB, "65536"),
    ]);
    assert!(!output.status.success());
    assert!(said(&output).contains("an executor of 2 tasks needs"), "{}", said(&output));
}
