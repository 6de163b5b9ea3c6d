//! Sixteen numbers in one register of AVX-512.
#![allow(unsafe_code, reason = "the machine's own instructions")]

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps,
    _mm512_store_ps,
};

use super::{Arithmetic, Operation, Simd};
use crate::lanes::Lanes;

/// A machine with AVX-512. There is no value of this type on any other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

// SAFETY, of every block below: the instructions need AVX-512F, and `self` is proof of it. The two that touch memory
// read and write the 64 bytes of a `Lanes`, which is borrowed, of that size, and aligned to it.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Arithmetic for Avx512 {
    type Vector = __m512;
    const PARTS: usize = 1;

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
        // Of two operands of which one is not a number, these give the second.
        unsafe { _mm512_min_ps(high, _mm512_max_ps(low, vector)) }
    }
}

impl Simd for Avx512 {
    type Narrow = Self;
    // 28 sums, two weights and a pixel: 31 of 32 registers.
    const PIXELS: usize = 14;
    const BLOCKS: usize = 2;
    const MANY: bool = true;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }

    #[inline]
    fn vectorize(self, operation: impl Operation) {
        // SAFETY: `self` is proof of AVX-512F.
        unsafe { within(self, operation) }
    }
}

#[target_feature(enable = "avx512f")]
fn within(simd: Avx512, operation: impl Operation) {
    operation.run(simd);
}
