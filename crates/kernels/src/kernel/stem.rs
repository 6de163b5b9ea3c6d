//! The first layer: a 3 × 3 convolution of the picture.
//!
//! It is the matrix product of [`crate::pointwise`] again, with 27 inputs: three taps of three colours lie side by side in a row of
//! pixels, so a tile reads nine numbers of each of three rows, and its next pixel begins two pixels on.

use std::ops::Range;

use crate::lanes::Lanes;
use crate::layer::Size;
use crate::pack::{Matrix, STEM_INPUTS};
use crate::simd::{Operation, Simd};

/// Numbers from one output's first to the next one's: two pixels of three colours.
const STEP: usize = 6;
/// Numbers of one row that an output sees.
const ACROSS: usize = 9;
/// Numbers of one row that the widest tile sees, and some more: a round count.
const WINDOW: usize = 96;

/// A stem of stride 2: its weights, and what becomes of a byte before it.
#[derive(Debug)]
pub(crate) struct Stem {
    pub(crate) matrix: Matrix,
    pub(crate) top: usize,
    pub(crate) left: usize,
    /// Of a row of the picture: what is subtracted from each byte.
    pub(crate) mean: Vec<f32>,
    /// Of a row of the picture: what each byte is then multiplied with.
    pub(crate) scale: Vec<f32>,
}

impl Stem {
    /// Numbers of a row, with zeros on both sides: what is left of the picture, and what the last tile's window reaches over it.
    pub(crate) fn row_numbers(&self) -> usize {
        3 * self.left + self.mean.len() + WINDOW
    }
}

/// A stem that makes some rows.
pub(crate) struct Rows<'a> {
    pub(crate) stem: &'a Stem,
    pub(crate) picture: &'a [u8],
    /// Pixels along each side of the picture.
    pub(crate) side: usize,
    /// The rows of the output that are wanted.
    pub(crate) rows: Range<usize>,
    /// Three rows of numbers.
    pub(crate) scratch: &'a mut [f32],
    /// A plane for each block, of `ring` rows.
    pub(crate) output: &'a mut [Lanes],
    pub(crate) output_stride: usize,
    pub(crate) output_size: Size,
    /// As in [`crate::depthwise::Depthwise`].
    pub(crate) ring: usize,
}

impl Operation for Rows<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        const { assert!((S::PIXELS - 1) * STEP + ACROSS <= WINDOW) };
        let tiles = self.output_size.width.div_ceil(S::PIXELS);
        for row in self.rows.clone() {
            self.fill(row);
            for block in (0..self.stem.matrix.blocks()).step_by(S::BLOCKS) {
                let pair = S::BLOCKS == 2 && block + 1 < self.stem.matrix.blocks();
                for tile in 0..tiles {
                    let first = tile * self.output_size.width / tiles;
                    let count = (tile + 1) * self.output_size.width / tiles - first;
                    if pair {
                        self.tile::<S, 2>(simd, row, block, first, count);
                    } else {
                        self.tile::<S, 1>(simd, row, block, first, count);
                    }
                }
            }
        }
    }
}

impl Rows<'_> {
    /// The three rows of the picture that a row of the output sees, as numbers; zeros above and below it.
    #[inline(always)]
    fn fill(&mut self, row: usize) {
        let (bytes, before) = (3 * self.side, 3 * self.stem.left);
        for (tap, numbers) in self.scratch.chunks_exact_mut(self.stem.row_numbers()).enumerate() {
            let from = (2 * row + tap).wrapping_sub(self.stem.top);
            let numbers = &mut numbers[before..][..bytes];
            if from < self.side {
                let pixels = &self.picture[from * bytes..][..bytes];
                let of_a_row = self.stem.mean.iter().zip(&self.stem.scale);
                for ((number, byte), (mean, scale)) in numbers.iter_mut().zip(pixels).zip(of_a_row) {
                    *number = (f32::from(*byte) - mean) * scale;
                }
            } else {
                numbers.fill(0.0);
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const B: usize>(
        &mut self,
        simd: S,
        row: usize,
        block: usize,
        first: usize,
        count: usize,
    ) {
        macro_rules! tile {
            ($($pixels:literal)*) => {
                match count {
                    $($pixels if $pixels <= S::PIXELS => self.sums::<S, $pixels, B>(simd, row, block, first),)*
                    _ => unreachable!("a tile of {count} pixels"),
                }
            };
        }
        tile!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    #[inline(always)]
    fn sums<S: Simd, const P: usize, const B: usize>(
        &mut self,
        simd: S,
        row: usize,
        block: usize,
        first: usize,
    ) {
        let matrix = &self.stem.matrix;
        let mut sums = [[simd.splat(0.0); B]; P];
        let mut weights = [&matrix.weights[..0]; B];
        for b in 0..B {
            weights[b] = &matrix.weights[(block + b) * STEM_INPUTS..][..STEM_INPUTS];
            let bias = simd.load(&matrix.bias[block + b], 0);
            for p in 0..P {
                sums[p][b] = bias;
            }
        }
        let row_numbers = self.stem.row_numbers();
        // A count that the compiler does not know: unrolled as a whole, nine inputs would take the registers of the sums.
        let across = std::hint::black_box(ACROSS).min(ACROSS);
        for tap in 0..3 {
            let numbers = window(&self.scratch[tap * row_numbers + first * STEP..]);
            for input in 0..across {
                let mut loaded = [simd.splat(0.0); B];
                for b in 0..B {
                    loaded[b] = simd.load(&weights[b][tap * ACROSS + input], 0);
                }
                for p in 0..P {
                    let number = simd.splat(numbers[p * STEP + input]);
                    for b in 0..B {
                        sums[p][b] = simd.mul_add(number, loaded[b], sums[p][b]);
                    }
                }
            }
        }
        let (low, high) = (simd.splat(matrix.clamp.low), simd.splat(matrix.clamp.high));
        for b in 0..B {
            let at = (block + b) * self.output_stride + row % self.ring * self.output_size.width + first;
            let output = &mut self.output[at..][..P];
            for p in 0..P {
                simd.store(&mut output[p], 0, simd.clamp(low, high, sums[p][b]));
            }
        }
    }
}

#[inline(always)]
#[allow(
    clippy::panic,
    reason = "a row that is too short is a bug of the plan, and stops as any index out of bounds does"
)]
fn window(numbers: &[f32]) -> &[f32; WINDOW] {
    match numbers.first_chunk() {
        Some(window) => window,
        None => panic!("{} numbers where {WINDOW} are read", numbers.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::layer::{Filter, Layer, Padding};
    use crate::network::Network;
    use crate::reference::{embedding, numbers, paths};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        /// With the depthwise and the project that it must have behind it: each lets one tap and one channel through.
        #[test]
        fn any_shape_is_the_plain_loop(outputs in 1usize..50, side in 1usize..70, behind: bool, seed: u64) {
            let padding = if behind { Padding::BEHIND } else { Padding::AROUND };
            let mut stem = Filter::made_up(outputs, 3, 2, padding, seed);
            stem.clamp = crate::Clamp::RELU;
            let mut depthwise = Filter::made_up(outputs, 1, 1, Padding::AROUND, seed);
            depthwise.weights.iter_mut().enumerate().for_each(|(at, weight)| *weight = f32::from(at % 9 == 4));
            let mut project = crate::Pointwise::made_up(outputs, outputs, crate::Clamp::NONE, seed);
            project.weights.iter_mut().enumerate().for_each(|(at, weight)| *weight = f32::from(at % (outputs + 1) == 0));
            let layers = [Layer::Stem(stem), Layer::Depthwise(depthwise), Layer::Pointwise(project)];
            let picture: Vec<u8> = numbers(3 * side * side, 128.0, seed).iter().map(|x| (x + 128.0) as u8).collect();
            let (mean, std) = ([100.0, 127.5, 3.25], [50.0, 127.5, 63.0]);
            for path in paths() {
                let Ok(network) = Network::compile(&layers, side, mean, std, path) else { continue };
                let found = network.embed(&picture, &mut network.scratch());
                let expected = embedding(&layers, &picture, side, mean, std);
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!((found - expected).abs() <= 1e-4 * (1.0 + expected.abs()), "{path}: {found}, not {expected}");
                }
            }
        }
    }
}
