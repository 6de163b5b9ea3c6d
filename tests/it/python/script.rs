//! The scripts of `tests/python`, run by the Python that `tests/run` makes for `readers.txt`.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// Names the folder with the virtual environment `readers`; `tests/run` makes and sets it.
const TOOLS: &str = "FRUITVEC_TEST_TOOLS";

/// Runs a script and shows what it says.
///
/// # Panics
/// When it fails: it raises what it finds wrong.
pub(crate) fn run(script: &str, arguments: &[&OsStr]) {
    let tools = std::env::var_os(TOOLS).unwrap_or_else(|| panic!("{TOOLS} is not set: tests/run sets it"));
    let python = PathBuf::from(tools).join("readers/bin/python");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    // No byte code beside the sources.
    let output = Command::new(&python).arg("-B").arg(&script).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{} {}\n{complained}", script.display(), output.status);
}
