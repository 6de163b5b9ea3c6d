//! The first layer: a 3 × 3 convolution of the picture.
//!
//! It is the matrix product of [`crate::kernel::pointwise`] with 27 inputs. Three taps of three
//! colours are adjacent in a row of pixels. So each output reads nine consecutive numbers from each
//! of three rows, and the next output starts two pixels further right.

use std::ops::Range;

use crate::kernel::pack::{Matrix, STEM_INPUTS};
use crate::lanes::Lanes;
use crate::layer::Size;
use crate::simd::{Operation, Simd};

/// The distance between the inputs of adjacent outputs: two pixels of three colours.
const OUTPUT_STEP: usize = 6;
/// Numbers that an output reads from one row.
const ROW_INPUTS: usize = 9;
/// Numbers that the widest tile reads from one row, rounded up.
const WINDOW: usize = 96;

/// A stem of stride 2: its weights, and the normalisation of the picture's bytes.
#[derive(Debug)]
pub(crate) struct Stem {
    pub(crate) matrix: Matrix,
    pub(crate) top: usize,
    pub(crate) left: usize,
    /// Subtracted from each byte of a picture row.
    pub(crate) mean: Vec<f32>,
    /// Each byte of a picture row is then multiplied by this.
    pub(crate) scale: Vec<f32>,
}

impl Stem {
    /// Returns the length of a scratch row.
    ///
    /// It includes the padding on the left, and room on the right for the window of the last tile.
    pub(crate) fn scratch_row_len(&self) -> usize {
        3 * self.left + self.mean.len() + WINDOW
    }
}

/// A stem convolution of some rows.
pub(crate) struct StemRows<'a> {
    pub(crate) stem: &'a Stem,
    pub(crate) picture: &'a [u8],
    /// The side of the picture, in pixels.
    pub(crate) side: usize,
    /// The output rows to compute.
    pub(crate) rows: Range<usize>,
    /// Three rows of [`Stem::scratch_row_len`] numbers. Nothing writes to the padding, so it must
    /// be zero.
    pub(crate) scratch: &'a mut [f32],
    /// One plane of `ring` rows per channel block.
    pub(crate) output: &'a mut [Lanes],
    pub(crate) output_stride: usize,
    pub(crate) output_size: Size,
    /// Rows per output plane, as in [`crate::kernel::depthwise::Depthwise`].
    pub(crate) ring: usize,
}

impl Operation for StemRows<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        const { assert!((S::TILE_PIXELS - 1) * OUTPUT_STEP + ROW_INPUTS <= WINDOW) };
        let tiles = self.output_size.width.div_ceil(S::TILE_PIXELS);
        for row in self.rows.clone() {
            // Once per row, because all tiles and blocks of the row read these numbers.
            self.normalise(row);
            for block in (0..self.stem.matrix.blocks()).step_by(S::TILE_BLOCKS) {
                let pair = S::TILE_BLOCKS == 2 && block + 1 < self.stem.matrix.blocks();
                for tile in 0..tiles {
                    // As equal as possible, like the tiles of the pointwise.
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

impl StemRows<'_> {
    /// Normalises the three picture rows that an output row reads. Rows outside the picture become
    /// zeros.
    #[inline(always)]
    fn normalise(&mut self, row: usize) {
        let (row_bytes, padding) = (3 * self.side, 3 * self.stem.left);
        for (tap, numbers) in self.scratch.chunks_exact_mut(self.stem.scratch_row_len()).enumerate() {
            // Rows above the picture wrap around to huge numbers, as in the depthwise.
            let from = (2 * row + tap).wrapping_sub(self.stem.top);
            let numbers = &mut numbers[padding..][..row_bytes];
            if from < self.side {
                let pixels = &self.picture[from * row_bytes..][..row_bytes];
                let normalisation = self.stem.mean.iter().zip(&self.stem.scale);
                for ((number, byte), (mean, scale)) in numbers.iter_mut().zip(pixels).zip(normalisation) {
                    *number = (f32::from(*byte) - mean) * scale;
                }
            } else {
                numbers.fill(0.0);
            }
        }
    }

    /// Computes a tile of `count` pixels. Each count is compiled separately, as in
    /// [`crate::kernel::pointwise`].
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
                    $($pixels if $pixels <= S::TILE_PIXELS => self.sums::<S, $pixels, B>(simd, row, block, first),)*
                    _ => unreachable!("a tile of {count} pixels"),
                }
            };
        }
        tile!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    /// Computes a tile of `P` pixels and `B` blocks.
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
        let row_len = self.stem.scratch_row_len();
        // Hides the count from the compiler. It would unroll all nine inputs, and their weights
        // would take the registers of the sums.
        let row_inputs = std::hint::black_box(ROW_INPUTS).min(ROW_INPUTS);
        for tap in 0..3 {
            let numbers = window(&self.scratch[tap * row_len + first * OUTPUT_STEP..]);
            for input in 0..row_inputs {
                let mut loaded = [simd.splat(0.0); B];
                for b in 0..B {
                    loaded[b] = simd.load(&weights[b][tap * ROW_INPUTS + input], 0);
                }
                for p in 0..P {
                    let number = simd.splat(numbers[p * OUTPUT_STEP + input]);
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

/// Returns the first `WINDOW` numbers, with a length that the compiler knows.
#[inline(always)]
#[allow(
    clippy::panic,
    reason = "a row that is too short is a bug in the plan, and panics like any index out of bounds"
)]
fn window(numbers: &[f32]) -> &[f32; WINDOW] {
    match numbers.first_chunk() {
        Some(window) => window,
        None => panic!("{} numbers, but {WINDOW} are read", numbers.len()),
    }
}
