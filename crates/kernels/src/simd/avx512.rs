//! Sixteen numbers in one AVX-512 register.
#![allow(unsafe_code, reason = "calls CPU intrinsics")]

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps,
    _mm512_store_ps,
};

use super::{Arithmetic, Operation, Simd};
use crate::lanes::Lanes;

/// Proof that the machine supports AVX-512F. No value of this type exists on other machines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

// SAFETY, for every block below: the instructions need AVX-512F, and `self` proves that the machine
// has it. The load and the store touch the 64 bytes of a borrowed `Lanes`, which has that size and
// alignment.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one comment covers all blocks")]
impl Arithmetic for Avx512 {
    type Vector = __m512;
    const REGISTERS: usize = 1;

    #[inline(always)]
    fn load(self, from: &Lanes, _: usize) -> __m512 {
        unsafe { _mm512_load_ps(from.0.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, _: usize, vector: __m512) {
        unsafe { _mm512_store_ps(to.0.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn splat(self, number: f32) -> __m512 {
        unsafe { _mm512_set1_ps(number) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn clamp(self, low: __m512, high: __m512, vector: __m512) -> __m512 {
        // If either operand is NaN, these instructions return the second one: the vector's.
        unsafe { _mm512_min_ps(high, _mm512_max_ps(low, vector)) }
    }
}

impl Simd for Avx512 {
    type Narrow = Self;
    // 28 sums, two weights and a pixel take 31 of 32 registers.
    const TILE_PIXELS: usize = 14;
    const TILE_BLOCKS: usize = 2;
    const SLIDING_WINDOW: bool = true;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }

    #[inline]
    fn vectorize(self, operation: impl Operation) {
        // SAFETY: `self` proves that the machine supports AVX-512F.
        unsafe { run_with_features(self, operation) }
    }
}

#[target_feature(enable = "avx512f")]
fn run_with_features(simd: Avx512, operation: impl Operation) {
    operation.run(simd);
}
