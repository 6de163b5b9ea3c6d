//! Moments: count, mean and scatter of rows.
//!
//! A PCA needs nothing else about the rows. One pass computes them, in memory that does not grow
//! with the number of rows.
//!
//! Moments of disjoint rows merge into those of their union, and can be subtracted again (Chan,
//! Golub and LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing Sample Variances*,
//! 1979). So any split of the work gives the same fit. All numbers are f64, and every row is
//! centred before it is multiplied, so a mean far from zero costs no precision. No sum depends on
//! the number of threads.

mod format;

use pulp::Arch;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::products::{Panels, WIDTH};
use crate::rows::{centre, check_finite, check_whole_rows};

/// Rows per block. With the row that the merge adds, a block has 256 rows, or 2.7 MB at dimension
/// 1280.
///
/// With fewer rows, the scatter would be loaded and stored more often. With more, fewer panels
/// would fit into the L2 cache.
pub(crate) const BLOCK_ROWS: usize = 255;
/// The relative error that rounding may cause in a subtraction. A larger one means that the rows
/// were never added.
const CANCELLATION: f64 = 1e-9;

/// Count, mean and scatter of rows of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// `dimension × dimension` numbers, row by row. Those above the diagonal stay 0.
    scatter: Vec<f64>,
}

impl Moments {
    /// Creates the moments of no rows.
    #[must_use]
    pub fn empty(dimension: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dimension], scatter: vec![0.0; dimension * dimension] }
    }

    /// Returns the length of a row.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the mean row, or zeros without rows.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Returns the sum of (x − mean)(x − mean)ᵀ over all rows x.
    ///
    /// It has `dimension × dimension` numbers, row by row. Only the lower triangle and the diagonal
    /// are filled in.
    #[must_use]
    pub fn scatter(&self) -> &[f64] {
        &self.scatter
    }

    /// Returns the sum of the squared distances of all rows from their mean.
    #[must_use]
    pub fn trace(&self) -> f64 {
        self.scatter.iter().step_by(self.dimension() + 1).sum()
    }

    /// Adds `n × dimension` numbers, row by row. One call with many rows is much faster than many
    /// calls.
    ///
    /// # Errors
    /// [`Error::Arguments`] if these are not whole rows of finite numbers. Then no row is added.
    pub fn add_rows(&mut self, rows: &[f32]) -> Result<()> {
        check_whole_rows(rows, self.dimension())?;
        check_finite(rows)?;
        // One scope for all blocks, so that the caller enters the thread pool once instead of twice
        // per block.
        rayon::scope(|_| {
            let mut panels = Panels::new(self.dimension());
            for rows in rows.chunks(BLOCK_ROWS * self.dimension()) {
                self.add_block(rows, &mut panels);
            }
        });
        Ok(())
    }

    /// Centres a block on its own mean and merges it. One extra row of the product is the rank-one
    /// term of the merge.
    fn add_block(&mut self, rows: &[f32], panels: &mut Panels) {
        let dimension = self.dimension();
        let count = rows.len() / dimension;
        let total = self.count + count as u64;
        let share = count as f64 / total as f64;
        let weight = (self.count as f64 * share).sqrt();
        let arch = Arch::new();
        let panels_and_means = panels.refill(count + 1).zip(self.mean.par_chunks_mut(WIDTH));
        panels_and_means.enumerate().for_each(|(panel, (panel_rows, own))| {
            let (first, width) = (panel * WIDTH, own.len());
            let columns = rows.chunks_exact(dimension).map(|row| &row[first..first + width]);
            let (centred, merge_row) = panel_rows.split_at_mut(count);
            let mean = arch.dispatch(
                #[inline(always)]
                || centre(columns, centred),
            );
            for ((merge_term, own), of_block) in merge_row[0].0.iter_mut().zip(own).zip(&mean) {
                let distance = of_block - *own;
                *merge_term = weight * distance;
                *own += share * distance;
            }
        });
        self.count = total;
        panels.add_products(&mut self.scatter);
    }

    /// Adds all rows of `other`. The two sets of rows must be disjoint.
    ///
    /// # Errors
    /// [`Error::Arguments`] if the rows of `other` have another length.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.check_same_dimension(other)?;
        if other.count == 0 {
            return Ok(());
        }
        let total = self.count + other.count;
        let share = other.count as f64 / total as f64;
        let weight = self.count as f64 * share;
        let distance: Vec<f64> =
            other.mean.iter().zip(&self.mean).map(|(of_other, own)| of_other - own).collect();
        self.mean.iter_mut().zip(&distance).for_each(|(own, distance)| *own += share * distance);
        self.count = total;
        self.combine_scatter(other, |own, of_other, row, column| {
            own + of_other + weight * distance[row] * distance[column]
        });
        Ok(())
    }

    /// Removes all rows of `other`, which must be a subset of these.
    ///
    /// The result loses precision in proportion to how much smaller it is than the original.
    ///
    /// # Errors
    /// [`Error::Arguments`] if the rows of `other` have another length, or can't be a subset. Then
    /// nothing changes.
    pub fn subtract(&mut self, other: &Self) -> Result<()> {
        self.check_same_dimension(other)?;
        let Some(remaining) = self.count.checked_sub(other.count) else {
            return Err(Error::Arguments(format!("can't subtract {} rows from {}", other.count, self.count)));
        };
        if remaining == 0 {
            *self = Self::empty(self.dimension());
            return Ok(());
        }
        let ratio = other.count as f64 / remaining as f64;
        let weight = other.count as f64 * (self.count as f64 / remaining as f64);
        let distance: Vec<f64> =
            other.mean.iter().zip(&self.mean).map(|(of_other, own)| of_other - own).collect();
        let remainder = |own: f64, of_other: f64, row: usize, column: usize| {
            own - of_other - weight * distance[row] * distance[column]
        };
        let rounding = self.rounding();
        // Checks the whole diagonal first, so that a failure leaves everything as it was.
        let mut diagonal = self.scatter.iter().zip(&other.scatter).step_by(self.dimension() + 1).enumerate();
        if diagonal.any(|(row, (&own, &of_other))| remainder(own, of_other, row, row) < -rounding) {
            return Err(Error::Arguments("can't subtract rows that were never added".to_owned()));
        }
        self.combine_scatter(other, |own, of_other, row, column| {
            let left = remainder(own, of_other, row, column);
            if row == column { left.max(0.0) } else { left }
        });
        self.mean.iter_mut().zip(&distance).for_each(|(own, distance)| *own -= ratio * distance);
        self.count = remaining;
        Ok(())
    }

    /// Returns how far below zero rounding alone may push a number of the diagonal.
    ///
    /// Earlier subtractions may have left errors in proportion to the former scatter. So the limit
    /// depends on the whole trace, not on the column alone. If nothing scatters, it depends on the
    /// mean.
    fn rounding(&self) -> f64 {
        let of_mean: f64 = self.mean.iter().map(|number| number * number).sum();
        CANCELLATION * (self.trace() + CANCELLATION * self.count as f64 * of_mean)
    }

    /// Replaces each number of the lower triangle by `combine(own, other's, row, column)`.
    fn combine_scatter(&mut self, other: &Self, combine: impl Fn(f64, f64, usize, usize) -> f64) {
        let dimension = self.dimension();
        let rows = self.scatter.chunks_mut(dimension).zip(other.scatter.chunks(dimension));
        for (row, (own, of_other)) in rows.enumerate() {
            for (column, (own, of_other)) in own.iter_mut().zip(of_other).take(row + 1).enumerate() {
                *own = combine(*own, *of_other, row, column);
            }
        }
    }

    fn check_same_dimension(&self, other: &Self) -> Result<()> {
        if self.dimension() == other.dimension() {
            return Ok(());
        }
        let (own, of_other) = (self.dimension(), other.dimension());
        Err(Error::Arguments(format!(
            "moments of rows of {own} numbers don't match moments of rows of {of_other}"
        )))
    }
}

#[cfg(test)]
impl Moments {
    pub(crate) fn of_rows(rows: &[f32], dimension: usize) -> Self {
        let mut moments = Self::empty(dimension);
        moments.add_rows(rows).unwrap();
        moments
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{part, random_numbers, rows_in_parts};

    /// Computes the moments by definition, in two passes.
    fn by_definition(rows: &[f32], dimension: usize) -> Moments {
        let mut moments = Moments::empty(dimension);
        moments.count = (rows.len() / dimension) as u64;
        for column in 0..dimension {
            let column = rows.iter().skip(column).step_by(dimension);
            moments.mean.push(column.map(|&number| f64::from(number)).sum::<f64>() / moments.count as f64);
        }
        moments.mean.drain(..dimension);
        for row in rows.chunks(dimension) {
            for i in 0..dimension {
                for j in 0..=i {
                    let product =
                        (f64::from(row[i]) - moments.mean[i]) * (f64::from(row[j]) - moments.mean[j]);
                    moments.scatter[i * dimension + j] += product;
                }
            }
        }
        moments
    }

    /// Asserts equality up to `tolerance`, relative to `scale` for the mean and to its square for
    /// the scatter.
    fn assert_near(found: &Moments, expected: &Moments, scale: f64, tolerance: f64) {
        assert_eq!(found.count, expected.count);
        assert_eq!(found.dimension(), expected.dimension());
        for (found, expected) in found.mean.iter().zip(&expected.mean) {
            assert!((found - expected).abs() <= tolerance * scale, "mean {found}, expected {expected}");
        }
        let of_scatter = tolerance * scale * scale * found.count.max(1) as f64;
        for (found, expected) in found.scatter.iter().zip(&expected.scatter) {
            assert!((found - expected).abs() <= of_scatter, "scatter {found}, expected {expected}");
        }
    }

    #[test]
    fn a_mean_far_from_zero_costs_no_precision() {
        let rows = random_numbers(3 * 2000, 10_000.0);
        assert_near(&Moments::of_rows(&rows, 3), &by_definition(&rows, 3), 1.0, 1e-11);
    }

    #[test]
    fn rows_need_not_fill_blocks_or_panels() {
        for count in [1, 2, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS, 2 * BLOCK_ROWS + 1] {
            let rows = random_numbers(3 * count, 0.5);
            assert_near(&Moments::of_rows(&rows, 3), &by_definition(&rows, 3), 1.0, 1e-12);
        }
        for dimension in [1, WIDTH - 1, WIDTH, WIDTH + 1, 20 * WIDTH + 1] {
            let rows = random_numbers(7 * dimension, 0.5);
            assert_near(&Moments::of_rows(&rows, dimension), &by_definition(&rows, dimension), 1.0, 1e-12);
        }
        let (dimension, count) = (2 * WIDTH + 1, 2 * BLOCK_ROWS + 1);
        let rows = random_numbers(count * dimension, 0.5);
        assert_near(&Moments::of_rows(&rows, dimension), &by_definition(&rows, dimension), 1.0, 1e-12);
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let rows = random_numbers(600 * 700, 0.5);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Moments::of_rows(&rows, 600))
        };
        assert_eq!(with_threads(1), with_threads(3));
    }

    #[test]
    fn equal_rows_have_no_scatter_at_all() {
        let rows: Vec<f32> = [0.1, -3.7e6, 1e-9, 0.333].repeat(1500);
        let mut moments = Moments::of_rows(&rows, 4);
        moments.merge(&Moments::of_rows(&rows[..4 * 77], 4)).unwrap();
        moments.add_rows(&rows[..4]).unwrap();
        assert_eq!(moments.count(), 1578);
        assert!(moments.mean().iter().zip(&rows).all(|(&mean, &number)| mean == f64::from(number)));
        assert!(moments.scatter().iter().all(|&number| number == 0.0));
    }

    #[test]
    fn rows_that_were_never_added_are_not_subtracted() {
        let mut moments = Moments::of_rows(&random_numbers(3 * 40, 0.0), 3);
        let before = moments.clone();
        let far: Vec<f32> = random_numbers(3 * 20, 5.0);
        assert!(moments.subtract(&Moments::of_rows(&far, 3)).is_err());
        assert!(moments.subtract(&Moments::of_rows(&random_numbers(3 * 41, 0.0), 3)).is_err());
        assert_eq!(moments, before);
    }

    #[test]
    fn rounding_of_an_earlier_subtraction_does_not_fail_the_next() {
        let constant =
            |rows: Vec<f32>| rows.chunks(2).flat_map(|row| [0.1, 0.001 * row[0]]).collect::<Vec<f32>>();
        let (kept, taken) = (
            Moments::of_rows(&constant(random_numbers(2 * 10, 0.0)), 2),
            Moments::of_rows(&constant(random_numbers(2 * 30, 0.0)), 2),
        );
        let varied = Moments::of_rows(&random_numbers(2 * 400, 0.3), 2);
        let mut moments = varied.clone();
        moments.merge(&kept).unwrap();
        moments.merge(&taken).unwrap();
        moments.subtract(&varied).unwrap();
        moments.subtract(&taken).unwrap();
        assert_near(&moments, &kept, 1.0, 1e-12);
    }

    #[test]
    fn rows_of_another_length_are_rejected_and_change_nothing() {
        let mut moments = Moments::of_rows(&random_numbers(3 * 4, 0.0), 3);
        let before = moments.clone();
        assert!(moments.add_rows(&[1.0, 2.0]).is_err());
        assert!(moments.add_rows(&[1.0, 2.0, f32::NAN]).is_err());
        assert!(moments.merge(&Moments::empty(4)).is_err());
        assert!(moments.subtract(&Moments::empty(4)).is_err());
        assert!(Moments::empty(0).add_rows(&[1.0]).is_err());
        assert!(Moments::from_bytes("m", 0, &Moments::empty(0).to_bytes()).is_err());
        assert_eq!(moments, before);
    }

    proptest! {
        #[test]
        fn parts_merge_in_any_order(
            (dimension, rows) in rows_in_parts(),
            order in Just([0, 1, 2, 3]).prop_shuffle(),
        ) {
            let all: Vec<f32> = rows.iter().flat_map(|(_, row)| row.clone()).collect();
            let mut merged = Moments::empty(dimension);
            for number in order {
                merged.merge(&Moments::of_rows(&part(&rows, number), dimension)).unwrap();
            }
            assert_near(&merged, &by_definition(&all, dimension), 100.0, 1e-13);
            assert_near(&merged, &Moments::of_rows(&all, dimension), 100.0, 1e-13);
        }

        #[test]
        fn merging_in_a_tree_equals_adding_row_by_row((dimension, rows) in rows_in_parts()) {
            let mut left = Moments::of_rows(&part(&rows, 0), dimension);
            let mut right = Moments::of_rows(&part(&rows, 2), dimension);
            left.merge(&Moments::of_rows(&part(&rows, 1), dimension)).unwrap();
            right.merge(&Moments::of_rows(&part(&rows, 3), dimension)).unwrap();
            left.merge(&right).unwrap();
            let mut one_by_one = Moments::empty(dimension);
            for (_, row) in &rows {
                one_by_one.add_rows(row).unwrap();
            }
            assert_near(&left, &one_by_one, 100.0, 1e-13);
        }

        #[test]
        fn subtracting_undoes_merging((dimension, rows) in rows_in_parts()) {
            let kept = Moments::of_rows(&part(&rows, 0), dimension);
            let taken = Moments::of_rows(&part(&rows, 1), dimension);
            let mut moments = kept.clone();
            moments.merge(&taken).unwrap();
            moments.subtract(&taken).unwrap();
            assert_near(&moments, &kept, 100.0 * (1 + taken.count) as f64, 1e-13);
            assert!((0..dimension).all(|i| moments.scatter[i * (dimension + 1)] >= 0.0));
            moments.subtract(&moments.clone()).unwrap();
            prop_assert_eq!(moments, Moments::empty(dimension));
        }
    }
}
