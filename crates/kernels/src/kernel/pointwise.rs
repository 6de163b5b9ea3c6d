//! The 1 × 1 convolution: a matrix product, tile by tile.
//!
//! A tile holds the sums of a few pixels for one or two blocks of outputs. The sums stay in
//! registers for all inputs. For each input, the kernel loads the weights of the blocks, splats
//! each pixel's number, and multiplies and adds.

use std::ops::Range;

use crate::kernel::pack::Matrix;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Operation, Simd};

/// A 1 × 1 convolution of a run of consecutive pixels.
///
/// A map has one contiguous plane per channel block. The strides are the distances between planes.
pub(crate) struct PointwisePixels<'a> {
    pub(crate) matrix: &'a Matrix,
    /// The output blocks to compute.
    pub(crate) blocks: Range<usize>,
    pub(crate) pixels: usize,
    /// Starts at the first pixel to read, in the first plane.
    pub(crate) input: &'a [Lanes],
    pub(crate) input_stride: usize,
    /// Starts at the first pixel to write, in the plane of the first block to compute.
    pub(crate) output: &'a mut [Lanes],
    pub(crate) output_stride: usize,
    /// Added after the clamp. Laid out like the output.
    pub(crate) residual: Option<&'a [Lanes]>,
}

impl Operation for PointwisePixels<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let tiles = self.pixels.div_ceil(S::TILE_PIXELS);
        let mut block = self.blocks.start;
        while block < self.blocks.end {
            let pair = S::TILE_BLOCKS == 2 && block + 1 < self.blocks.end;
            for tile in 0..tiles {
                // Tiles are as equal as possible: 49 pixels become 12 + 12 + 12 + 13, not 14 + 14 +
                // 14 + 7.
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

impl PointwisePixels<'_> {
    /// Computes a tile of `count` pixels.
    ///
    /// Each count is compiled separately. With a count unknown to the compiler, the sums would go
    /// to memory.
    #[inline(always)]
    fn tile<S: Simd, const B: usize>(&mut self, simd: S, block: usize, first: usize, count: usize) {
        macro_rules! tile {
            ($($pixels:literal)*) => {
                match count {
                    $($pixels if $pixels <= S::TILE_PIXELS => self.sums::<S, $pixels, B>(simd, block, first),)*
                    _ => unreachable!("a tile of {count} pixels"),
                }
            };
        }
        tile!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    /// Computes a tile of `P` pixels and `B` blocks.
    #[inline(always)]
    fn sums<S: Simd, const P: usize, const B: usize>(&mut self, simd: S, block: usize, first: usize) {
        let inputs = self.matrix.inputs;
        let mut sums = [[simd.splat(0.0); B]; P];
        let mut weights = [&self.matrix.weights[..0]; B];
        for b in 0..B {
            weights[b] = &self.matrix.weights[(block + b) * inputs..][..inputs];
            // The sums start at the bias, which saves an addition at the end.
            let bias = simd.load(&self.matrix.bias[block + b], 0);
            for p in 0..P {
                sums[p][b] = bias;
            }
        }
        let mut plane = first;
        let mut input = 0;
        while input + LANES <= inputs {
            let pixels = first_chunk::<P>(&self.input[plane..]);
            // With a length that the compiler knows, the lanes need no bounds checks.
            let mut chunk = [&[Lanes::ZERO; LANES]; B];
            for b in 0..B {
                chunk[b] = first_chunk(&weights[b][input..]);
            }
            for lane in 0..LANES {
                load_and_accumulate(simd, &mut sums, pixels, &chunk, lane);
            }
            plane += self.input_stride;
            input += LANES;
        }
        // The last input block may be partly filled. Its surplus channels are never read.
        if input < inputs {
            let pixels = first_chunk::<P>(&self.input[plane..]);
            let mut rest = [&[][..]; B];
            for b in 0..B {
                rest[b] = &weights[b][input..];
            }
            for lane in 0..(inputs - input).min(LANES) {
                let mut loaded = [simd.splat(0.0); B];
                for b in 0..B {
                    loaded[b] = simd.load(&rest[b][lane], 0);
                }
                accumulate(simd, &mut sums, pixels, loaded, lane);
            }
        }
        self.finish::<S, P, B>(simd, block, first, sums);
    }

    /// Clamps the sums, adds the residual, and stores the result.
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
                        let clamped = simd.clamp(low, high, sums[p][b]);
                        simd.store(&mut output[p], 0, simd.add(clamped, simd.load(&residual[p], 0)));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn load_and_accumulate<S: Simd, const P: usize, const B: usize>(
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

/// Returns the first `N` elements, with a length that the compiler knows.
#[inline(always)]
#[allow(
    clippy::panic,
    reason = "a slice that is too short is a bug in the plan, and panics like any index out of bounds"
)]
fn first_chunk<const N: usize>(lanes: &[Lanes]) -> &[Lanes; N] {
    match lanes.first_chunk() {
        Some(chunk) => chunk,
        None => panic!("{} lanes, but {N} are read", lanes.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lanes::blocks;
    use crate::layer::{Clamp, Pointwise, Size};
    use crate::reference::{Map, supported_isas, vectorize};

    /// Checks some pixels and blocks of a map against the reference. Everything else must stay
    /// untouched.
    fn assert_matches_reference(
        inputs: usize,
        outputs: usize,
        pixels: usize,
        before: usize,
        residual: bool,
        first_block: usize,
    ) {
        let size = Size { width: pixels + before, height: 1 };
        let clamp = if residual { Clamp::NONE } else { Clamp::RELU6 };
        let layer = Pointwise::random(inputs, outputs, clamp, 7);
        let (map, added) = (Map::random(inputs, size, 8), Map::random(outputs, size, 9));
        let mut expected = layer.reference(&map);
        if residual {
            expected.numbers.iter_mut().zip(&added.numbers).for_each(|(number, added)| *number += added);
        }
        let matrix = Matrix::pointwise(&layer, inputs).unwrap();
        let (map, added) = (map.lanes(), added.lanes());
        let first_block = first_block % matrix.blocks();
        let stride = size.pixels();
        for isa in supported_isas() {
            let untouched = Lanes([77.0; LANES]);
            let mut output = vec![untouched; blocks(outputs) * stride];
            vectorize(
                isa,
                PointwisePixels {
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
                    assert_eq!(*lanes, untouched, "{isa} wrote at {at}");
                    for lane in 0..LANES {
                        let channel = at / stride * LANES + lane;
                        if channel < outputs {
                            lanes.0[lane] = expected.numbers[channel * stride + at % stride];
                        }
                    }
                }
            }
            expected.assert_near(&output);
        }
    }

    #[test]
    fn every_tile_height_matches_the_reference() {
        for pixels in 1..=30 {
            assert_matches_reference(20, 35, pixels, 0, false, 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_shape_matches_the_reference(
            inputs in 1usize..70,
            outputs in 1usize..70,
            pixels in 1usize..60,
            before in 0usize..5,
            residual: bool,
            first_block in 0usize..5,
        ) {
            assert_matches_reference(inputs, outputs, pixels, before, residual, first_block);
        }
    }

    #[test]
    fn nan_passes_through_the_clamp() {
        let layer = Pointwise::random(16, 16, Clamp::RELU6, 1);
        let matrix = Matrix::pointwise(&layer, 16).unwrap();
        for isa in supported_isas() {
            let mut output = [Lanes::ZERO];
            let input = [Lanes([f32::NAN; LANES])];
            let pointwise = PointwisePixels {
                matrix: &matrix,
                blocks: 0..1,
                pixels: 1,
                input: &input,
                input_stride: 1,
                output: &mut output,
                output_stride: 1,
                residual: None,
            };
            vectorize(isa, pointwise);
            assert!(output[0].0.iter().all(|number| number.is_nan()), "{isa}: {output:?}");
        }
    }
}
