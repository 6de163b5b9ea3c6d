//! The PCA of rows, from their moments alone.

mod projection;

use std::fmt::Write as _;

use crate::eigen::{eigen, rank};
use crate::error::{Error, Result};
use crate::moments::Moments;

/// Loadings are tied if their magnitudes differ by less than this fraction. Their order is then due
/// to rounding.
const TIE: f64 = 1e-9;

/// The k strongest principal components of rows of D numbers, strongest first.
///
/// Components beyond the rank of the rows are zero, and have variance 0. The rank is less than the
/// number of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The mean row, with D numbers.
    pub mean: Vec<f64>,
    /// k × D loadings, row by row.
    ///
    /// Components have length 1 and are orthogonal. The first loading of the largest magnitude is
    /// positive.
    pub components: Vec<f64>,
    /// The variance of the rows along each component. As in scikit-learn, the divisor is n − 1.
    pub explained_variance: Vec<f64>,
    /// The same as a fraction of [`Fit::total_variance`], or 0 if that is 0.
    pub explained_variance_ratio: Vec<f64>,
    /// The sum of the variances of all D numbers.
    pub total_variance: f64,
    /// The number of rows, n.
    pub rows: u64,
    /// The number of directions in which the rows vary by more than rounding errors. It may exceed
    /// k.
    pub rank: usize,
}

impl Fit {
    /// Fits the strongest components to the rows of these moments.
    ///
    /// # Errors
    /// [`Error::NoRows`] if the moments have no rows. [`Error::Components`] if the number of
    /// components is 0 or exceeds the dimension.
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

    /// Returns the length of a row, D.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Yields the number of each component (from 1), its percentage of the variance, and the
    /// cumulative percentage.
    fn percentages(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        self.explained_variance_ratio.iter().enumerate().scan(0.0, |cumulative, (index, ratio)| {
            *cumulative += ratio;
            Some((index + 1, 100.0 * ratio, 100.0 * *cumulative))
        })
    }

    /// Returns the content of `explained_variance.csv`: the variance of each component, and its
    /// percentage of the total.
    #[must_use]
    pub fn explained_variance_csv(&self) -> String {
        let mut csv = "component,variance,variance_percent,cumulative_percent\n".to_owned();
        for ((component, percent, cumulative), variance) in self.percentages().zip(&self.explained_variance) {
            let _ = writeln!(csv, "{component},{variance},{percent},{cumulative}");
        }
        csv
    }
}

/// Flips the sign of a component if its loading of largest magnitude is negative.
///
/// A component and its negative are equally valid. A fixed sign makes fits comparable.
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
    use crate::moments::BLOCK_ROWS;
    use crate::samples::{dot, low_rank_and_noise, random_numbers};

    fn fit(rows: &[f32], dimension: usize, components: usize) -> Fit {
        Fit::of(&Moments::of_rows(rows, dimension), components).unwrap()
    }

    /// Computes the eigenvalues, in descending order, and eigenvectors of a symmetric matrix by
    /// Jacobi rotations.
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

    /// Asserts that components up to `rank` are orthonormal, and that those beyond it are zero.
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
    fn a_fit_matches_the_covariance_by_definition() {
        for dimension in 1..9 {
            let rows = random_numbers(50 * dimension, 0.0);
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
        for split in [1, 7, 100, BLOCK_ROWS, BLOCK_ROWS + 1, 1499] {
            let mut merged = Moments::empty(64);
            for part in rows.chunks(64 * split).rev() {
                merged.merge(&Moments::of_rows(part, 64)).unwrap();
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
        let rows = random_numbers(12 * 1280, 0.0);
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
    fn three_distinct_rows_have_two_components_however_often_they_repeat() {
        let three = random_numbers(3 * 64, 0.0);
        let rows: Vec<f32> = (0..3000).flat_map(|i| three[i * i % 3 * 64..][..64].to_vec()).collect();
        assert_sound(&fit(&[rows, three].concat(), 64, 5), 2);
    }

    #[test]
    fn a_weak_component_is_not_mistaken_for_rounding() {
        let scales = [1.0, 1e-3, 1e-6];
        let rows: Vec<f32> = random_numbers(3 * 500, 0.0)
            .iter()
            .enumerate()
            .map(|(i, number)| number * scales[i % 3])
            .collect();
        let fit = fit(&rows, 3, 3);
        assert_sound(&fit, 3);
        assert!((fit.explained_variance[2].sqrt() / 1e-6 - 0.577).abs() < 0.05);
    }

    #[test]
    fn no_rows_or_an_impossible_number_of_components_is_an_error() {
        assert!(matches!(Fit::of(&Moments::empty(4), 2), Err(Error::NoRows)));
        for components in [0, 5] {
            let error = Fit::of(&Moments::of_rows(&[1.0; 8], 4), components).unwrap_err();
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
    fn the_csv_lists_all_variances() {
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
