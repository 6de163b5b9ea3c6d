//! The layers as plain loops, one number at a time in f64: what the kernels are held against.

use crate::lanes::{LANES, Lanes, blocks};
use crate::layer::{Clamp, Filter, Layer, Padding, Pointwise, Size};
use crate::path::{Machine, Path};
use crate::simd::Operation;

/// A map, channel by channel, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Map {
    pub(crate) channels: usize,
    pub(crate) size: Size,
    pub(crate) numbers: Vec<f32>,
}

impl Map {
    /// Made-up numbers, as large as those of a network.
    pub(crate) fn made_up(channels: usize, size: Size, seed: u64) -> Self {
        Self { channels, size, numbers: numbers(channels * size.pixels(), 3.0, seed) }
    }

    /// As the network sees a picture.
    fn of_picture(picture: &[u8], side: usize, mean: [f32; 3], std: [f32; 3]) -> Self {
        let size = Size { width: side, height: side };
        let channel = |c: usize| {
            picture.iter().skip(c).step_by(3).map(move |byte| (f32::from(*byte) - mean[c]) / std[c])
        };
        Self { channels: 3, size, numbers: (0..3).flat_map(channel).collect() }
    }

    /// One number; 0 outside the map.
    fn at(&self, channel: usize, row: isize, column: isize) -> f64 {
        let Size { width, height } = self.size;
        let inside = |at: isize, end: usize| usize::try_from(at).ok().filter(|at| *at < end);
        let pixel = inside(row, height).zip(inside(column, width)).map(|(row, column)| row * width + column);
        pixel.map_or(0.0, |pixel| f64::from(self.numbers[channel * self.size.pixels() + pixel]))
    }

    /// As the kernels have it; channels that are not there are not a number, so that whoever reads them is seen.
    pub(crate) fn lanes(&self) -> Vec<Lanes> {
        let mut lanes = vec![Lanes([f32::NAN; LANES]); blocks(self.channels) * self.size.pixels()];
        for (at, number) in self.numbers.iter().enumerate() {
            let (channel, pixel) = (at / self.size.pixels(), at % self.size.pixels());
            lanes[channel / LANES * self.size.pixels() + pixel].0[channel % LANES] = *number;
        }
        lanes
    }

    /// Asserts that the kernels made this of it; what surplus channels hold does not matter.
    pub(crate) fn assert_is(&self, lanes: &[Lanes]) {
        let pixels = self.size.pixels();
        for (at, expected) in self.numbers.iter().enumerate() {
            let (channel, pixel) = (at / pixels, at % pixels);
            let found = lanes[channel / LANES * pixels + pixel].0[channel % LANES];
            let near = (found - expected).abs() <= 1e-4 * (1.0 + expected.abs());
            assert!(near, "channel {channel}, pixel {pixel}: {found}, not {expected}");
        }
    }
}

impl Pointwise {
    pub(crate) fn made_up(inputs: usize, outputs: usize, clamp: Clamp, seed: u64) -> Self {
        let scale = (3.0 / inputs as f32).sqrt();
        Self { weights: numbers(inputs * outputs, scale, seed), bias: numbers(outputs, 1.0, seed + 1), clamp }
    }

    pub(crate) fn reference(&self, map: &Map) -> Map {
        let (channels, pixels) = (self.bias.len(), map.size.pixels());
        let mut numbers = Vec::new();
        for (weights, bias) in self.weights.chunks(map.channels).zip(&self.bias) {
            for pixel in 0..pixels {
                let of =
                    |input: usize| f64::from(weights[input]) * f64::from(map.numbers[input * pixels + pixel]);
                numbers.push(self.clamp.held(f64::from(*bias) + (0..map.channels).map(of).sum::<f64>()));
            }
        }
        Map { channels, size: map.size, numbers }
    }
}

impl Filter {
    /// Of a depthwise, `inputs` is 1; of a stem, 3.
    pub(crate) fn made_up(outputs: usize, inputs: usize, stride: usize, padding: Padding, seed: u64) -> Self {
        let weights = numbers(9 * inputs * outputs, (1.0 / inputs as f32).sqrt(), seed);
        Self { weights, bias: numbers(outputs, 1.0, seed + 1), clamp: Clamp::RELU6, stride, padding }
    }

    pub(crate) fn reference(&self, map: &Map) -> Map {
        let size = self.size_of(map.size).unwrap();
        let inputs = self.weights.len() / 9 / self.bias.len();
        let mut numbers = Vec::new();
        for (channel, bias) in self.bias.iter().enumerate() {
            for (row, column) in
                (0..size.height).flat_map(|row| (0..size.width).map(move |column| (row, column)))
            {
                let mut sum = f64::from(*bias);
                for (input, tap) in (0..inputs).flat_map(|input| (0..9).map(move |tap| (input, tap))) {
                    let row = (row * self.stride + tap / 3) as isize - self.padding.top as isize;
                    let column = (column * self.stride + tap % 3) as isize - self.padding.left as isize;
                    let from = if inputs == 1 { channel } else { input };
                    sum += f64::from(self.weights[(channel * inputs + input) * 9 + tap])
                        * map.at(from, row, column);
                }
                numbers.push(self.clamp.held(sum));
            }
        }
        Map { channels: self.bias.len(), size, numbers }
    }
}

impl Clamp {
    fn held(self, number: f64) -> f32 {
        number.max(f64::from(self.low)).min(f64::from(self.high)) as f32
    }
}

/// What the layers make of a picture.
pub(crate) fn embedding(
    layers: &[Layer],
    picture: &[u8],
    side: usize,
    mean: [f32; 3],
    std: [f32; 3],
) -> Vec<f32> {
    let mut map = Map::of_picture(picture, side, mean, std);
    let mut maps: Vec<Map> = Vec::new();
    for layer in layers {
        map = match layer {
            Layer::Stem(filter) | Layer::Depthwise(filter) => filter.reference(&map),
            Layer::Pointwise(pointwise) => pointwise.reference(&map),
            Layer::Add(of) => {
                let sums = map.numbers.iter().zip(&maps[*of].numbers).map(|(a, b)| a + b);
                Map { numbers: sums.collect(), ..map }
            }
        };
        maps.push(map.clone());
    }
    let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
    map.numbers.chunks(map.size.pixels()).map(mean).collect()
}

/// Runs an operation on a path.
pub(crate) fn vectorize(path: Path, operation: impl Operation) {
    use crate::simd::Simd;
    match path.machine().unwrap() {
        #[cfg(target_arch = "x86_64")]
        Machine::Avx512(simd) => simd.vectorize(operation),
        #[cfg(target_arch = "x86_64")]
        Machine::Avx2(simd) => simd.vectorize(operation),
        Machine::Portable(simd) => simd.vectorize(operation),
    }
}

/// The paths that this machine has.
pub(crate) fn paths() -> impl Iterator<Item = Path> {
    Path::ALL.into_iter().filter(|path| path.is_here())
}

/// Numbers between ± `scale`, from a linear congruential generator (Knuth's MMIX).
pub(crate) fn numbers(count: usize, scale: f32, seed: u64) -> Vec<f32> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    let states = std::iter::successors(Some(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)), next).skip(2);
    states.take(count).map(|state| ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
}
