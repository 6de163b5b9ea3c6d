//! The few operations on sixteen numbers that the kernels need from each instruction set.
//!
//! A kernel is written once, as an [`Operation`] generic over [`Simd`], in safe Rust. Everything
//! between [`Simd::vectorize`] and the instructions is `#[inline(always)]`. So it all ends up in
//! one function, which is compiled with the features of the instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;

use crate::lanes::Lanes;

/// Arithmetic on vectors of a whole [`Lanes`] or of a part of one.
///
/// A value of an implementing type proves that the machine supports the instructions.
pub(crate) trait Arithmetic: Copy {
    /// A vector in registers.
    type Vector: Copy;
    /// Vectors per [`Lanes`].
    const REGISTERS: usize;

    /// Loads the vector with this index.
    fn load(self, from: &Lanes, register: usize) -> Self::Vector;
    /// Stores the vector with this index.
    fn store(self, to: &mut Lanes, register: usize, vector: Self::Vector);
    /// Returns a vector with the same number in every lane.
    fn splat(self, number: f32) -> Self::Vector;
    /// Returns a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Returns a × b + c, rounded once or twice.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Clamps each number to two bounds. NaN stays NaN, so that it shows up in the result.
    fn clamp(self, low: Self::Vector, high: Self::Vector, vector: Self::Vector) -> Self::Vector;
}

/// An instruction set: its arithmetic on sixteen numbers, and the tile sizes that suit its
/// registers.
pub(crate) trait Simd: Arithmetic {
    /// Arithmetic on one register at a time, where sixteen numbers need several.
    type Narrow: Arithmetic;
    /// The most pixels of a pointwise tile, limited by the registers for its sums.
    const TILE_PIXELS: usize;
    /// The most channel blocks of a pointwise tile.
    const TILE_BLOCKS: usize;
    /// Whether nine weights and nine pixels fit into the registers.
    ///
    /// If so, a depthwise window keeps the columns that its next position needs.
    const SLIDING_WINDOW: bool;

    /// Returns the arithmetic on one register at a time.
    fn narrow(self) -> Self::Narrow;

    /// Runs the operation, compiled for this instruction set.
    fn vectorize(self, operation: impl Operation);
}

/// A kernel with its arguments.
pub(crate) trait Operation {
    /// Runs the kernel.
    ///
    /// Implementations are `#[inline(always)]`, and only [`Simd::vectorize`] calls them.
    fn run<S: Simd>(self, simd: S);
}
