//! Sixteen numbers in two registers of AVX2, with fused multiply-add.
#![allow(unsafe_code, reason = "the machine's own instructions")]

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_load_ps, _mm256_max_ps, _mm256_min_ps, _mm256_set1_ps,
    _mm256_store_ps,
};

use super::{Operation, Simd};
use crate::lanes::Lanes;

/// A machine with AVX2 and FMA. There is no value of this type on any other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        has.then_some(Self(()))
    }
}

/// The first eight numbers and the last.
type Pair = [__m256; 2];

// SAFETY, of every block below: the instructions need AVX2 and FMA, and `self` is proof of them. Those that touch memory
// read and write the first or the last 32 of the 64 bytes of a `Lanes`, which is borrowed, of that size, and aligned to it.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Avx2 {
    type Vector = Pair;
    // 12 sums, two weights and a pixel: 15 of 16 registers.
    const PIXELS: usize = 6;
    const BLOCKS: usize = 1;

    #[inline(always)]
    fn load(self, from: &Lanes) -> Pair {
        unsafe { [_mm256_load_ps(from.0.as_ptr()), _mm256_load_ps(from.0.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, [first, last]: Pair) {
        unsafe {
            _mm256_store_ps(to.0.as_mut_ptr(), first);
            _mm256_store_ps(to.0.as_mut_ptr().add(8), last);
        }
    }

    #[inline(always)]
    fn splat(self, number: f32) -> Pair {
        [unsafe { _mm256_set1_ps(number) }; 2]
    }

    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_add(self, a: Pair, b: Pair, c: Pair) -> Pair {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn clamp(self, low: Pair, high: Pair, vector: Pair) -> Pair {
        // Of two operands of which one is not a number, these give the second.
        unsafe {
            [
                _mm256_min_ps(high[0], _mm256_max_ps(low[0], vector[0])),
                _mm256_min_ps(high[1], _mm256_max_ps(low[1], vector[1])),
            ]
        }
    }

    #[inline]
    fn vectorize(self, operation: impl Operation) {
        unsafe { within(self, operation) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn within(simd: Avx2, operation: impl Operation) {
    operation.run(simd);
}
