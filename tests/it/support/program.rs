//! The `fruitvec` program as a process, and its output.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use fruitvec_sample_photos::{KINDS, paint};
use image::ImageFormat;

use super::world::encode;

/// A command without the settings of the test's environment.
pub(crate) fn fruitvec(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fruitvec"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FRUITVEC_")) {
        command.env_remove(name);
    }
    command
}

/// A command with one thread, on which a file that ends with `hang` never finishes.
#[cfg(debug_assertions)]
pub(crate) fn fruitvec_that_hangs(arguments: &[&str]) -> Command {
    let mut command = fruitvec(arguments);
    command.envs([
        ("FRUITVEC_THREADS", "1"),
        // Far more than a photo of the tests takes, even on a busy machine.
        ("FRUITVEC_MAX_PHOTO_SECONDS", "3"),
        ("FRUITVEC_TEST_HANG", "hang"),
    ]);
    command
}

/// Runs the program to its end. A panic always fails the test.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let output = fruitvec(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

/// Returns the standard output of a run that must have succeeded.
#[track_caller]
pub(crate) fn stdout_of(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs the program, which must fail, and returns its error: one line on standard error.
#[track_caller]
pub(crate) fn error_of(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("error: ") && errors.lines().count() == 1, "{errors}");
    errors
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the files below a folder, with their sizes and modification times.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            let metadata = path.metadata().unwrap();
            found.insert(path, (metadata.len(), metadata.modified().unwrap()));
        }
    }
    found
}

/// Parses the table of explained variance: variance and cumulative variance in percent.
pub(crate) fn variances(output: &str) -> Vec<(f64, f64)> {
    let table = output.lines().skip_while(|line| !line.starts_with("component ")).skip(1);
    let rows = table.take_while(|line| !line.is_empty()).zip(1..);
    rows.map(|(line, number)| {
        let mut words = line.split_whitespace();
        assert_eq!(words.next().unwrap().parse(), Ok(number), "{line}");
        let mut percent = || words.next().unwrap().parse().unwrap();
        (percent(), percent())
    })
    .collect()
}

/// A small sample photo as JPEG.
pub(crate) fn jpeg(number: u32) -> Vec<u8> {
    encode(&paint(KINDS[number as usize % KINDS.len()], number, 48), ImageFormat::Jpeg)
}
