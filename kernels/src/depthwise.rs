//! The 3 × 3 convolution of each channel on its own.
//!
//! The weights of sixteen channels stay in nine registers while a window of three rows and three columns slides along a row.

use std::ops::Range;

use crate::lanes::Lanes;
use crate::layer::Size;
use crate::pack::{TAPS, Taps};
use crate::simd::{Operation, Simd};

/// A depthwise convolution that makes some rows of some blocks.
pub(crate) struct Depthwise<'a> {
    pub(crate) taps: &'a Taps,
    /// The blocks of channels that are wanted.
    pub(crate) blocks: Range<usize>,
    /// The rows of the output that are wanted.
    pub(crate) rows: Range<usize>,
    /// From the first block that is wanted: a plane for each, of `ring` rows.
    pub(crate) input: &'a [Lanes],
    pub(crate) input_stride: usize,
    pub(crate) input_size: Size,
    /// Rows that a plane has room for: row r of the map is the (r modulo `ring`)-th of the plane.
    pub(crate) ring: usize,
    /// As many zeros as the input is wide: the rows above and below.
    pub(crate) zeros: &'a [Lanes],
    /// From the first block that is wanted and the first row that is wanted: a plane for each.
    pub(crate) output: &'a mut [Lanes],
    pub(crate) output_stride: usize,
    pub(crate) output_width: usize,
}

impl Operation for Depthwise<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { taps, blocks, rows, input_size, ring, zeros, output, output_width, .. } = self;
        let (width, zeros) = (input_size.width, &zeros[..input_size.width]);
        for (plane, block) in blocks.enumerate() {
            let input = &self.input[plane * self.input_stride..];
            let channels = Channels::new(simd, taps, block);
            let output = &mut output[plane * self.output_stride..][..rows.len() * output_width];
            for (row, output) in rows.clone().zip(output.chunks_exact_mut(output_width)) {
                let mut seen = [zeros; 3];
                for (tap, seen) in seen.iter_mut().enumerate() {
                    let row = (row * taps.stride + tap).wrapping_sub(taps.top);
                    if row < input_size.height {
                        *seen = &input[row % ring * width..][..width];
                    }
                }
                channels.slide(simd, seen, taps, output);
            }
        }
    }
}

/// What is held in registers of sixteen channels.
struct Channels<S: Simd> {
    weights: [S::Vector; TAPS],
    bias: S::Vector,
    low: S::Vector,
    high: S::Vector,
}

impl<S: Simd> Channels<S> {
    #[inline(always)]
    fn new(simd: S, taps: &Taps, block: usize) -> Self {
        let mut weights = [simd.splat(0.0); TAPS];
        for tap in 0..TAPS {
            weights[tap] = simd.load(&taps.weights[block][tap]);
        }
        let (low, high) = (simd.splat(taps.clamp.low), simd.splat(taps.clamp.high));
        Self { weights, bias: simd.load(&taps.bias[block]), low, high }
    }

    /// One row of the output.
    #[inline(always)]
    fn slide(&self, simd: S, rows: [&[Lanes]; 3], taps: &Taps, output: &mut [Lanes]) {
        let column = |at: usize| column(simd, rows, at.wrapping_sub(taps.left));
        let mut left = column(0);
        if taps.stride == 1 {
            let mut middle = column(1);
            for (x, output) in output.iter_mut().enumerate() {
                let right = column(x + 2);
                simd.store(output, self.window(simd, [left, middle, right]));
                (left, middle) = (middle, right);
            }
        } else {
            for (x, output) in output.iter_mut().enumerate() {
                let (middle, right) = (column(2 * x + 1), column(2 * x + 2));
                simd.store(output, self.window(simd, [left, middle, right]));
                left = right;
            }
        }
    }

    #[inline(always)]
    fn window(&self, simd: S, columns: [[S::Vector; 3]; 3]) -> S::Vector {
        let mut sum = self.bias;
        for row in 0..3 {
            for column in 0..3 {
                sum = simd.mul_add(columns[column][row], self.weights[3 * row + column], sum);
            }
        }
        simd.clamp(self.low, self.high, sum)
    }
}

/// Three pixels, one above the other; zeros beside the map.
#[inline(always)]
fn column<S: Simd>(simd: S, rows: [&[Lanes]; 3], at: usize) -> [S::Vector; 3] {
    let mut column = [simd.splat(0.0); 3];
    for row in 0..3 {
        if let Some(pixel) = rows[row].get(at) {
            column[row] = simd.load(pixel);
        }
    }
    column
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lanes::{LANES, blocks};
    use crate::layer::{Filter, Padding};
    use crate::reference::{Map, paths, vectorize};

    /// The whole map; or some of its rows, from a ring that holds just what these need.
    fn assert_right(
        channels: usize,
        size: Size,
        stride: usize,
        padding: Padding,
        some: Option<(usize, usize)>,
    ) {
        let layer = Filter::made_up(channels, 1, stride, padding, 3);
        let Ok(made) = layer.size_of(size) else { return };
        let map = Map::made_up(channels, size, 4);
        let expected = layer.reference(&map);
        let taps = Taps::depthwise(&layer, channels).unwrap();
        let rows = some.map_or(0..made.height, |(first, count)| {
            let first = first % made.height;
            first..(first + count).min(made.height)
        });
        let (ring, input) = match some {
            None => (size.height, map.lanes()),
            Some(_) => ring_of(&map, &rows, stride, padding.top),
        };
        let zeros = vec![Lanes::ZERO; size.width];
        let stride = rows.len() * made.width;
        let wanted = Map {
            channels,
            size: Size { width: made.width, height: rows.len() },
            numbers: expected
                .numbers
                .chunks(made.pixels())
                .flat_map(|plane| &plane[rows.start * made.width..rows.end * made.width])
                .copied()
                .collect(),
        };
        for path in paths() {
            let mut output = vec![Lanes([77.0; LANES]); blocks(channels) * stride];
            vectorize(
                path,
                Depthwise {
                    taps: &taps,
                    blocks: 0..blocks(channels),
                    rows: rows.clone(),
                    input: &input,
                    input_stride: ring * size.width,
                    input_size: size,
                    ring,
                    zeros: &zeros,
                    output: &mut output,
                    output_stride: stride,
                    output_width: made.width,
                },
            );
            wanted.assert_is(&output);
        }
    }

    /// As many rows as these need, each where its number modulo their count has it; nothing else is a number.
    fn ring_of(map: &Map, rows: &Range<usize>, stride: usize, top: usize) -> (usize, Vec<Lanes>) {
        let ring = ((rows.len() - 1) * stride + 3).min(map.size.height);
        let Size { width, height } = map.size;
        let needed =
            (rows.start * stride).saturating_sub(top)..((rows.end - 1) * stride + 3 - top).min(height);
        let lanes = map.lanes();
        let mut held = vec![Lanes([f32::NAN; LANES]); blocks(map.channels) * ring * width];
        for (block, plane) in lanes.chunks(map.size.pixels()).enumerate() {
            for row in needed.clone() {
                let to = (block * ring + row % ring) * width;
                held[to..to + width].copy_from_slice(&plane[row * width..][..width]);
            }
        }
        (ring, held)
    }

    const PADDINGS: [Padding; 4] = [
        Padding::AROUND,
        Padding::BEHIND,
        Padding { top: 0, left: 0, bottom: 0, right: 0 },
        Padding { top: 1, left: 0, bottom: 0, right: 1 },
    ];

    #[test]
    fn a_map_of_one_pixel_is_right() {
        assert_right(17, Size { width: 1, height: 1 }, 1, Padding::AROUND, None);
        assert_right(17, Size { width: 1, height: 1 }, 2, Padding::AROUND, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_shape_is_the_plain_loop(
            channels in 1usize..50,
            width in 1usize..20,
            height in 1usize..20,
            stride in 1usize..=2,
            padding in prop::sample::select(&PADDINGS[..]),
            some in prop::option::of((0usize..20, 1usize..5)),
        ) {
            assert_right(channels, Size { width, height }, stride, padding, some);
        }
    }
}
