//! The 3 × 3 convolution of each channel separately.
//!
//! Nine weights stay in registers while a window of three rows and three columns slides along a
//! row. Where registers are few, the kernel processes one register of channels at a time instead of
//! sixteen channels.

use std::ops::Range;

use crate::kernel::pack::{TAPS, Taps};
use crate::lanes::Lanes;
use crate::layer::Size;
use crate::simd::{Arithmetic, Operation, Simd};

/// A depthwise convolution of some rows and channel blocks.
pub(crate) struct Depthwise<'a> {
    pub(crate) taps: &'a Taps,
    /// The channel blocks to compute.
    pub(crate) blocks: Range<usize>,
    /// The output rows to compute.
    pub(crate) rows: Range<usize>,
    /// One plane of `ring` rows per block, starting with the first block to compute.
    pub(crate) input: &'a [Lanes],
    pub(crate) input_stride: usize,
    pub(crate) input_size: Size,
    /// Rows per input plane. Row r of the map is row r modulo `ring` of the plane.
    pub(crate) ring: usize,
    /// At least one row of zeros. It stands in for the rows above and below the map.
    pub(crate) zeros: &'a [Lanes],
    /// One plane per block, starting with the first block and the first row to compute.
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
            let output = &mut output[plane * self.output_stride..][..rows.len() * output_width];
            for register in 0..S::Narrow::REGISTERS {
                let channels = Channels::new(simd.narrow(), taps, block, register);
                for (row, output) in rows.clone().zip(output.chunks_exact_mut(output_width)) {
                    let mut window = [zeros; 3];
                    for (tap, input_row) in window.iter_mut().enumerate() {
                        // Rows above the map wrap around to huge numbers, so one comparison covers
                        // both ends.
                        let row = (row * taps.stride + tap).wrapping_sub(taps.top);
                        if row < input_size.height {
                            *input_row = &input[row % ring * width..][..width];
                        }
                    }
                    channels.row::<S>(window, taps, output);
                }
            }
        }
    }
}

/// The weights of one register of channels, held in registers.
struct Channels<A: Arithmetic> {
    simd: A,
    register: usize,
    weights: [A::Vector; TAPS],
    bias: A::Vector,
    low: A::Vector,
    high: A::Vector,
}

/// Three vertically adjacent pixels.
type Column<A> = [<A as Arithmetic>::Vector; 3];

impl<A: Arithmetic> Channels<A> {
    #[inline(always)]
    fn new(simd: A, taps: &Taps, block: usize, register: usize) -> Self {
        let mut weights = [simd.splat(0.0); TAPS];
        for tap in 0..TAPS {
            weights[tap] = simd.load(&taps.weights[block][tap], register);
        }
        let (low, high) = (simd.splat(taps.clamp.low), simd.splat(taps.clamp.high));
        Self { simd, register, weights, bias: simd.load(&taps.bias[block], register), low, high }
    }

    /// Computes one output row. `rows` are the three input rows that it reads.
    #[inline(always)]
    fn row<S: Simd>(&self, rows: [&[Lanes]; 3], taps: &Taps, output: &mut [Lanes]) {
        let inside = inside(rows[0].len(), taps, output.len());
        // Outputs at the edges check each column. All others skip the check.
        for x in (0..inside.start).chain(inside.end..output.len()) {
            let first = (x * taps.stride).wrapping_sub(taps.left);
            let (second, third) = (first.wrapping_add(1), first.wrapping_add(2));
            let columns = [
                self.column_or_zeros(rows, first),
                self.column_or_zeros(rows, second),
                self.column_or_zeros(rows, third),
            ];
            self.store(&mut output[x], self.window(columns));
        }
        if inside.is_empty() {
            return;
        }
        let first = inside.start * taps.stride - taps.left;
        let rows = rows.map(|row| &row[first..]);
        let output = &mut output[inside];
        // Where registers are few, columns that stay in registers would displace the weights.
        match (S::SLIDING_WINDOW, taps.stride) {
            (true, 1) => self.slide(rows, output),
            (true, _) => self.slide_by_two(rows, output),
            (false, 1) => self.reload::<1>(rows, output),
            (false, _) => self.reload::<2>(rows, output),
        }
    }

    /// Slides the window by one pixel at a time. Two of its columns stay in registers.
    #[inline(always)]
    fn slide(&self, rows: [&[Lanes]; 3], output: &mut [Lanes]) {
        // The first two columns are loaded before the loop.
        let [above, middle, below] = rows.map(|row| &row[2..][..output.len()]);
        let (mut left, mut centre) = (self.column(rows, 0), self.column(rows, 1));
        for (((output, above), middle), below) in output.iter_mut().zip(above).zip(middle).zip(below) {
            let right = [self.load(above), self.load(middle), self.load(below)];
            self.store(output, self.window([left, centre, right]));
            (left, centre) = (centre, right);
        }
    }

    /// Slides the window by two pixels at a time. One of its columns stays in registers.
    #[inline(always)]
    fn slide_by_two(&self, rows: [&[Lanes]; 3], output: &mut [Lanes]) {
        let [above, middle, below] = rows.map(|row| row[1..].chunks_exact(2));
        let mut left = self.column(rows, 0);
        for (((output, above), middle), below) in output.iter_mut().zip(above).zip(middle).zip(below) {
            let pixels = [above, middle, below];
            let (centre, right) = (self.column(pixels, 0), self.column(pixels, 1));
            self.store(output, self.window([left, centre, right]));
            left = right;
        }
    }

    /// Loads all nine pixels of every window from memory.
    #[inline(always)]
    fn reload<const STRIDE: usize>(&self, rows: [&[Lanes]; 3], output: &mut [Lanes]) {
        let end = (output.len() - 1) * STRIDE + 3;
        let [above, middle, below] = rows.map(|row| row[..end].windows(3).step_by(STRIDE));
        for (((output, above), middle), below) in output.iter_mut().zip(above).zip(middle).zip(below) {
            let pixels = [above, middle, below];
            let columns = [self.column(pixels, 0), self.column(pixels, 1), self.column(pixels, 2)];
            self.store(output, self.window(columns));
        }
    }

    /// Computes one output pixel.
    #[inline(always)]
    fn window(&self, columns: [Column<A>; 3]) -> A::Vector {
        let simd = self.simd;
        // One sum per row: a single sum would be a chain of nine dependent multiply-adds.
        let mut sums = [self.bias, simd.splat(0.0), simd.splat(0.0)];
        for column in 0..3 {
            for row in 0..3 {
                sums[row] = simd.mul_add(columns[column][row], self.weights[3 * row + column], sums[row]);
            }
        }
        simd.clamp(self.low, self.high, simd.add(sums[0], simd.add(sums[1], sums[2])))
    }

    #[inline(always)]
    fn column(&self, rows: [&[Lanes]; 3], at: usize) -> Column<A> {
        [self.load(&rows[0][at]), self.load(&rows[1][at]), self.load(&rows[2][at])]
    }

    /// Loads a column, or zeros outside the map.
    #[inline(always)]
    fn column_or_zeros(&self, rows: [&[Lanes]; 3], at: usize) -> Column<A> {
        if at < rows[0].len() { self.column(rows, at) } else { [self.simd.splat(0.0); 3] }
    }

    #[inline(always)]
    fn load(&self, pixel: &Lanes) -> A::Vector {
        self.simd.load(pixel, self.register)
    }

    #[inline(always)]
    fn store(&self, pixel: &mut Lanes, vector: A::Vector) {
        self.simd.store(pixel, self.register, vector);
    }
}

/// Returns the outputs of a row whose window is entirely inside the map.
#[inline(always)]
fn inside(width: usize, taps: &Taps, outputs: usize) -> Range<usize> {
    // At most one column of padding is on the left, so only the first output can see it.
    let start = taps.left.min(outputs);
    let end = (width + taps.left).checked_sub(3).map_or(0, |last| last / taps.stride + 1);
    start..end.clamp(start, outputs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lanes::{LANES, blocks};
    use crate::layer::{Filter, Padding};
    use crate::reference::{Map, supported_isas, vectorize};

    /// Checks the whole map against the reference, or some rows from a ring with only their input
    /// rows.
    fn assert_matches_reference(
        channels: usize,
        size: Size,
        stride: usize,
        padding: Padding,
        part: Option<(usize, usize)>,
    ) {
        let layer = Filter::random(channels, 1, stride, padding, 3);
        let Ok(output_size) = layer.output_size(size) else { return };
        let map = Map::random(channels, size, 4);
        let whole = layer.reference(&map);
        let taps = Taps::depthwise(&layer, channels).unwrap();
        let rows = part.map_or(0..output_size.height, |(first, count)| {
            let first = first % output_size.height;
            first..(first + count).min(output_size.height)
        });
        let (ring, input) = match part {
            None => (size.height, map.lanes()),
            Some(_) => ring_of(&map, &rows, stride, padding.top),
        };
        let zeros = vec![Lanes::ZERO; size.width];
        let stride = rows.len() * output_size.width;
        let expected = Map {
            channels,
            size: Size { width: output_size.width, height: rows.len() },
            numbers: whole
                .numbers
                .chunks(output_size.pixels())
                .flat_map(|plane| &plane[rows.start * output_size.width..rows.end * output_size.width])
                .copied()
                .collect(),
        };
        for isa in supported_isas() {
            let mut output = vec![Lanes([77.0; LANES]); blocks(channels) * stride];
            vectorize(
                isa,
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
                    output_width: output_size.width,
                },
            );
            expected.assert_near(&output);
        }
    }

    /// Builds a ring with the input rows of `rows`. Everything else in it is NaN.
    fn ring_of(map: &Map, rows: &Range<usize>, stride: usize, top: usize) -> (usize, Vec<Lanes>) {
        let ring = ((rows.len() - 1) * stride + 3).min(map.size.height);
        let Size { width, height } = map.size;
        let needed =
            (rows.start * stride).saturating_sub(top)..((rows.end - 1) * stride + 3 - top).min(height);
        let lanes = map.lanes();
        let mut ring_lanes = vec![Lanes([f32::NAN; LANES]); blocks(map.channels) * ring * width];
        for (block, plane) in lanes.chunks(map.size.pixels()).enumerate() {
            for row in needed.clone() {
                let to = (block * ring + row % ring) * width;
                ring_lanes[to..to + width].copy_from_slice(&plane[row * width..][..width]);
            }
        }
        (ring, ring_lanes)
    }

    const PADDINGS: [Padding; 4] = [
        Padding::ALL_SIDES,
        Padding::BOTTOM_RIGHT,
        Padding { top: 0, left: 0, bottom: 0, right: 0 },
        Padding { top: 1, left: 0, bottom: 0, right: 1 },
    ];

    #[test]
    fn a_map_of_one_pixel_matches_the_reference() {
        assert_matches_reference(17, Size { width: 1, height: 1 }, 1, Padding::ALL_SIDES, None);
        assert_matches_reference(17, Size { width: 1, height: 1 }, 2, Padding::ALL_SIDES, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_shape_matches_the_reference(
            channels in 1usize..50,
            width in 1usize..20,
            height in 1usize..20,
            stride in 1usize..=2,
            padding in prop::sample::select(&PADDINGS[..]),
            part in prop::option::of((0usize..20, 1usize..5)),
        ) {
            assert_matches_reference(channels, Size { width, height }, stride, padding, part);
        }
    }
}
