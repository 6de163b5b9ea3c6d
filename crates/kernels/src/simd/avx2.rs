//! Sixteen numbers in two AVX2 registers, with fused multiply-add.
#![allow(unsafe_code, reason = "calls CPU intrinsics")]

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_load_ps, _mm256_max_ps, _mm256_min_ps, _mm256_set1_ps,
    _mm256_store_ps,
};

use super::{Arithmetic, Operation, Simd};
use crate::lanes::Lanes;

/// Proof that the machine supports AVX2 and FMA. No value of this type exists on other machines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let supported =
            std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        supported.then_some(Self(()))
    }
}

/// The same proof, for arithmetic on half of the sixteen numbers at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Half(Avx2);

// SAFETY, for every block below: the instructions need AVX2 and FMA, and `self` proves that the
// machine has them. Loads and stores touch the first or the last 32 bytes of a borrowed `Lanes`,
// which has 64 bytes and is aligned to 64.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one comment covers all blocks")]
impl Arithmetic for Half {
    type Vector = __m256;
    const REGISTERS: usize = 2;

    #[inline(always)]
    fn load(self, from: &Lanes, register: usize) -> __m256 {
        unsafe { _mm256_load_ps(from.0.as_ptr().add(8 * (register & 1))) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, register: usize, vector: __m256) {
        unsafe { _mm256_store_ps(to.0.as_mut_ptr().add(8 * (register & 1)), vector) }
    }

    #[inline(always)]
    fn splat(self, number: f32) -> __m256 {
        unsafe { _mm256_set1_ps(number) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn clamp(self, low: __m256, high: __m256, vector: __m256) -> __m256 {
        // If either operand is NaN, these instructions return the second one: the vector's.
        unsafe { _mm256_min_ps(high, _mm256_max_ps(low, vector)) }
    }
}

/// Two vectors: the first eight numbers and the last eight.
impl Arithmetic for Avx2 {
    type Vector = [__m256; 2];
    const REGISTERS: usize = 1;

    #[inline(always)]
    fn load(self, from: &Lanes, _: usize) -> Self::Vector {
        [Half(self).load(from, 0), Half(self).load(from, 1)]
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, _: usize, [first, last]: Self::Vector) {
        Half(self).store(to, 0, first);
        Half(self).store(to, 1, last);
    }

    #[inline(always)]
    fn splat(self, number: f32) -> Self::Vector {
        [Half(self).splat(number); 2]
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        [Half(self).add(a[0], b[0]), Half(self).add(a[1], b[1])]
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        [Half(self).mul_add(a[0], b[0], c[0]), Half(self).mul_add(a[1], b[1], c[1])]
    }

    #[inline(always)]
    fn clamp(self, low: Self::Vector, high: Self::Vector, vector: Self::Vector) -> Self::Vector {
        [Half(self).clamp(low[0], high[0], vector[0]), Half(self).clamp(low[1], high[1], vector[1])]
    }
}

impl Simd for Avx2 {
    type Narrow = Half;
    // 12 sums, two weights and a pixel take 15 of 16 registers.
    const TILE_PIXELS: usize = 6;
    const TILE_BLOCKS: usize = 1;
    const SLIDING_WINDOW: bool = false;

    #[inline(always)]
    fn narrow(self) -> Half {
        Half(self)
    }

    #[inline]
    fn vectorize(self, operation: impl Operation) {
        // SAFETY: `self` proves that the machine supports AVX2 and FMA.
        unsafe { run_with_features(self, operation) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn run_with_features(simd: Avx2, operation: impl Operation) {
    operation.run(simd);
}
