//! The PCA of rows, from their moments alone.

use std::fmt::Write as _;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, ColMut, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::moments::{Moments, centre_row, whole_rows};
use crate::{Error, Result};

/// Rows projected at once by one thread: 1.3 MB at 1280 numbers a row.
const BLOCK_ROWS: usize = 128;
/// Loadings whose magnitudes differ by less than this part are equal: their order is rounding.
const TIE: f64 = 1e-9;

/// The principal components of rows of D numbers, the k strongest first.
///
/// Components beyond the rank of the rows (there are at most as many as rows, less one) have variance 0, and are zero
/// themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The mean row: D numbers.
    pub mean: Vec<f64>,
    /// k × D, row by row: each of length 1, orthogonal to all others, its loading of largest magnitude positive
    /// (the first of several).
    pub components: Vec<f64>,
    /// The variance of the rows along each component, over one less than the number of rows, as scikit-learn has it.
    pub explained_variance: Vec<f64>,
    /// The same as a part of [`Fit::total_variance`]; 0 if that is 0.
    pub explained_variance_ratio: Vec<f64>,
    /// The sum of the variances of all D numbers.
    pub total_variance: f64,
    /// How many rows it saw.
    pub rows: u64,
    /// In how many directions the rows vary by more than rounding; it may exceed k.
    pub rank: usize,
}

impl Fit {
    /// The `components` strongest components of the rows whose moments these are.
    ///
    /// # Errors
    /// [`Error::NoRows`] if there are none, [`Error::Components`] if there can't be that many components.
    pub fn of(moments: &Moments, components: usize) -> Result<Self> {
        let dimension = moments.dimension();
        if components == 0 || components > dimension {
            return Err(Error::Components { asked: components, dimension });
        }
        if moments.count() == 0 {
            return Err(Error::NoRows);
        }
        let (eigenvalues, eigenvectors) = eigen(moments)?;
        let rank = rank(&eigenvalues, moments.count());
        let degrees_of_freedom = moments.count().saturating_sub(1).max(1) as f64;
        let mut fit = Self {
            mean: moments.mean().to_vec(),
            components: vec![0.0; components * dimension],
            explained_variance: vec![0.0; components],
            explained_variance_ratio: vec![0.0; components],
            total_variance: moments.trace() / degrees_of_freedom,
            rows: moments.count(),
            rank,
        };
        for (index, component) in fit.components.chunks_mut(dimension).enumerate().take(rank) {
            let from_last = dimension - 1 - index;
            component
                .iter_mut()
                .zip(eigenvectors.col(from_last).iter())
                .for_each(|(to, loading)| *to = *loading);
            orient(component);
            fit.explained_variance[index] = eigenvalues[from_last] / degrees_of_freedom;
            fit.explained_variance_ratio[index] = fit.explained_variance[index] / fit.total_variance;
        }
        Ok(fit)
    }

    /// The length of a row, D.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// The scores of `n × D` numbers, row by row: `n × k`, (row − mean)·componentᵀ.
    ///
    /// # Errors
    /// [`Error::Arguments`] if these are no whole rows, or the fit's own parts do not fit each other.
    pub fn project(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let (dimension, k) = (self.dimension(), self.explained_variance.len());
        whole_rows(rows, dimension)?;
        if self.components.len() != k * dimension {
            let found = self.components.len();
            return Err(Error::Arguments(format!(
                "{k} components of {dimension} numbers, but {found} loadings"
            )));
        }
        let mut scores = vec![0.0; rows.len() / dimension * k];
        let blocks =
            scores.par_chunks_mut((BLOCK_ROWS * k).max(1)).zip(rows.par_chunks(BLOCK_ROWS * dimension));
        blocks.for_each_init(Vec::new, |buffer, (scores, rows)| self.project_block(rows, scores, buffer));
        Ok(scores)
    }

    /// Centred rows and exact scores in f64: single precision would lose the digits that rows share with their mean.
    fn project_block(&self, rows: &[f32], scores: &mut [f32], buffer: &mut Vec<f64>) {
        let (dimension, k) = (self.dimension(), self.explained_variance.len());
        buffer.resize(rows.len() + scores.len(), 0.0);
        let (centred, exact) = buffer.split_at_mut(rows.len());
        for (centred, row) in centred.chunks_exact_mut(dimension).zip(rows.chunks_exact(dimension)) {
            centre_row(row, &self.mean, centred);
        }
        let count = rows.len() / dimension;
        matmul(
            MatMut::from_row_major_slice_mut(exact, count, k),
            Accum::Replace,
            MatRef::from_row_major_slice(centred, count, dimension),
            MatRef::from_row_major_slice(&self.components, k, dimension).transpose(),
            1.0,
            Par::Seq,
        );
        scores.iter_mut().zip(exact).for_each(|(score, exact)| *score = *exact as f32);
    }

    /// Each component's number, from 1, its part of the variance, and that of all up to it, both in per cent.
    fn percentages(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        self.explained_variance_ratio.iter().enumerate().scan(0.0, |cumulative, (index, ratio)| {
            *cumulative += ratio;
            Some((index + 1, 100.0 * ratio, 100.0 * *cumulative))
        })
    }

    /// `explained_variance.csv`: component (from 1), variance, and per cent of the total variance, alone and cumulated.
    #[must_use]
    pub fn explained_variance_csv(&self) -> String {
        let mut csv = "component,variance,variance_percent,cumulative_percent\n".to_owned();
        for ((component, percent, cumulative), variance) in self.percentages().zip(&self.explained_variance) {
            let _ = writeln!(csv, "{component},{variance},{percent},{cumulative}");
        }
        csv
    }
}

/// All eigenvalues of the scatter, in rising order, and their eigenvectors as columns. One thread: at 1280 it takes
/// half a second, and two threads take no less.
fn eigen(moments: &Moments) -> Result<(Vec<f64>, Mat<f64>)> {
    let dimension = moments.dimension();
    let mut eigenvalues = vec![0.0; dimension];
    let mut eigenvectors = Mat::zeros(dimension, dimension);
    let scratch =
        self_adjoint_evd_scratch::<f64>(dimension, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    self_adjoint_evd(
        MatRef::from_row_major_slice(moments.scatter(), dimension, dimension),
        ColMut::from_slice_mut(&mut eigenvalues).as_diagonal_mut(),
        Some(eigenvectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|cause| Error::Arguments(format!("the eigen-decomposition of the scatter: {cause:?}")))?;
    Ok((eigenvalues, eigenvectors))
}

/// How many eigenvalues, in rising order, are more than rounding. An eigenvalue is computed to about ε times the
/// largest; sums over n rows and D numbers add to that error at most in proportion to √n and D. n rows, centred,
/// vary in at most n − 1 directions.
fn rank(eigenvalues: &[f64], rows: u64) -> usize {
    let largest = eigenvalues.last().copied().unwrap_or(0.0);
    let rounding = f64::EPSILON * (eigenvalues.len() as f64 + (rows as f64).sqrt()) * largest;
    let above = eigenvalues.iter().filter(|&&eigenvalue| eigenvalue > rounding.max(0.0)).count();
    above.min(usize::try_from(rows - 1).unwrap_or(usize::MAX))
}

/// Turns a component so that its loading of largest magnitude is positive.
fn orient(component: &mut [f64]) {
    let largest = component.iter().fold(0.0, |largest: f64, loading| largest.max(loading.abs()));
    let decisive = component.iter().find(|loading| loading.abs() >= largest * (1.0 - TIE));
    if decisive.is_some_and(|&loading| loading < 0.0) {
        component.iter_mut().for_each(|loading| *loading = -*loading);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, in −1..1.
    fn numbers(count: usize) -> Vec<f32> {
        let next = |state: &u64| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let states = std::iter::successors(Some(count as u64), next).skip(1).take(count);
        states.map(|state| (state >> 40) as f32 / f32::from_bits(0x4b00_0000) - 1.0).collect()
    }

    /// `count` rows of 64 numbers: eight strong directions, each half as strong as the one before, and noise.
    fn low_rank_and_noise(count: usize) -> Vec<f32> {
        let (directions, strengths, noise) =
            (numbers(8 * 64), numbers(8 * count + 1), numbers(64 * count + 2));
        let mut rows: Vec<f32> = noise[..64 * count].iter().map(|number| 3.0 + 0.001 * number).collect();
        for (row, strengths) in rows.chunks_mut(64).zip(strengths.chunks(8)) {
            for (rank, (direction, strength)) in directions.chunks(64).zip(strengths).enumerate() {
                let strength = strength * 0.5_f32.powi(rank as i32);
                row.iter_mut().zip(direction).for_each(|(number, loading)| *number += strength * loading);
            }
        }
        rows
    }

    fn moments(rows: &[f32], dimension: usize) -> Moments {
        let mut moments = Moments::empty(dimension);
        moments.add_rows(rows).unwrap();
        moments
    }

    fn fit(rows: &[f32], dimension: usize, components: usize) -> Fit {
        Fit::of(&moments(rows, dimension), components).unwrap()
    }

    fn dot(left: &[f64], right: &[f64]) -> f64 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    }

    /// The eigenvalues, in falling order, and eigenvectors of a symmetric matrix by Jacobi's rotations.
    fn jacobi(mut matrix: Vec<Vec<f64>>) -> Vec<(f64, Vec<f64>)> {
        let n = matrix.len();
        let mut vectors: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| f64::from(i == j)).collect()).collect();
        for _ in 0..30 {
            for p in 0..n {
                for q in p + 1..n {
                    let angle = 0.5 * (2.0 * matrix[p][q]).atan2(matrix[q][q] - matrix[p][p]);
                    let (sin, cos) = angle.sin_cos();
                    for row in &mut matrix {
                        (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                    }
                    for k in 0..n {
                        let (a, b) = (matrix[p][k], matrix[q][k]);
                        (matrix[p][k], matrix[q][k]) = (cos * a - sin * b, sin * a + cos * b);
                        let (a, b) = (vectors[p][k], vectors[q][k]);
                        (vectors[p][k], vectors[q][k]) = (cos * a - sin * b, sin * a + cos * b);
                    }
                }
            }
        }
        let mut pairs: Vec<(f64, Vec<f64>)> = (0..n).map(|i| matrix[i][i]).zip(vectors).collect();
        pairs.sort_by(|left, right| right.0.total_cmp(&left.0));
        pairs
    }

    fn centred(rows: &[f32], dimension: usize) -> Vec<Vec<f64>> {
        let count = (rows.len() / dimension) as f64;
        let mean =
            |i| rows.iter().skip(i).step_by(dimension).map(|&number| f64::from(number)).sum::<f64>() / count;
        let mean: Vec<f64> = (0..dimension).map(mean).collect();
        rows.chunks(dimension)
            .map(|row| row.iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean).collect())
            .collect()
    }

    /// Every number is finite; components up to `rank` are orthonormal; those beyond are nothing but zeros.
    fn assert_sound(fit: &Fit, rank: usize) {
        assert_eq!(fit.rank, rank);
        let components: Vec<&[f64]> = fit.components.chunks(fit.dimension()).collect();
        for (index, component) in components.iter().enumerate() {
            if index < rank {
                assert!(fit.explained_variance[index] > 0.0 && fit.explained_variance_ratio[index] > 0.0);
                for (other, second) in components.iter().enumerate().take(rank) {
                    assert!((dot(component, second) - f64::from(index == other)).abs() < 1e-12);
                }
            } else {
                assert_eq!((fit.explained_variance[index], fit.explained_variance_ratio[index]), (0.0, 0.0));
                assert!(component.iter().all(|&loading| loading == 0.0));
            }
        }
    }

    #[test]
    fn a_fit_is_that_of_the_covariance_by_definition() {
        for dimension in 1..9 {
            let rows = numbers(50 * dimension);
            let fit = fit(&rows, dimension, dimension);
            let centred = centred(&rows, dimension);
            let covariance =
                |i: usize, j: usize| centred.iter().map(|row| row[i] * row[j]).sum::<f64>() / 49.0;
            let expected =
                jacobi((0..dimension).map(|i| (0..dimension).map(|j| covariance(i, j)).collect()).collect());
            let total: f64 = expected.iter().map(|(variance, _)| variance).sum();
            assert!((fit.total_variance - total).abs() < 1e-12 * total);
            assert_sound(&fit, dimension);
            for (index, (variance, component)) in expected.iter().enumerate() {
                assert!((fit.explained_variance[index] - variance).abs() < 1e-12);
                assert!((fit.explained_variance_ratio[index] - variance / total).abs() < 1e-12);
                let found = &fit.components[index * dimension..][..dimension];
                assert!((dot(found, component).abs() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn any_split_of_the_rows_gives_the_same_fit() {
        let rows = low_rank_and_noise(1500);
        let whole = fit(&rows, 64, 8);
        for split in [1, 7, 100, crate::moments::BLOCK_ROWS, crate::moments::BLOCK_ROWS + 1, 1499] {
            let mut merged = Moments::empty(64);
            for part in rows.chunks(64 * split).rev() {
                merged.merge(&moments(part, 64)).unwrap();
            }
            let split = Fit::of(&merged, 8).unwrap();
            let pairs =
                whole.components.iter().zip(&split.components).chain(whole.mean.iter().zip(&split.mean));
            assert!(pairs.into_iter().all(|(whole, split)| (whole - split).abs() < 1e-9));
            for (whole, split) in whole.explained_variance.iter().zip(&split.explained_variance) {
                assert!((whole - split).abs() < 1e-9 * whole);
            }
        }
    }

    #[test]
    fn twelve_rows_of_1280_numbers_have_eleven_components() {
        let rows = numbers(12 * 1280);
        let fit = fit(&rows, 1280, 20);
        assert_sound(&fit, 11);
        let centred = centred(&rows, 1280);
        let gram =
            jacobi(centred.iter().map(|row| centred.iter().map(|other| dot(row, other)).collect()).collect());
        for (found, (scatter, _)) in fit.explained_variance.iter().zip(&gram[..11]) {
            assert!((found * 11.0 - scatter).abs() < 1e-10 * scatter);
        }
        assert!((fit.explained_variance_ratio.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let scores = fit.project(&rows).unwrap();
        assert!(scores.chunks(20).all(|scores| scores[11..].iter().all(|&score| score == 0.0)));
    }

    #[test]
    fn equal_rows_and_a_single_row_have_no_component() {
        for count in [1, 2, 1000] {
            let rows = [0.1, 0.2, -7.3].repeat(count);
            let fit = fit(&rows, 3, 2);
            assert_sound(&fit, 0);
            assert_eq!(fit.total_variance, 0.0);
            assert_eq!(fit.project(&[5.0, 6.0, 7.0]).unwrap(), [0.0, 0.0]);
        }
    }

    #[test]
    fn three_different_rows_however_often_have_two_components() {
        let three = numbers(3 * 64);
        let rows: Vec<f32> = (0..3000).flat_map(|i| three[i * i % 3 * 64..][..64].to_vec()).collect();
        assert_sound(&fit(&[rows, three].concat(), 64, 5), 2);
    }

    #[test]
    fn a_weak_component_is_not_taken_for_rounding() {
        let scales = [1.0, 1e-3, 1e-6];
        let rows: Vec<f32> =
            numbers(3 * 500).iter().enumerate().map(|(i, number)| number * scales[i % 3]).collect();
        let fit = fit(&rows, 3, 3);
        assert_sound(&fit, 3);
        assert!((fit.explained_variance[2].sqrt() / 1e-6 - 0.577).abs() < 0.05);
    }

    #[test]
    fn without_rows_or_with_an_impossible_number_of_components_there_is_no_fit() {
        assert!(matches!(Fit::of(&Moments::empty(4), 2), Err(Error::NoRows)));
        for components in [0, 5] {
            let error = Fit::of(&moments(&[1.0; 8], 4), components).unwrap_err();
            assert!(
                matches!(error, Error::Components { .. }) && error.to_string().contains("ask for 1 to 4")
            );
        }
    }

    #[test]
    fn the_first_of_the_largest_loadings_is_positive() {
        for rows in [[0.0, 0.0, 1.0, -1.0], [0.0, 0.0, -1.0, 1.0]] {
            let fit = fit(&rows, 2, 1);
            assert!((fit.components[0] - 0.5_f64.sqrt()).abs() < 1e-12 && fit.components[1] < 0.0);
        }
        let mut component = [0.3, -0.9, 0.1];
        orient(&mut component);
        assert_eq!(component, [-0.3, 0.9, -0.1]);
        let mut tied_but_for_rounding = [-0.5, 0.5 + 1e-15, 0.1];
        orient(&mut tied_but_for_rounding);
        assert_eq!(tied_but_for_rounding, [0.5, -0.5 - 1e-15, -0.1]);
    }

    #[test]
    fn scores_are_those_by_definition_wherever_blocks_end() {
        for count in [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 5] {
            let fit = fit(&low_rank_and_noise(200), 64, 8);
            let rows = low_rank_and_noise(count);
            let scores = fit.project(&rows).unwrap();
            assert_eq!(scores.len(), 8 * count);
            for (row, scores) in rows.chunks(64).zip(scores.chunks(8)) {
                let centred: Vec<f64> =
                    row.iter().zip(&fit.mean).map(|(x, mean)| f64::from(*x) - mean).collect();
                for (score, component) in scores.iter().zip(fit.components.chunks(64)) {
                    let expected = dot(&centred, component);
                    assert!((f64::from(*score) - expected).abs() <= 1e-6 * expected.abs() + 1e-12);
                }
            }
        }
    }

    #[test]
    fn all_components_together_give_the_rows_back() {
        let rows = numbers(30 * 16);
        let fit = fit(&rows, 16, 16);
        for (row, scores) in rows.chunks(16).zip(fit.project(&rows).unwrap().chunks(16)) {
            for (column, number) in row.iter().enumerate() {
                let loadings = fit.components.chunks(16).map(|component| component[column]);
                let sum: f64 = loadings.zip(scores).map(|(loading, score)| loading * f64::from(*score)).sum();
                assert!((fit.mean[column] + sum - f64::from(*number)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_mean_has_no_scores_and_half_a_row_is_refused() {
        let fit = fit(&[1.0, 2.0, 3.0, 3.0, 0.0, 5.0, 2.0, 4.0, 1.0], 3, 2);
        assert_eq!(fit.project(&[2.0, 2.0, 3.0]).unwrap(), [0.0, 0.0]);
        assert!(fit.project(&[1.0, 2.0]).is_err());
        assert!(Fit { components: vec![0.0; 5], ..fit }.project(&[1.0, 2.0, 3.0]).is_err());
    }

    #[test]
    fn the_variances_are_listed_for_programs() {
        let fit = Fit {
            mean: vec![0.0; 3],
            components: vec![0.0; 9],
            explained_variance: vec![6.0, 2.0, 0.0],
            explained_variance_ratio: vec![0.75, 0.25, 0.0],
            total_variance: 8.0,
            rows: 3,
            rank: 2,
        };
        let csv =
            "component,variance,variance_percent,cumulative_percent\n1,6,75,75\n2,2,25,100\n3,0,0,100\n";
        assert_eq!(fit.explained_variance_csv(), csv);
    }
}
