//! Memory figures of the test process. Each measurement runs in a new process.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

/// Set in the process that measures.
const ALONE: &str = "FRUITVEC_TEST_ALONE";

/// Reruns the named test in a new process, so that other tests do not affect its memory. Returns
/// true in that process, which does the measurement.
pub(crate) fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    // A wrong name selects no test, which would succeed too.
    assert!(stdout.contains("1 passed"), "{stdout}");
    false
}

/// Returns the resident memory in bytes, and its peak since the last [`reset_peak`].
pub(crate) fn resident() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    (value("VmRSS:"), value("VmHWM:"))
}

/// Resets the peak to the current resident memory: see `clear_refs` in proc(5).
pub(crate) fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}
