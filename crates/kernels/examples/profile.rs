//! Prints the time of each stage of MobileNetV2:
//! `cargo run --release -p fruitvec-kernels --example profile -- [ISA] [WIDTH] [SIDE]`.
//!
//! The weights are random, because the time does not depend on them. For each stage, the tables
//! show its multiply-adds, the shortest time of many runs, the multiply-adds per nanosecond, and
//! their share of the core's measured peak ([`Isa::peak_multiply_adds_per_ns`]).

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a command-line tool for developers")]

use std::time::{Duration, Instant};

use fruitvec_kernels::{Clamp, Filter, Isa, Layer, Network, Padding, Pointwise, Scratch, Stage, StageTime};

/// Expansion, channels, repeats and first stride of each group of blocks (Sandler et al. 2018,
/// table 2).
const GROUPS: [(usize, f64, usize, usize); 7] = [
    (1, 16., 1, 1),
    (6, 24., 2, 2),
    (6, 32., 3, 2),
    (6, 64., 4, 2),
    (6, 96., 3, 1),
    (6, 160., 3, 2),
    (6, 320., 1, 1),
];

const STAGES: [Stage; 6] =
    [Stage::Stem, Stage::Expand, Stage::Depthwise, Stage::Project, Stage::Pointwise, Stage::Pool];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let isa = arguments.first().map_or(Isa::best(), |name| name.parse().unwrap());
    let width = arguments.get(1).map_or(1.0, |width| width.parse().unwrap());
    let side = arguments.get(2).map_or(224, |side| side.parse().unwrap());
    let network = Network::compile(&layers(width), side, [127.5; 3], [127.5; 3], isa).unwrap();
    let mut scratch = network.scratch();
    let picture: Vec<u8> = (0..3 * side * side).map(|at| (at * 7 % 251) as u8).collect();
    let whole = shortest(200, || {
        let start = Instant::now();
        std::hint::black_box(network.embed(&picture, &mut scratch));
        start.elapsed()
    });
    let times = shortest_stages(&network, &picture, &mut scratch);
    let peak = isa.peak_multiply_adds_per_ns().unwrap();
    println!(
        "{isa}, width {width}, {side} × {side}: {:.3} ms; the core's peak is {peak:.1} multiply-adds per ns",
        whole.as_secs_f64() * 1e3
    );
    print_tables(&times, width, peak);
}

/// Returns the shortest time of each stage over many runs.
fn shortest_stages(network: &Network, picture: &[u8], scratch: &mut Scratch) -> Vec<StageTime> {
    let mut times = network.profile(picture, scratch);
    for _ in 0..100 {
        for (shortest, stage) in times.iter_mut().zip(network.profile(picture, scratch)) {
            shortest.time = shortest.time.min(stage.time);
        }
    }
    times
}

/// Prints the times grouped by channels, by kind of stage, and one by one.
fn print_tables(times: &[StageTime], width: f64, peak: f64) {
    print_header("layers");
    // The stem and the first block form one step. The layers after the last block form another.
    let mut first = 0;
    for (_, outputs, repeats, _) in GROUPS {
        let name = format!("{repeats} × {} channels", round_channels(outputs * width));
        let name = if first == 0 { format!("stem, {name}") } else { name };
        let steps = first..first + repeats;
        print_row(&name, times.iter().filter(|time| steps.contains(&time.step)), peak);
        first += repeats;
    }
    print_row("last 1 × 1, means", times.iter().filter(|time| time.step >= first), peak);
    print_header("kinds");
    for stage in STAGES {
        print_row(&format!("{stage:?}"), times.iter().filter(|time| time.stage == stage), peak);
    }
    print_row("all", times.iter(), peak);
    print_header("step by step");
    for time in times {
        print_row(&format!("{} {:?}", time.step, time.stage), std::iter::once(time), peak);
    }
}

fn print_header(name: &str) {
    println!("\n| {name} | multiply-adds, M | µs | per ns | of the peak |\n|---|---|---|---|---|");
}

fn print_row<'a>(name: &str, times: impl Iterator<Item = &'a StageTime>, peak: f64) {
    let (adds, time) = times
        .fold((0, Duration::ZERO), |(adds, total), stage| (adds + stage.multiply_adds, total + stage.time));
    let (adds, nanos) = (adds as f64, time.as_nanos() as f64);
    let rate = adds / nanos;
    println!(
        "| {name} | {:.1} | {:.0} | {rate:.1} | {:.0} % |",
        adds / 1e6,
        nanos / 1e3,
        100.0 * rate / peak
    );
}

fn shortest(runs: usize, mut run: impl FnMut() -> Duration) -> Duration {
    (0..runs).map(|_| run()).min().unwrap_or_default()
}

/// Returns the layers of MobileNetV2 at a width multiplier.
fn layers(width: f64) -> Vec<Layer> {
    let mut channels = round_channels(32.0 * width);
    let mut layers = vec![Layer::Stem(filter(channels, 27, 2))];
    for (expansion, outputs, repeats, stride) in GROUPS {
        let outputs = round_channels(outputs * width);
        for repeat in 0..repeats {
            let wide = channels * expansion;
            if expansion > 1 {
                layers.push(pointwise(channels, wide, Clamp::RELU6));
            }
            layers.push(Layer::Depthwise(filter(wide, 9, if repeat == 0 { stride } else { 1 })));
            layers.push(pointwise(wide, outputs, Clamp::NONE));
            if repeat > 0 {
                layers.push(Layer::Add(layers.len() - 4));
            }
            channels = outputs;
        }
    }
    layers.push(pointwise(channels, round_channels(1280.0 * width.max(1.0)), Clamp::RELU6));
    layers
}

/// Rounds to a multiple of 8, but never down by more than a tenth.
fn round_channels(channels: f64) -> usize {
    let rounded = ((channels + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * channels { rounded + 8 } else { rounded }
}

fn filter(outputs: usize, inputs: usize, stride: usize) -> Filter {
    let padding = if stride == 2 { Padding::BOTTOM_RIGHT } else { Padding::ALL_SIDES };
    Filter {
        weights: random_numbers(outputs * inputs, inputs),
        bias: random_numbers(outputs, 9),
        clamp: Clamp::RELU6,
        stride,
        padding,
    }
}

fn pointwise(inputs: usize, outputs: usize, clamp: Clamp) -> Layer {
    Layer::Pointwise(Pointwise {
        weights: random_numbers(inputs * outputs, inputs),
        bias: random_numbers(outputs, 9),
        clamp,
    })
}

/// Returns random numbers from a linear congruential generator (Knuth's MMIX).
///
/// They are scaled so that sums over this many inputs keep their magnitude.
fn random_numbers(count: usize, inputs: usize) -> Vec<f32> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    let states = std::iter::successors(Some(count as u64), next);
    let scale = (6.0 / inputs as f32).sqrt();
    states.take(count).map(|state| ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
}
