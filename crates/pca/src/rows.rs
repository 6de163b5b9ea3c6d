//! Checking and centring rows.

use crate::error::{Error, Result};
use crate::products::{Columns, WIDTH};

/// Checks that `rows` are whole rows of `dimension` numbers.
pub(crate) fn check_whole_rows(rows: &[f32], dimension: usize) -> Result<()> {
    if dimension > 0 && rows.len().is_multiple_of(dimension) {
        return Ok(());
    }
    Err(Error::Arguments(format!("{} numbers can't be split into rows of {dimension}", rows.len())))
}

/// Checks that `rows` contain neither infinity nor NaN.
pub(crate) fn check_finite(rows: &[f32]) -> Result<()> {
    // Unlike `all`, which stops at the first failure, this loop is vectorised.
    if rows.iter().fold(true, |finite, number| finite & number.is_finite()) {
        return Ok(());
    }
    Err(Error::Arguments("rows must contain only finite numbers".to_owned()))
}

/// Subtracts the mean from the columns of a panel, for at least one row. Returns the mean.
///
/// If all rows are equal, the mean is exactly that row, because the sum of 255 equal `f32` is
/// exact.
#[inline(always)]
pub(crate) fn centre<'a>(
    rows: impl ExactSizeIterator<Item = &'a [f32]> + Clone,
    centred: &mut [Columns],
) -> [f64; WIDTH] {
    let mut sums = [0.0; WIDTH];
    for row in rows.clone() {
        sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += f64::from(*number));
    }
    let mean = sums.map(|sum| sum / rows.len() as f64);
    for (centred, row) in centred.iter_mut().zip(rows) {
        centre_row(row, &mean, &mut centred.0);
    }
    mean
}

/// Computes `centred = row − mean`. Stops at the end of the row.
#[inline(always)]
pub(crate) fn centre_row(row: &[f32], mean: &[f64], centred: &mut [f64]) {
    for ((centred, number), mean) in centred.iter_mut().zip(row).zip(mean) {
        *centred = f64::from(*number) - mean;
    }
}
