//! The 3 × 3 convolution of each channel on its own.
//!
//! The weights of sixteen channels (of as many as a register holds, where registers are few) stay in nine registers, while a window of
//! three rows and three columns goes along a row.

use std::ops::Range;

use crate::lanes::Lanes;
use crate::layer::Size;
use crate::pack::{TAPS, Taps};
use crate::simd::{Arithmetic, Operation, Simd};

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
            let output = &mut output[plane * self.output_stride..][..rows.len() * output_width];
            for part in 0..S::Narrow::PARTS {
                let channels = Channels::new(simd.narrow(), taps, block, part);
                for (row, output) in rows.clone().zip(output.chunks_exact_mut(output_width)) {
                    let mut seen = [zeros; 3];
                    for (tap, seen) in seen.iter_mut().enumerate() {
                        let row = (row * taps.stride + tap).wrapping_sub(taps.top);
                        if row < input_size.height {
                            *seen = &input[row % ring * width..][..width];
                        }
                    }
                    channels.row::<S>(seen, taps, output);
                }
            }
        }
    }
}

/// A part of sixteen channels: what is held of it in registers.
struct Channels<A: Arithmetic> {
    simd: A,
    part: usize,
    weights: [A::Vector; TAPS],
    bias: A::Vector,
    low: A::Vector,
    high: A::Vector,
}

/// Three pixels, one above the other.
type Column<A> = [<A as Arithmetic>::Vector; 3];

impl<A: Arithmetic> Channels<A> {
    #[inline(always)]
    fn new(simd: A, taps: &Taps, block: usize, part: usize) -> Self {
        let mut weights = [simd.splat(0.0); TAPS];
        for tap in 0..TAPS {
            weights[tap] = simd.load(&taps.weights[block][tap], part);
        }
        let (low, high) = (simd.splat(taps.clamp.low), simd.splat(taps.clamp.high));
        Self { simd, part, weights, bias: simd.load(&taps.bias[block], part), low, high }
    }

    /// One row of the output.
    #[inline(always)]
    fn row<S: Simd>(&self, rows: [&[Lanes]; 3], taps: &Taps, output: &mut [Lanes]) {
        let inside = inside(rows[0].len(), taps, output.len());
        for x in (0..inside.start).chain(inside.end..output.len()) {
            let first = (x * taps.stride).wrapping_sub(taps.left);
            let (second, third) = (first.wrapping_add(1), first.wrapping_add(2));
            let columns = [self.beside(rows, first), self.beside(rows, second), self.beside(rows, third)];
            self.store(&mut output[x], self.window(columns));
        }
        if inside.is_empty() {
            return;
        }
        let first = inside.start * taps.stride - taps.left;
        let rows = rows.map(|row| &row[first..]);
        let output = &mut output[inside];
        match (S::MANY, taps.stride) {
            (true, 1) => self.slide(rows, output),
            (true, _) => self.slide_by_two(rows, output),
            (false, 1) => self.step::<1>(rows, output),
            (false, _) => self.step::<2>(rows, output),
        }
    }

    /// A window that moves by one pixel keeps two of its columns.
    #[inline(always)]
    fn slide(&self, rows: [&[Lanes]; 3], output: &mut [Lanes]) {
        let [above, middle, below] = rows.map(|row| &row[2..][..output.len()]);
        let (mut left, mut centre) = (self.column(rows, 0), self.column(rows, 1));
        for (((output, above), middle), below) in output.iter_mut().zip(above).zip(middle).zip(below) {
            let right = [self.load(above), self.load(middle), self.load(below)];
            self.store(output, self.window([left, centre, right]));
            (left, centre) = (centre, right);
        }
    }

    /// A window that moves by two pixels keeps one of its columns.
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

    /// A window whose pixels all come from memory.
    #[inline(always)]
    fn step<const STRIDE: usize>(&self, rows: [&[Lanes]; 3], output: &mut [Lanes]) {
        let end = (output.len() - 1) * STRIDE + 3;
        let [above, middle, below] = rows.map(|row| row[..end].windows(3).step_by(STRIDE));
        for (((output, above), middle), below) in output.iter_mut().zip(above).zip(middle).zip(below) {
            let pixels = [above, middle, below];
            let columns = [self.column(pixels, 0), self.column(pixels, 1), self.column(pixels, 2)];
            self.store(output, self.window(columns));
        }
    }

    #[inline(always)]
    fn window(&self, columns: [Column<A>; 3]) -> A::Vector {
        let simd = self.simd;
        // A sum for each row, so that none waits for nine others.
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

    /// A column that may be beside the map, where there are zeros.
    #[inline(always)]
    fn beside(&self, rows: [&[Lanes]; 3], at: usize) -> Column<A> {
        if at < rows[0].len() { self.column(rows, at) } else { [self.simd.splat(0.0); 3] }
    }

    #[inline(always)]
    fn load(&self, pixel: &Lanes) -> A::Vector {
        self.simd.load(pixel, self.part)
    }

    #[inline(always)]
    fn store(&self, pixel: &mut Lanes, vector: A::Vector) {
        self.simd.store(pixel, self.part, vector);
    }
}

/// The outputs of a row whose window is inside the map.
#[inline(always)]
fn inside(width: usize, taps: &Taps, outputs: usize) -> Range<usize> {
    // Zeros on the left are one pixel at most, so only the first output can see them.
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
