//! Where the time of MobileNetV2 goes, stage by stage: `cargo run --release -p fruitvec-kernels --example profile -- [PATH] [WIDTH] [SIDE]`.
//!
//! The weights are made up: time does not depend on them. Each stage is shown with the least of many runs, its multiply-adds, and how many
//! of them go by in a nanosecond, and what share that is of the core's measured peak ([`Path::peak`]).

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is there to print")]

use std::time::{Duration, Instant};

use fruitvec_kernels::{Clamp, Filter, Layer, Network, Padding, Path, Pointwise, Spent, Stage};

/// Expansion, channels, repeats and first stride of each group of blocks (Sandler et al. 2018, table 2).
const GROUPS: [(usize, f64, usize, usize); 7] = [
    (1, 16., 1, 1),
    (6, 24., 2, 2),
    (6, 32., 3, 2),
    (6, 64., 4, 2),
    (6, 96., 3, 1),
    (6, 160., 3, 2),
    (6, 320., 1, 1),
];

const KINDS: [Stage; 6] =
    [Stage::Stem, Stage::Expand, Stage::Depthwise, Stage::Project, Stage::Pointwise, Stage::Pool];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().map_or(Path::best(), |name| name.parse().unwrap());
    let width = arguments.get(1).map_or(1.0, |width| width.parse().unwrap());
    let side = arguments.get(2).map_or(224, |side| side.parse().unwrap());
    let layers = layers(width);
    let network = Network::compile(&layers, side, [127.5; 3], [127.5; 3], path).unwrap();
    let mut scratch = network.scratch();
    let picture: Vec<u8> = (0..3 * side * side).map(|at| (at * 7 % 251) as u8).collect();
    let whole = least(200, || {
        let start = Instant::now();
        std::hint::black_box(network.embed(&picture, &mut scratch));
        start.elapsed()
    });
    let mut spent = network.profile(&picture, &mut scratch);
    for _ in 0..100 {
        for (least, now) in spent.iter_mut().zip(network.profile(&picture, &mut scratch)) {
            least.time = least.time.min(now.time);
        }
    }
    let peak = path.peak().unwrap();
    println!(
        "{path}, width {width}, {side} × {side}: {:.3} ms; the core's peak is {peak:.1} multiply-adds a ns",
        whole.as_secs_f64() * 1e3
    );
    let row = |name: &str, of: &dyn Fn(&Spent) -> bool| {
        let adds =
            spent.iter().filter(|spent| of(spent)).map(|spent| spent.multiply_adds).sum::<u64>() as f64;
        let time = spent.iter().filter(|spent| of(spent)).map(|spent| spent.time).sum::<Duration>();
        let rate = adds / time.as_nanos() as f64;
        let (adds, micros, share) = (adds / 1e6, time.as_nanos() as f64 / 1e3, 100.0 * rate / peak);
        println!("| {name} | {adds:.1} | {micros:.0} | {rate:.1} | {share:.0} % |");
    };
    let head = |what: &str| {
        println!("\n| {what} | multiply-adds, M | µs | a ns | of the peak |\n|---|---|---|---|---|")
    };
    head("layers");
    // The stem and the first block are one step; what comes after the last block is another.
    let mut first = 0;
    for (_, outputs, repeats, _) in GROUPS {
        let name = format!("{repeats} × {} channels", rounded(outputs * width));
        let steps = first..first + repeats;
        row(&if first == 0 { format!("stem, {name}") } else { name }, &|spent| steps.contains(&spent.step));
        first += repeats;
    }
    row("last 1 × 1, means", &|spent| spent.step >= first);
    head("kinds");
    for kind in KINDS {
        row(&format!("{kind:?}"), &|spent| spent.stage == kind);
    }
    row("all", &|_| true);
    head("step by step");
    for one in &spent {
        row(&format!("{} {:?}", one.step, one.stage), &|spent| spent == one);
    }
}

fn least(times: usize, mut work: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| work()).min().unwrap_or_default()
}

fn layers(width: f64) -> Vec<Layer> {
    let mut channels = rounded(32.0 * width);
    let mut layers = vec![Layer::Stem(filter(channels, 27, 2))];
    for (expansion, outputs, repeats, stride) in GROUPS {
        let outputs = rounded(outputs * width);
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
    layers.push(pointwise(channels, rounded(1280.0 * width.max(1.0)), Clamp::RELU6));
    layers
}

/// To a multiple of 8, and never below nine tenths.
fn rounded(channels: f64) -> usize {
    let near = ((channels + 4.0) as usize / 8 * 8).max(8);
    if (near as f64) < 0.9 * channels { near + 8 } else { near }
}

fn filter(outputs: usize, inputs: usize, stride: usize) -> Filter {
    let padding = if stride == 2 { Padding::BEHIND } else { Padding::AROUND };
    Filter {
        weights: numbers(outputs * inputs, inputs),
        bias: numbers(outputs, 9),
        clamp: Clamp::RELU6,
        stride,
        padding,
    }
}

fn pointwise(inputs: usize, outputs: usize, clamp: Clamp) -> Layer {
    Layer::Pointwise(Pointwise {
        weights: numbers(inputs * outputs, inputs),
        bias: numbers(outputs, 9),
        clamp,
    })
}

/// From a linear congruential generator (Knuth's MMIX), as large as sums of so many of them bear.
fn numbers(count: usize, inputs: usize) -> Vec<f32> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    let states = std::iter::successors(Some(count as u64), next);
    let scale = (6.0 / inputs as f32).sqrt();
    states.take(count).map(|state| ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
}
