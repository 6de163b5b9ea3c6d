//! Decodes one photo and prints what it cost: `cost FILE`.
//!
//! It prints a line with the CPU seconds, the peak memory of the process in bytes and the outcome.
//! Both figures are read from Linux's `/proc`, and include the file itself. `benches/worst_case.py`
//! runs it for every file that it generates.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::read_to_string;

use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
use fruitvec_image::probe;

/// The input side of most models.
const SIDE: u32 = 224;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: cost FILE")?;
    let bytes = std::fs::read(path)?;
    let before = cpu_seconds()?;
    let decoded = probe(&bytes, &Limits::default())
        .and_then(|probed| probed.input_image(SIDE, ResizeMode::Stretch, Filter::Bicubic));
    let seconds = cpu_seconds()? - before;
    let outcome = match decoded {
        Ok(_) => "decoded".to_owned(),
        Err(rejection) => rejection.to_string(),
    };
    println!("{seconds:.3} {} {outcome}", peak_memory()?);
    Ok(())
}

/// Returns the CPU time of the only thread.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let nanoseconds: f64 =
        read_to_string("/proc/self/schedstat")?.split_whitespace().next().ok_or("no figures")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// Returns the peak of the resident memory, in bytes.
fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
