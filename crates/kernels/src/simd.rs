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

/// Proof that a machine has what a path needs, and its arithmetic: on all sixteen numbers of a [`Lanes`], or on a part of them.
pub(crate) trait Arithmetic: Copy {
    /// Some numbers, in registers.
    type Vector: Copy;
    /// How many vectors are a [`Lanes`].
    const PARTS: usize;

    /// Reads the numbers of a part, from 0.
    fn load(self, from: &Lanes, part: usize) -> Self::Vector;
    /// Writes the numbers of a part, from 0.
    fn store(self, to: &mut Lanes, part: usize, vector: Self::Vector);
    /// The same number in every place.
    fn splat(self, number: f32) -> Self::Vector;
    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a × b + c, rounded once or twice.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Each number held between two bounds. What is not a number stays so: it must come to light at the end.
    fn clamp(self, low: Self::Vector, high: Self::Vector, vector: Self::Vector) -> Self::Vector;
}

/// A path: its arithmetic on sixteen numbers at once, and what is best for its registers.
pub(crate) trait Simd: Arithmetic {
    /// Arithmetic on one register at a time, where sixteen numbers take several.
    type Narrow: Arithmetic;
    /// Pixels of a pointwise tile, at most: as many as the registers hold sums for.
    const PIXELS: usize;
    /// Blocks of outputs of a pointwise tile, at most.
    const BLOCKS: usize;
    /// Whether there are registers for nine weights and nine pixels.
    const MANY: bool;

    /// Its arithmetic on one register at a time.
    fn narrow(self) -> Self::Narrow;

    /// Does the operation, compiled for this path.
    fn vectorize(self, operation: impl Operation);
}

/// A kernel and what it works on.
pub(crate) trait Operation {
    /// Does the work. Implementations are `#[inline(always)]`, and are called by [`Simd::vectorize`] only.
    fn run<S: Simd>(self, simd: S);
}
