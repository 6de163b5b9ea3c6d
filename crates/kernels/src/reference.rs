//! The reference for the kernels: every layer as plain loops, one number at a time, in f64.

use crate::isa::{DetectedIsa, Isa};
use crate::lanes::{LANES, Lanes, blocks};
use crate::layer::{Clamp, Filter, Layer, Padding, Pointwise, Size};
use crate::simd::Operation;

/// A map: channels in order, each with its rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Map {
    pub(crate) channels: usize,
    pub(crate) size: Size,
    pub(crate) numbers: Vec<f32>,
}

impl Map {
    /// Returns random numbers of a magnitude that occurs in real networks.
    pub(crate) fn random(channels: usize, size: Size, seed: u64) -> Self {
        Self { channels, size, numbers: random_numbers(channels * size.pixels(), 3.0, seed) }
    }

    /// Returns the normalised picture.
    fn from_picture(picture: &[u8], side: usize, mean: [f32; 3], std: [f32; 3]) -> Self {
        let size = Size { width: side, height: side };
        let channel = |c: usize| {
            picture.iter().skip(c).step_by(3).map(move |byte| (f32::from(*byte) - mean[c]) / std[c])
        };
        Self { channels: 3, size, numbers: (0..3).flat_map(channel).collect() }
    }

    /// Returns one number, or 0 outside the map.
    fn at(&self, channel: usize, row: isize, column: isize) -> f64 {
        let Size { width, height } = self.size;
        let inside = |at: isize, end: usize| usize::try_from(at).ok().filter(|at| *at < end);
        let pixel = inside(row, height).zip(inside(column, width)).map(|(row, column)| row * width + column);
        pixel.map_or(0.0, |pixel| f64::from(self.numbers[channel * self.size.pixels() + pixel]))
    }

    /// Converts to the kernels' layout. Surplus channels are NaN, so that a kernel that reads them
    /// fails.
    pub(crate) fn lanes(&self) -> Vec<Lanes> {
        let mut lanes = vec![Lanes([f32::NAN; LANES]); blocks(self.channels) * self.size.pixels()];
        for (at, number) in self.numbers.iter().enumerate() {
            let (channel, pixel) = (at / self.size.pixels(), at % self.size.pixels());
            lanes[channel / LANES * self.size.pixels() + pixel].0[channel % LANES] = *number;
        }
        lanes
    }

    /// Asserts that a kernel's output is close to this map. Surplus channels may hold anything.
    pub(crate) fn assert_near(&self, lanes: &[Lanes]) {
        let pixels = self.size.pixels();
        for (at, expected) in self.numbers.iter().enumerate() {
            let (channel, pixel) = (at / pixels, at % pixels);
            let found = lanes[channel / LANES * pixels + pixel].0[channel % LANES];
            let near = (found - expected).abs() <= 1e-4 * (1.0 + expected.abs());
            assert!(near, "channel {channel}, pixel {pixel}: found {found}, expected {expected}");
        }
    }
}

impl Pointwise {
    pub(crate) fn random(inputs: usize, outputs: usize, clamp: Clamp, seed: u64) -> Self {
        let scale = (3.0 / inputs as f32).sqrt();
        Self {
            weights: random_numbers(inputs * outputs, scale, seed),
            bias: random_numbers(outputs, 1.0, seed + 1),
            clamp,
        }
    }

    pub(crate) fn reference(&self, map: &Map) -> Map {
        let (channels, pixels) = (self.bias.len(), map.size.pixels());
        let mut numbers = Vec::new();
        for (weights, bias) in self.weights.chunks(map.channels).zip(&self.bias) {
            for pixel in 0..pixels {
                let product =
                    |input: usize| f64::from(weights[input]) * f64::from(map.numbers[input * pixels + pixel]);
                numbers
                    .push(self.clamp.apply(f64::from(*bias) + (0..map.channels).map(product).sum::<f64>()));
            }
        }
        Map { channels, size: map.size, numbers }
    }
}

impl Filter {
    /// Returns random weights. `inputs` is 1 for a depthwise and 3 for a stem.
    pub(crate) fn random(outputs: usize, inputs: usize, stride: usize, padding: Padding, seed: u64) -> Self {
        let weights = random_numbers(9 * inputs * outputs, (1.0 / inputs as f32).sqrt(), seed);
        Self { weights, bias: random_numbers(outputs, 1.0, seed + 1), clamp: Clamp::RELU6, stride, padding }
    }

    pub(crate) fn reference(&self, map: &Map) -> Map {
        let size = self.output_size(map.size).unwrap();
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
                numbers.push(self.clamp.apply(sum));
            }
        }
        Map { channels: self.bias.len(), size, numbers }
    }
}

impl Clamp {
    fn apply(self, number: f64) -> f32 {
        number.max(f64::from(self.low)).min(f64::from(self.high)) as f32
    }
}

/// Returns the embedding of a picture.
pub(crate) fn embedding(
    layers: &[Layer],
    picture: &[u8],
    side: usize,
    mean: [f32; 3],
    std: [f32; 3],
) -> Vec<f32> {
    let mut map = Map::from_picture(picture, side, mean, std);
    let mut maps: Vec<Map> = Vec::new();
    for layer in layers {
        map = match layer {
            Layer::Stem(filter) | Layer::Depthwise(filter) => filter.reference(&map),
            Layer::Pointwise(pointwise) => pointwise.reference(&map),
            Layer::Add(index) => {
                let sums = map.numbers.iter().zip(&maps[*index].numbers).map(|(a, b)| a + b);
                Map { numbers: sums.collect(), ..map }
            }
        };
        maps.push(map.clone());
    }
    let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
    map.numbers.chunks(map.size.pixels()).map(mean).collect()
}

/// Runs an operation on an instruction set.
pub(crate) fn vectorize(isa: Isa, operation: impl Operation) {
    use crate::simd::Simd;
    match isa.detect().unwrap() {
        #[cfg(target_arch = "x86_64")]
        DetectedIsa::Avx512(simd) => simd.vectorize(operation),
        #[cfg(target_arch = "x86_64")]
        DetectedIsa::Avx2(simd) => simd.vectorize(operation),
        DetectedIsa::Portable(simd) => simd.vectorize(operation),
    }
}

/// Returns the instruction sets that this machine supports.
pub(crate) fn supported_isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_supported())
}

/// Returns numbers between ± `scale` from a linear congruential generator (Knuth's MMIX).
pub(crate) fn random_numbers(count: usize, scale: f32, seed: u64) -> Vec<f32> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    let states = std::iter::successors(Some(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)), next).skip(2);
    states.take(count).map(|state| ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
}
