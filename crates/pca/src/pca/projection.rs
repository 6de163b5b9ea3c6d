//! Projecting rows onto the components of a fit.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::Fit;
use crate::error::{Error, Result};
use crate::rows::{centre_row, check_whole_rows};

/// Rows that one thread projects per call of the matrix product: 1.3 MB at dimension 1280.
const BLOCK_ROWS: usize = 128;

impl Fit {
    /// Returns the `n × k` scores (row − mean)·componentᵀ of `n × D` numbers, both row by row.
    ///
    /// # Errors
    /// [`Error::Arguments`] if these are not whole rows, or if the fields of the fit have
    /// inconsistent lengths.
    pub fn project(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let (dimension, k) = (self.dimension(), self.explained_variance.len());
        check_whole_rows(rows, dimension)?;
        if self.components.len() != k * dimension {
            let found = self.components.len();
            return Err(Error::Arguments(format!(
                "{k} components of {dimension} numbers don't match {found} loadings"
            )));
        }
        let mut scores = vec![0.0; rows.len() / dimension * k];
        let blocks =
            scores.par_chunks_mut((BLOCK_ROWS * k).max(1)).zip(rows.par_chunks(BLOCK_ROWS * dimension));
        blocks.for_each_init(Vec::new, |buffer, (scores, rows)| self.project_block(rows, scores, buffer));
        Ok(scores)
    }

    /// Computes the scores of one block in f64. In f32, subtracting the mean would lose precision.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::Moments;
    use crate::samples::{dot, low_rank_and_noise, random_numbers};

    fn fit(rows: &[f32], dimension: usize, components: usize) -> Fit {
        Fit::of(&Moments::of_rows(rows, dimension), components).unwrap()
    }

    #[test]
    fn scores_match_the_definition_wherever_blocks_end() {
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
    fn all_components_together_restore_the_rows() {
        let rows = random_numbers(30 * 16, 0.0);
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
    fn the_mean_has_zero_scores() {
        let fit = fit(&[1.0, 2.0, 3.0, 3.0, 0.0, 5.0, 2.0, 4.0, 1.0], 3, 2);
        assert_eq!(fit.project(&[2.0, 2.0, 3.0]).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn inconsistent_lengths_are_rejected() {
        let fit = fit(&[1.0, 2.0, 3.0, 3.0, 0.0, 5.0, 2.0, 4.0, 1.0], 3, 2);
        assert!(fit.project(&[1.0, 2.0]).is_err());
        assert!(Fit { components: vec![0.0; 5], ..fit }.project(&[1.0, 2.0, 3.0]).is_err());
    }
}
