//! Runs the scripts of `tests/python` with the Python environment of `readers.txt`.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// The variable with the folder of the virtual environment `readers`, as set by `tests/run`.
const TOOLS: &str = "FRUITVEC_TEST_TOOLS";

/// Runs a script and prints its output.
///
/// # Panics
/// If the script exits with an error, which is how it reports a difference.
pub(crate) fn run(script: &str, arguments: &[&OsStr]) {
    let tools = std::env::var_os(TOOLS).unwrap_or_else(|| panic!("{TOOLS} is not set: tests/run sets it"));
    let python = PathBuf::from(tools).join("readers/bin/python");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    // -B: write no byte code next to the sources.
    let output = Command::new(&python).arg("-B").arg(&script).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {}\n{errors}", script.display(), output.status);
}
