//! The products of a block's rows: the diagonal and the lower triangle of `rowsᵀ rows`.
//!
//! A PCA spends most of its time here, with n·d²/2 multiply-adds for n rows of d numbers. A general
//! matrix product copies its operands into sequential order first. Here, rows are centred directly
//! into *panels*, and both operands are read from those.
//!
//! A panel holds 24 columns. For one row after the other, it stores their 24 numbers, which fill
//! three cache lines. The product of two panels is computed in *tiles*, whose sums stay in
//! registers from the first row to the last.
//!
//! * With AVX-512, a tile is 8 rows of the result by three vectors of 8 columns. Each input row
//!   yields three vectors from one panel and 8 single numbers from the other, so 11 loads feed 24
//!   fused multiply-adds. The vectors come from the L2 cache: 192 bytes in the 12 cycles of the
//!   multiply-adds. Narrower tiles would have to wait for them.
//! * AVX2 has half the registers, each of half the width. A tile is 6 rows by two vectors of 4
//!   columns.
//! * On Arm, a tile is 6 rows by four vectors of 2 columns.
//!
//! One thread sums up each number of the result, in the order of the rows. So the number of threads
//! does not change a bit.

use pulp::bytemuck::cast_slice;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Columns per panel.
pub(crate) const WIDTH: usize = 24;
/// Panels per pass over a strip. At 256 rows they take 300 kB, and stay in the L2 cache during the
/// pass.
const PASS: usize = 6;
/// Panels per strip. Their columns are the rows of the result that one thread computes. Dimension
/// 1280 makes eight strips.
const STRIP: usize = 7;

/// The numbers of one row in the columns of a panel.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Columns(pub(crate) [f64; WIDTH]);

/// Rows, split into panels of columns.
///
/// The kernel also multiplies the padding of the last panel, but drops those sums.
pub(crate) struct Panels {
    columns: Vec<Columns>,
    rows: usize,
    dimension: usize,
}

impl Panels {
    /// Creates panels without rows yet.
    pub(crate) fn new(dimension: usize) -> Self {
        Self { columns: Vec::new(), rows: 0, dimension }
    }

    /// Makes room for `rows` rows, and returns the panels to fill, in column order.
    pub(crate) fn refill(&mut self, rows: usize) -> impl IndexedParallelIterator<Item = &mut [Columns]> {
        self.rows = rows;
        let stride = self.stride();
        self.columns.resize(self.dimension.div_ceil(WIDTH) * stride, Columns([0.0; WIDTH]));
        self.columns.par_chunks_mut(stride).map(move |panel| &mut panel[..rows])
    }

    /// Returns the distance between panels, in rows.
    ///
    /// It is odd, so that the same row of all panels spreads over all sets of a cache.
    fn stride(&self) -> usize {
        self.rows | 1
    }

    fn panel(&self, number: usize) -> &[Columns] {
        &self.columns[number * self.stride()..][..self.rows]
    }

    /// Computes `result += rowsᵀ rows`, on and below the diagonal only. `result` has d × d numbers,
    /// row by row.
    pub(crate) fn add_products(&self, result: &mut [f64]) {
        let arch = Arch::new();
        self.strips(result).par_bridge().for_each(|strip| arch.dispatch(strip));
    }

    fn strips<'a>(&'a self, result: &'a mut [f64]) -> impl Iterator<Item = Strip<'a>> + Send {
        // The last strips have the longest rows. They start first, so that all threads finish at
        // about the same time.
        let strips = result.chunks_mut(STRIP * WIDTH * self.dimension).enumerate().rev();
        strips.map(|(strip, result)| Strip { panels: self, first: strip * STRIP * WIDTH, result })
    }
}

/// The rows of the result that one thread computes.
struct Strip<'a> {
    panels: &'a Panels,
    /// The number of the first row.
    first: usize,
    result: &'a mut [f64],
}

impl WithSimd for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as registers, minus those for the operands. A single sum too many halves the
        // speed.
        match S::F64_LANES {
            8 => self.add::<S, 8, 3>(simd),
            4 => self.add::<S, 6, 2>(simd),
            2 => self.add::<S, 6, 4>(simd),
            // Older than AVX2. The compiler combines these into pairs, and more rows were not
            // faster.
            _ => self.add::<S, 2, 4>(simd),
        }
    }
}

impl Strip<'_> {
    /// Adds all tiles, each of `ROWS` rows by `VECTORS` vectors.
    #[inline(always)]
    fn add<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let Self { panels, first, result } = self;
        let (dimension, wide) = (panels.dimension, VECTORS * S::F64_LANES);
        assert!(WIDTH.is_multiple_of(ROWS) && WIDTH.is_multiple_of(wide), "tiles must fill panels");
        let end = first + result.len() / dimension;
        for pass in (0..end).step_by(PASS * WIDTH) {
            for (row, result) in (first..).step_by(ROWS).zip(result.chunks_mut(ROWS * dimension)) {
                let (rows, group) = (panels.panel(row / WIDTH), row % WIDTH / ROWS);
                for column in (pass..(pass + PASS * WIDTH).min(row + ROWS).min(end)).step_by(wide) {
                    let (columns, part) = (panels.panel(column / WIDTH), column % WIDTH / wide);
                    let sums = tile::<S, ROWS, VECTORS>(simd, rows, group, columns, part);
                    for ((diagonal, result), sums) in (row..).zip(result.chunks_mut(dimension)).zip(&sums) {
                        // A tile on the diagonal drops the sums above it.
                        let result = &mut result[column..(column + wide).min(diagonal + 1).max(column)];
                        let added = result.iter_mut().zip(cast_slice::<_, f64>(sums));
                        added.for_each(|(result, sum)| *result += sum);
                    }
                }
            }
        }
    }
}

/// Multiplies a `group` of `ROWS` columns of one panel with a `part` of `VECTORS` vectors of
/// another.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    rows: &[Columns],
    group: usize,
    columns: &[Columns],
    part: usize,
) -> [[S::f64s; VECTORS]; ROWS] {
    let mut tile = [[simd.splat_f64s(0.0); VECTORS]; ROWS];
    for (rows, columns) in rows.iter().zip(columns) {
        let numbers = &rows.0.as_chunks::<ROWS>().0[group];
        let vectors = &S::as_simd_f64s(&columns.0).0.as_chunks::<VECTORS>().0[part];
        for (sums, &number) in tile.iter_mut().zip(numbers) {
            let number = simd.splat_f64s(number);
            for (sum, &vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.mul_add_e_f64s(number, vector, *sum);
            }
        }
    }
    tile
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a whole number, so that products and sums are exact in any order.
    fn number(row: usize, column: usize) -> f64 {
        ((row * 31 + column * 17) % 41) as f64 - 20.0
    }

    fn panels(rows: usize, dimension: usize, number: fn(usize, usize) -> f64) -> Panels {
        let mut panels = Panels::new(dimension);
        // Numbers of an earlier block must not leave a trace.
        panels.refill(rows + 1).for_each(|panel| panel.fill(Columns([7.0; WIDTH])));
        panels.refill(rows).enumerate().for_each(|(panel, columns)| {
            let width = WIDTH.min(dimension - panel * WIDTH);
            for (row, columns) in columns.iter_mut().enumerate() {
                let numbers = columns.0.iter_mut().take(width).enumerate();
                numbers.for_each(|(column, to)| *to = number(row, panel * WIDTH + column));
            }
        });
        panels
    }

    /// Returns 1 plus the products by definition, or just 1 above the diagonal.
    fn by_definition(rows: usize, dimension: usize) -> Vec<f64> {
        let product = |i: usize, j: usize| (0..rows).map(|row| number(row, i) * number(row, j)).sum::<f64>();
        let places = (0..dimension).flat_map(|i| (0..dimension).map(move |j| (i, j)));
        places.map(|(i, j)| 1.0 + if j <= i { product(i, j) } else { 0.0 }).collect()
    }

    fn check(which: &str, add: impl Fn(&Panels, &mut [f64])) {
        let strip = STRIP * WIDTH;
        for dimension in
            [1, 5, WIDTH - 1, WIDTH, WIDTH + 1, PASS * WIDTH + 1, strip, strip + 1, 2 * strip + 7]
        {
            for rows in [1, 2, 7, 64] {
                let mut result = vec![1.0; dimension * dimension];
                add(&panels(rows, dimension, number), &mut result);
                assert_eq!(result, by_definition(rows, dimension), "{which}: {rows} rows of {dimension}");
            }
        }
    }

    fn add_with<S: Simd>(simd: S) -> impl Fn(&Panels, &mut [f64]) {
        move |panels, result| panels.strips(result).for_each(|strip| Simd::vectorize(simd, strip))
    }

    #[test]
    fn products_match_the_definition() {
        check("detected", Panels::add_products);
    }

    /// Includes the tile shapes that this processor would not choose.
    #[test]
    fn tiles_of_every_shape_match_the_definition() {
        check("1 lane", add_with(pulp::Scalar));
        check("2 lanes", add_with(pulp::Scalar128b));
        check("4 lanes", add_with(pulp::Scalar256b));
        check("8 lanes", add_with(pulp::Scalar512b));
        #[cfg(target_arch = "x86_64")]
        {
            pulp::x86::V3::try_new().into_iter().for_each(|simd| check("AVX2", add_with(simd)));
            pulp::x86::V4::try_new().into_iter().for_each(|simd| check("AVX-512", add_with(simd)));
        }
    }

    /// Both use fused multiply-adds, and sum up in the same order.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx512_and_avx2_give_the_same_bits() {
        let (Some(avx2), Some(avx512)) = (pulp::x86::V3::try_new(), pulp::x86::V4::try_new()) else { return };
        let panels = panels(256, 200, |row, column| (number(row, column) / 3.0).sin());
        let (mut one, mut other) = (vec![0.0; 200 * 200], vec![0.0; 200 * 200]);
        add_with(avx2)(&panels, &mut one);
        add_with(avx512)(&panels, &mut other);
        assert_eq!(one, other);
    }
}
