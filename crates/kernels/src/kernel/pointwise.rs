//! The 1 × 1 convolution: a matrix product, tile by tile.
//!
//! A tile is the sums of a few pixels and one or two blocks of outputs, which stay in registers while all inputs go by:
//! for each input the weights of the blocks are loaded, and each pixel's number of it is splatted and multiplied with them.

use std::ops::Range;

use crate::lanes::{LANES, Lanes};
use crate::pack::Matrix;
use crate::simd::{Operation, Simd};

/// A 1 × 1 convolution of some pixels in a row. A map has one plane for each block of channels, all of its pixels in one piece;
/// the strides are from plane to plane.
pub(crate) struct Pointwise<'a> {
    pub(crate) matrix: &'a Matrix,
    /// The blocks of outputs that are wanted.
    pub(crate) blocks: Range<usize>,
    pub(crate) pixels: usize,
    /// From the first pixel that is wanted, of the first plane.
    pub(crate) input: &'a [Lanes],
    pub(crate) input_stride: usize,
    /// From the first pixel that is wanted, of the first block that is wanted.
    pub(crate) output: &'a mut [Lanes],
    pub(crate) output_stride: usize,
    /// What is added at the end, laid out as the output is.
    pub(crate) residual: Option<&'a [Lanes]>,
}

impl Operation for Pointwise<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let tiles = self.pixels.div_ceil(S::PIXELS);
        let mut block = self.blocks.start;
        while block < self.blocks.end {
            let pair = S::BLOCKS == 2 && block + 1 < self.blocks.end;
            for tile in 0..tiles {
                // Tiles as equal as can be: 49 pixels are 12 + 12 + 12 + 13, not 14 + 14 + 14 + 7.
                let first = tile * self.pixels / tiles;
                let count = (tile + 1) * self.pixels / tiles - first;
                if pair {
                    self.tile::<S, 2>(simd, block, first, count);
                } else {
                    self.tile::<S, 1>(simd, block, first, count);
                }
            }
            block += if pair { 2 } else { 1 };
        }
    }
}

impl Pointwise<'_> {
    /// The tile of so many pixels, as code of its own for each count: only then are its sums in registers.
    #[inline(always)]
    fn tile<S: Simd, const B: usize>(&mut self, simd: S, block: usize, first: usize, count: usize) {
        macro_rules! tile {
            ($($pixels:literal)*) => {
                match count {
                    $($pixels if $pixels <= S::PIXELS => self.sums::<S, $pixels, B>(simd, block, first),)*
                    _ => unreachable!("a tile of {count} pixels"),
                }
            };
        }
        tile!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    #[inline(always)]
    fn sums<S: Simd, const P: usize, const B: usize>(&mut self, simd: S, block: usize, first: usize) {
        let inputs = self.matrix.inputs;
        let mut sums = [[simd.splat(0.0); B]; P];
        let mut weights = [&self.matrix.weights[..0]; B];
        for b in 0..B {
            weights[b] = &self.matrix.weights[(block + b) * inputs..][..inputs];
            let bias = simd.load(&self.matrix.bias[block + b], 0);
            for p in 0..P {
                sums[p][b] = bias;
            }
        }
        let mut plane = first;
        let mut input = 0;
        while input + LANES <= inputs {
            let pixels = tile_of::<P>(&self.input[plane..]);
            let mut some = [&[Lanes::ZERO; LANES]; B];
            for b in 0..B {
                some[b] = full(&weights[b][input..]);
            }
            for lane in 0..LANES {
                multiply(simd, &mut sums, pixels, &some, lane);
            }
            plane += self.input_stride;
            input += LANES;
        }
        if input < inputs {
            let pixels = tile_of::<P>(&self.input[plane..]);
            let mut some = [&[][..]; B];
            for b in 0..B {
                some[b] = &weights[b][input..];
            }
            for lane in 0..(inputs - input).min(LANES) {
                let mut loaded = [simd.splat(0.0); B];
                for b in 0..B {
                    loaded[b] = simd.load(&some[b][lane], 0);
                }
                accumulate(simd, &mut sums, pixels, loaded, lane);
            }
        }
        self.finish::<S, P, B>(simd, block, first, sums);
    }

    #[inline(always)]
    fn finish<S: Simd, const P: usize, const B: usize>(
        &mut self,
        simd: S,
        block: usize,
        first: usize,
        sums: [[S::Vector; B]; P],
    ) {
        let (low, high) = (simd.splat(self.matrix.clamp.low), simd.splat(self.matrix.clamp.high));
        for b in 0..B {
            let at = (block - self.blocks.start + b) * self.output_stride + first;
            let output = &mut self.output[at..][..P];
            match self.residual {
                None => {
                    for p in 0..P {
                        simd.store(&mut output[p], 0, simd.clamp(low, high, sums[p][b]));
                    }
                }
                Some(residual) => {
                    let residual = &residual[at..][..P];
                    for p in 0..P {
                        let held = simd.clamp(low, high, sums[p][b]);
                        simd.store(&mut output[p], 0, simd.add(held, simd.load(&residual[p], 0)));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn multiply<S: Simd, const P: usize, const B: usize>(
    simd: S,
    sums: &mut [[S::Vector; B]; P],
    pixels: &[Lanes; P],
    weights: &[&[Lanes; LANES]; B],
    lane: usize,
) {
    let mut loaded = [simd.splat(0.0); B];
    for b in 0..B {
        loaded[b] = simd.load(&weights[b][lane], 0);
    }
    accumulate(simd, sums, pixels, loaded, lane);
}

#[inline(always)]
fn accumulate<S: Simd, const P: usize, const B: usize>(
    simd: S,
    sums: &mut [[S::Vector; B]; P],
    pixels: &[Lanes; P],
    weights: [S::Vector; B],
    lane: usize,
) {
    for p in 0..P {
        let number = simd.splat(pixels[p].0[lane]);
        for b in 0..B {
            sums[p][b] = simd.mul_add(number, weights[b], sums[p][b]);
        }
    }
}

/// The first `P` pixels of a plane, their count known to the compiler.
#[inline(always)]
fn tile_of<const P: usize>(plane: &[Lanes]) -> &[Lanes; P] {
    full(plane)
}

/// The first `N`. The caller has put no fewer there.
#[inline(always)]
#[allow(
    clippy::panic,
    reason = "a slice that is too short is a bug of the plan, and stops as any index out of bounds does"
)]
fn full<const N: usize>(lanes: &[Lanes]) -> &[Lanes; N] {
    match lanes.first_chunk() {
        Some(chunk) => chunk,
        None => panic!("{} lanes where {N} are read", lanes.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lanes::blocks;
    use crate::layer::{Clamp, Pointwise as Layer, Size};
    use crate::reference::{Map, paths, vectorize};

    /// Some of the pixels of a map, some of the blocks; what is not asked for stays as it is.
    fn assert_right(
        inputs: usize,
        outputs: usize,
        pixels: usize,
        before: usize,
        residual: bool,
        first_block: usize,
    ) {
        let size = Size { width: pixels + before, height: 1 };
        let clamp = if residual { Clamp::NONE } else { Clamp::RELU6 };
        let layer = Layer::made_up(inputs, outputs, clamp, 7);
        let (map, added) = (Map::made_up(inputs, size, 8), Map::made_up(outputs, size, 9));
        let mut expected = layer.reference(&map);
        if residual {
            expected.numbers.iter_mut().zip(&added.numbers).for_each(|(number, added)| *number += added);
        }
        let matrix = Matrix::pointwise(&layer, inputs).unwrap();
        let (map, added) = (map.lanes(), added.lanes());
        let first_block = first_block % matrix.blocks();
        let stride = size.pixels();
        for path in paths() {
            let untouched = Lanes([77.0; LANES]);
            let mut output = vec![untouched; blocks(outputs) * stride];
            vectorize(
                path,
                Pointwise {
                    matrix: &matrix,
                    blocks: first_block..matrix.blocks(),
                    pixels,
                    input: &map[before..],
                    input_stride: stride,
                    output: &mut output[first_block * stride + before..],
                    output_stride: stride,
                    residual: residual.then(|| &added[first_block * stride + before..]),
                },
            );
            for (at, lanes) in output.iter_mut().enumerate() {
                if at / stride < first_block || at % stride < before {
                    assert_eq!(*lanes, untouched, "{path} wrote at {at}");
                    for lane in 0..LANES {
                        let channel = at / stride * LANES + lane;
                        if channel < outputs {
                            lanes.0[lane] = expected.numbers[channel * stride + at % stride];
                        }
                    }
                }
            }
            expected.assert_is(&output);
        }
    }

    #[test]
    fn every_height_of_a_tile_is_right() {
        for pixels in 1..=30 {
            assert_right(20, 35, pixels, 0, false, 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_shape_is_the_plain_loop(
            inputs in 1usize..70,
            outputs in 1usize..70,
            pixels in 1usize..60,
            before in 0usize..5,
            residual: bool,
            first_block in 0usize..5,
        ) {
            assert_right(inputs, outputs, pixels, before, residual, first_block);
        }
    }

    #[test]
    fn what_is_not_a_number_comes_to_light() {
        let layer = Layer::made_up(16, 16, Clamp::RELU6, 1);
        let matrix = Matrix::pointwise(&layer, 16).unwrap();
        for path in paths() {
            let mut output = [Lanes::ZERO];
            let input = [Lanes([f32::NAN; LANES])];
            let pointwise = Pointwise {
                matrix: &matrix,
                blocks: 0..1,
                pixels: 1,
                input: &input,
                input_stride: 1,
                output: &mut output,
                output_stride: 1,
                residual: None,
            };
            vectorize(path, pointwise);
            assert!(output[0].0.iter().all(|number| number.is_nan()), "{path}: {output:?}");
        }
    }
}
