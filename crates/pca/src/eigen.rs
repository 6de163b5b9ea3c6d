//! The eigen-decomposition of a scatter.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{ColMut, Mat, MatRef, Par};

use crate::error::{Error, Result};
use crate::moments::Moments;

/// Computes all eigenvalues of the scatter, in ascending order, and their eigenvectors as columns.
///
/// It uses one thread. At dimension 1280 it takes half a second, and a second thread does not help.
pub(crate) fn eigen(moments: &Moments) -> Result<(Vec<f64>, Mat<f64>)> {
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
    .map_err(|cause| Error::Arguments(format!("the eigen-decomposition of the scatter failed: {cause:?}")))?;
    Ok((eigenvalues, eigenvectors))
}

/// Counts the eigenvalues, in ascending order, that exceed rounding errors.
///
/// An eigenvalue is computed to about ε times the largest. Sums over n rows and D numbers add to
/// that error at most in proportion to √n and D.
pub(crate) fn rank(eigenvalues: &[f64], rows: u64) -> usize {
    let largest = eigenvalues.last().copied().unwrap_or(0.0);
    let rounding = f64::EPSILON * (eigenvalues.len() as f64 + (rows as f64).sqrt()) * largest;
    let above = eigenvalues.iter().filter(|&&eigenvalue| eigenvalue > rounding.max(0.0)).count();
    // Centred rows vary in at most n − 1 directions.
    above.min(usize::try_from(rows - 1).unwrap_or(usize::MAX))
}
