//! Count, mean and scatter of rows: all that a PCA needs to know of them, in one pass and a memory that does not grow.
//!
//! Moments of disjoint rows merge into those of their union, and subtract again (Chan, Golub and LeVeque,
//! *Updating Formulae and a Pairwise Algorithm for Computing Sample Variances*, 1979), so any split of the work
//! gives the same fit. Every figure here is an f64, and every row is centred before it is multiplied: a mean far
//! from zero costs no digits. No sum depends on the number of threads.

use pulp::Arch;
use rayon::prelude::*;
use ring::digest::{SHA256, digest};

use crate::products::{Columns, Panels, WIDTH};
use crate::{Error, Result};

/// Rows centred and multiplied at once: with the row that the merge adds, 256, and 2.7 MB at 1280 numbers a row. Fewer
/// would load and store the scatter more often; of more, as many panels would no longer fit into the second cache.
pub(crate) const BLOCK_ROWS: usize = 255;
/// The part of what was there that subtracting may get wrong; more is no rounding.
const CANCELLATION: f64 = 1e-9;

/// The first bytes of moments in S3.
const MAGIC: [u8; 8] = *b"fruitmom";
/// The version of their format.
const VERSION: u32 = 1;
/// Magic, version, dimension, count.
const HEADER_BYTES: usize = 8 + 4 + 4 + 8;
/// The first bytes of the SHA-256 over all that stands before them.
const CHECKSUM_BYTES: usize = 8;

/// Count, mean and scatter of rows of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// `dimension × dimension`, row by row; what lies above the diagonal stays 0.
    scatter: Vec<f64>,
}

impl Moments {
    /// The moments of no rows.
    #[must_use]
    pub fn empty(dimension: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dimension], scatter: vec![0.0; dimension * dimension] }
    }

    /// The length of a row.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// How many rows these are the moments of.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean row; zeros if there are no rows.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The sum over all rows x of (x − mean)(x − mean)ᵀ: `dimension × dimension`, row by row, of which only the
    /// diagonal and what lies below it is filled in.
    #[must_use]
    pub fn scatter(&self) -> &[f64] {
        &self.scatter
    }

    /// The sum of the squared distances of all rows from their mean.
    #[must_use]
    pub fn trace(&self) -> f64 {
        self.scatter.iter().step_by(self.dimension() + 1).sum()
    }

    /// Takes in `n × dimension` numbers, row by row. Many rows in one call are much faster than many calls.
    ///
    /// # Errors
    /// [`Error::Arguments`] if these are no whole rows of finite numbers; then none is taken in.
    pub fn add_rows(&mut self, rows: &[f32]) -> Result<()> {
        whole_rows(rows, self.dimension())?;
        // No short cut: without one, the check is vectorised.
        if !rows.iter().fold(true, |finite, number| finite & number.is_finite()) {
            return Err(Error::Arguments("moments take in finite numbers only".to_owned()));
        }
        // All blocks in one scope: the caller hands over to the pool once, not twice a block.
        rayon::scope(|_| {
            let mut panels = Panels::new(self.dimension());
            for rows in rows.chunks(BLOCK_ROWS * self.dimension()) {
                self.add_block(rows, &mut panels);
            }
        });
        Ok(())
    }

    /// Centres a block on its own mean and merges it. The merge's rank-one term is one more row of the product.
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
            let (centred, apart) = panel_rows.split_at_mut(count);
            let mean = arch.dispatch(
                #[inline(always)]
                || centre(columns, centred),
            );
            for ((apart, own), of_block) in apart[0].0.iter_mut().zip(own).zip(&mean) {
                let distance = of_block - *own;
                *apart = weight * distance;
                *own += share * distance;
            }
        });
        self.count = total;
        panels.add_products(&mut self.scatter);
    }

    /// Takes in all rows of `other`, none of which may be in already.
    ///
    /// # Errors
    /// [`Error::Arguments`] if their rows have another length.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.same_dimension(other)?;
        if other.count == 0 {
            return Ok(());
        }
        let total = self.count + other.count;
        let share = other.count as f64 / total as f64;
        let weight = self.count as f64 * share;
        let apart: Vec<f64> =
            other.mean.iter().zip(&self.mean).map(|(of_other, own)| of_other - own).collect();
        self.mean.iter_mut().zip(&apart).for_each(|(own, apart)| *own += share * apart);
        self.count = total;
        self.each_pair(other, |own, of_other, row, column| {
            own + of_other + weight * apart[row] * apart[column]
        });
        Ok(())
    }

    /// Takes out all rows of `other`, each of which must be in. What is left has lost as many digits as it is smaller
    /// than what was there.
    ///
    /// # Errors
    /// [`Error::Arguments`] if their rows have another length, or can't have been in; then nothing is taken out.
    pub fn subtract(&mut self, other: &Self) -> Result<()> {
        self.same_dimension(other)?;
        let Some(left) = self.count.checked_sub(other.count) else {
            return Err(Error::Arguments(format!("{} rows less {} rows", self.count, other.count)));
        };
        if left == 0 {
            *self = Self::empty(self.dimension());
            return Ok(());
        }
        let ratio = other.count as f64 / left as f64;
        let weight = other.count as f64 * (self.count as f64 / left as f64);
        let apart: Vec<f64> =
            other.mean.iter().zip(&self.mean).map(|(of_other, own)| of_other - own).collect();
        let remainder = |own: f64, of_other: f64, row: usize, column: usize| {
            own - of_other - weight * apart[row] * apart[column]
        };
        let rounding = self.rounding();
        let mut diagonal = self.scatter.iter().zip(&other.scatter).step_by(self.dimension() + 1).enumerate();
        if diagonal.any(|(row, (&own, &of_other))| remainder(own, of_other, row, row) < -rounding) {
            return Err(Error::Arguments("rows that were never in can't be taken out of moments".to_owned()));
        }
        self.each_pair(other, |own, of_other, row, column| {
            let left_over = remainder(own, of_other, row, column);
            if row == column { left_over.max(0.0) } else { left_over }
        });
        self.mean.iter_mut().zip(&apart).for_each(|(own, apart)| *own -= ratio * apart);
        self.count = left;
        Ok(())
    }

    /// How far below zero a diagonal may fall by rounding alone. Earlier subtractions may have left errors in proportion
    /// to what was there then, so a column is not measured by itself, and where nothing scatters, by the mean.
    fn rounding(&self) -> f64 {
        let of_mean: f64 = self.mean.iter().map(|number| number * number).sum();
        CANCELLATION * (self.trace() + CANCELLATION * self.count as f64 * of_mean)
    }

    /// Replaces each number of the lower triangle by what `combine` makes of it, of `other`'s, of row and of column.
    fn each_pair(&mut self, other: &Self, combine: impl Fn(f64, f64, usize, usize) -> f64) {
        let dimension = self.dimension();
        let rows = self.scatter.chunks_mut(dimension).zip(other.scatter.chunks(dimension));
        for (row, (own, of_other)) in rows.enumerate() {
            for (column, (own, of_other)) in own.iter_mut().zip(of_other).take(row + 1).enumerate() {
                *own = combine(*own, *of_other, row, column);
            }
        }
    }

    fn same_dimension(&self, other: &Self) -> Result<()> {
        if self.dimension() == other.dimension() {
            return Ok(());
        }
        let (own, of_other) = (self.dimension(), other.dimension());
        Err(Error::Arguments(format!("moments of rows of {own} numbers and of {of_other} don't go together")))
    }

    /// The moments as they lie in S3, all little-endian: `fruitmom`; the version, u32; the dimension D, u32; the
    /// count, u64; the mean, D f64; the scatter's lower triangle with its diagonal, row by row, D(D+1)/2 f64; the
    /// first 8 bytes of the SHA-256 over all of these. 6.6 MB at 1280.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let dimension = self.dimension();
        let mut bytes = Vec::with_capacity(length(dimension));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((dimension as u32).to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.mean.iter().flat_map(|number| number.to_le_bytes()));
        for row in 0..dimension {
            let start = row * dimension;
            bytes.extend(self.scatter[start..=start + row].iter().flat_map(|number| number.to_le_bytes()));
        }
        let checksum = checksum(&bytes);
        bytes.extend(checksum);
        bytes
    }

    /// The moments that [`Moments::to_bytes`] wrote as `object`, of rows of `dimension` numbers.
    ///
    /// # Errors
    /// [`Error::Damaged`], which names the object, if that is not what it holds.
    pub fn from_bytes(object: &str, dimension: usize, bytes: &[u8]) -> Result<Self> {
        check(dimension, bytes)
            .map_err(|reason| Error::Damaged { object: object.to_owned(), reason: reason.to_string() })?;
        let mut count = [0; 8];
        count.copy_from_slice(&bytes[HEADER_BYTES - 8..HEADER_BYTES]);
        let mut numbers = bytes[HEADER_BYTES..bytes.len() - CHECKSUM_BYTES].as_chunks().0.iter();
        let mut fill = |to: &mut [f64]| {
            to.iter_mut().zip(&mut numbers).for_each(|(to, number)| *to = f64::from_le_bytes(*number));
        };
        let mut moments = Self::empty(dimension);
        moments.count = u64::from_le_bytes(count);
        fill(&mut moments.mean);
        for (row, numbers) in moments.scatter.chunks_mut(dimension).enumerate() {
            fill(&mut numbers[..=row]);
        }
        Ok(moments)
    }
}

/// How many bytes the moments of rows of `dimension` numbers take.
fn length(dimension: usize) -> usize {
    HEADER_BYTES + 8 * (dimension + dimension * (dimension + 1) / 2) + CHECKSUM_BYTES
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..CHECKSUM_BYTES]);
    checksum
}

/// What is wrong with these bytes, if they are no moments of rows of `dimension` numbers.
fn check(dimension: usize, bytes: &[u8]) -> Result<(), String> {
    let Some((header, _)) =
        bytes.split_at_checked(HEADER_BYTES).filter(|(header, _)| header.starts_with(&MAGIC))
    else {
        return Err("these are no moments: they don't begin with `fruitmom` and a header".to_owned());
    };
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (version, found) = (number(8), number(12));
    if version != VERSION {
        return Err(format!("moments of version {version}; this program reads version {VERSION}"));
    }
    if found as usize != dimension {
        return Err(format!("moments of rows of {found} numbers; expected {dimension}"));
    }
    if dimension == 0 {
        return Err("moments of rows without numbers".to_owned());
    }
    if bytes.len() != length(dimension) {
        return Err(format!("{} bytes; these moments take {}", bytes.len(), length(dimension)));
    }
    let (content, stored) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if stored != checksum(content) {
        return Err("the checksum does not fit: the moments are damaged".to_owned());
    }
    Ok(())
}

/// Whether `rows` are rows of `dimension` numbers.
pub(crate) fn whole_rows(rows: &[f32], dimension: usize) -> Result<()> {
    if dimension > 0 && rows.len().is_multiple_of(dimension) {
        return Ok(());
    }
    Err(Error::Arguments(format!("{} numbers are no rows of {dimension}", rows.len())))
}

/// `centred = rows − mean`, of the columns of a panel and at least one row. Returns the mean. Equal rows have exactly their own row as
/// mean, since the sum of 255 of one f32 is exact.
#[inline(always)]
fn centre<'a>(
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

/// `centred = row − mean`, as far as the row goes.
#[inline(always)]
pub(crate) fn centre_row(row: &[f32], mean: &[f64], centred: &mut [f64]) {
    for ((centred, number), mean) in centred.iter_mut().zip(row).zip(mean) {
        *centred = f64::from(*number) - mean;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Count, mean and scatter by their definition, in two passes.
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

    fn of(rows: &[f32], dimension: usize) -> Moments {
        let mut moments = Moments::empty(dimension);
        moments.add_rows(rows).unwrap();
        moments
    }

    /// Equal to `tolerance`, relative to `scale` and its square.
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

    /// Numbers that look random, in −1..1 around `centre`.
    fn numbers(count: usize, centre: f32) -> Vec<f32> {
        let next = |state: &u64| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let states = std::iter::successors(Some(count as u64), next).skip(1).take(count);
        states.map(|state| (state >> 40) as f32 / f32::from_bits(0x4b00_0000) - 1.0 + centre).collect()
    }

    #[test]
    fn a_mean_far_from_zero_costs_no_digits() {
        let rows = numbers(3 * 2000, 10_000.0);
        assert_near(&of(&rows, 3), &by_definition(&rows, 3), 1.0, 1e-11);
    }

    #[test]
    fn blocks_and_panels_may_end_anywhere() {
        for count in [1, 2, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS, 2 * BLOCK_ROWS + 1] {
            let rows = numbers(3 * count, 0.5);
            assert_near(&of(&rows, 3), &by_definition(&rows, 3), 1.0, 1e-12);
        }
        for dimension in [1, WIDTH - 1, WIDTH, WIDTH + 1, 20 * WIDTH + 1] {
            let rows = numbers(7 * dimension, 0.5);
            assert_near(&of(&rows, dimension), &by_definition(&rows, dimension), 1.0, 1e-12);
        }
        let (dimension, count) = (2 * WIDTH + 1, 2 * BLOCK_ROWS + 1);
        let rows = numbers(count * dimension, 0.5);
        assert_near(&of(&rows, dimension), &by_definition(&rows, dimension), 1.0, 1e-12);
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let rows = numbers(600 * 700, 0.5);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| of(&rows, 600))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn equal_rows_have_no_scatter_at_all() {
        let rows: Vec<f32> = [0.1, -3.7e6, 1e-9, 0.333].repeat(1500);
        let mut moments = of(&rows, 4);
        moments.merge(&of(&rows[..4 * 77], 4)).unwrap();
        moments.add_rows(&rows[..4]).unwrap();
        assert_eq!(moments.count(), 1578);
        assert!(moments.mean().iter().zip(&rows).all(|(&mean, &number)| mean == f64::from(number)));
        assert!(moments.scatter().iter().all(|&number| number == 0.0));
    }

    #[test]
    fn rows_that_were_never_in_can_not_be_taken_out() {
        let mut moments = of(&numbers(3 * 40, 0.0), 3);
        let before = moments.clone();
        let far: Vec<f32> = numbers(3 * 20, 5.0);
        assert!(moments.subtract(&of(&far, 3)).is_err());
        assert!(moments.subtract(&of(&numbers(3 * 41, 0.0), 3)).is_err());
        assert_eq!(moments, before);
    }

    #[test]
    fn what_an_earlier_subtraction_left_of_a_column_is_no_reason_to_refuse_the_next() {
        let constant =
            |rows: Vec<f32>| rows.chunks(2).flat_map(|row| [0.1, 0.001 * row[0]]).collect::<Vec<f32>>();
        let (kept, taken) = (of(&constant(numbers(2 * 10, 0.0)), 2), of(&constant(numbers(2 * 30, 0.0)), 2));
        let varied = of(&numbers(2 * 400, 0.3), 2);
        let mut moments = varied.clone();
        moments.merge(&kept).unwrap();
        moments.merge(&taken).unwrap();
        moments.subtract(&varied).unwrap();
        moments.subtract(&taken).unwrap();
        assert_near(&moments, &kept, 1.0, 1e-12);
    }

    #[test]
    fn what_has_another_length_is_refused_and_changes_nothing() {
        let mut moments = of(&numbers(3 * 4, 0.0), 3);
        let before = moments.clone();
        assert!(moments.add_rows(&[1.0, 2.0]).is_err());
        assert!(moments.add_rows(&[1.0, 2.0, f32::NAN]).is_err());
        assert!(moments.merge(&Moments::empty(4)).is_err());
        assert!(moments.subtract(&Moments::empty(4)).is_err());
        assert!(Moments::empty(0).add_rows(&[1.0]).is_err());
        assert!(Moments::from_bytes("m", 0, &Moments::empty(0).to_bytes()).is_err());
        assert_eq!(moments, before);
    }

    #[test]
    fn damaged_bytes_are_recognised_wherever_the_damage_is() {
        let bytes = of(&numbers(3 * 4, 0.0), 3).to_bytes();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(matches!(Moments::from_bytes("m", 3, &damaged), Err(Error::Damaged { .. })), "byte {at}");
            assert!(
                matches!(Moments::from_bytes("m", 3, &bytes[..at]), Err(Error::Damaged { .. })),
                "cut at {at}"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Moments::from_bytes("m", 3, &longer).is_err());
    }

    #[test]
    fn an_error_names_the_object_and_what_is_wrong() {
        let bytes = of(&numbers(3 * 4, 0.0), 3).to_bytes();
        let says = |dimension, bytes: &[u8]| {
            Moments::from_bytes("moments/a", dimension, bytes).unwrap_err().to_string()
        };
        assert_eq!(says(4, &bytes), "moments/a: moments of rows of 3 numbers; expected 4");
        assert_eq!(
            says(3, &bytes[1..]),
            "moments/a: these are no moments: they don't begin with `fruitmom` and a header"
        );
        assert_eq!(says(3, &bytes[..99]), "moments/a: 99 bytes; these moments take 104");
        let newer = [&bytes[..8], &[2], &bytes[9..]].concat();
        assert_eq!(says(3, &newer), "moments/a: moments of version 2; this program reads version 1");
        let damaged = [&bytes[..40], &[!bytes[40]], &bytes[41..]].concat();
        assert_eq!(says(3, &damaged), "moments/a: the checksum does not fit: the moments are damaged");
    }

    #[test]
    fn the_bytes_are_those_of_the_documented_format() {
        let bytes = of(&[1.0, 2.0, 3.0, 6.0], 2).to_bytes();
        assert_eq!(&bytes[..24], b"fruitmom\x01\0\0\0\x02\0\0\0\x02\0\0\0\0\0\0\0");
        let numbers: Vec<f64> =
            bytes[24..64].as_chunks().0.iter().map(|number| f64::from_le_bytes(*number)).collect();
        assert_eq!(numbers, [2.0, 4.0, 2.0, 4.0, 8.0]);
        assert_eq!(bytes.len(), 72);
    }

    /// A dimension, rows, and to which of four parts each row goes.
    fn parted() -> impl Strategy<Value = (usize, Vec<(u8, Vec<f32>)>)> {
        (1_usize..6).prop_flat_map(|dimension| {
            let row = (0_u8..4, prop::collection::vec(-100_f32..100.0, dimension));
            (Just(dimension), prop::collection::vec(row, 1..60))
        })
    }

    fn part(rows: &[(u8, Vec<f32>)], number: u8) -> Vec<f32> {
        rows.iter().filter(|(part, _)| *part == number).flat_map(|(_, row)| row.clone()).collect()
    }

    proptest! {
        #[test]
        fn parts_merge_in_any_order((dimension, rows) in parted(), order in Just([0, 1, 2, 3]).prop_shuffle()) {
            let all: Vec<f32> = rows.iter().flat_map(|(_, row)| row.clone()).collect();
            let mut merged = Moments::empty(dimension);
            for number in order {
                merged.merge(&of(&part(&rows, number), dimension)).unwrap();
            }
            assert_near(&merged, &by_definition(&all, dimension), 100.0, 1e-13);
            assert_near(&merged, &of(&all, dimension), 100.0, 1e-13);
        }

        #[test]
        fn parts_merge_in_a_tree_and_row_by_row((dimension, rows) in parted()) {
            let mut left = of(&part(&rows, 0), dimension);
            let mut right = of(&part(&rows, 2), dimension);
            left.merge(&of(&part(&rows, 1), dimension)).unwrap();
            right.merge(&of(&part(&rows, 3), dimension)).unwrap();
            left.merge(&right).unwrap();
            let mut one_by_one = Moments::empty(dimension);
            for (_, row) in &rows {
                one_by_one.add_rows(row).unwrap();
            }
            assert_near(&left, &one_by_one, 100.0, 1e-13);
        }

        #[test]
        fn subtracting_undoes_merging((dimension, rows) in parted()) {
            let (kept, taken) = (of(&part(&rows, 0), dimension), of(&part(&rows, 1), dimension));
            let mut moments = kept.clone();
            moments.merge(&taken).unwrap();
            moments.subtract(&taken).unwrap();
            assert_near(&moments, &kept, 100.0 * (1 + taken.count) as f64, 1e-13);
            assert!((0..dimension).all(|i| moments.scatter[i * (dimension + 1)] >= 0.0));
            moments.subtract(&moments.clone()).unwrap();
            prop_assert_eq!(moments, Moments::empty(dimension));
        }

        #[test]
        fn moments_come_back_from_their_bytes_bit_by_bit((dimension, rows) in parted()) {
            let moments = of(&part(&rows, 0), dimension);
            prop_assert_eq!(Moments::from_bytes("m", dimension, &moments.to_bytes()).unwrap(), moments);
        }
    }
}
