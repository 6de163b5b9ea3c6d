//! What a kernel asks of a machine: a handful of operations on sixteen numbers at once.
//!
//! A kernel is written once, as an [`Operation`] generic over [`Simd`], in safe Rust. Everything between
//! [`Simd::vectorize`] and the instructions is `#[inline(always)]`: so it all lands in one function that is compiled for
//! the features of its path.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;

use crate::lanes::Lanes;

/// Proof that a machine has what a path needs, and its operations. A vector holds the sixteen numbers of a [`Lanes`].
pub(crate) trait Simd: Copy {
    /// Sixteen numbers in registers.
    type Vector: Copy;
    /// Pixels of a pointwise tile, at most: as many as the registers hold sums for.
    const PIXELS: usize;
    /// Blocks of outputs of a pointwise tile, at most.
    const BLOCKS: usize;

    /// Reads sixteen numbers.
    fn load(self, from: &Lanes) -> Self::Vector;
    /// Writes sixteen numbers.
    fn store(self, to: &mut Lanes, vector: Self::Vector);
    /// The same number sixteen times.
    fn splat(self, number: f32) -> Self::Vector;
    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a × b + c, rounded once or twice.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Each number held between two bounds. What is not a number stays so: it must come to light at the end.
    fn clamp(self, low: Self::Vector, high: Self::Vector, vector: Self::Vector) -> Self::Vector;

    /// Does the operation, compiled for this path.
    fn vectorize(self, operation: impl Operation);
}

/// A kernel and what it works on.
pub(crate) trait Operation {
    /// Does the work. Implementations are `#[inline(always)]`, and are called by [`Simd::vectorize`] only.
    fn run<S: Simd>(self, simd: S);
}
