//! Sixteen numbers in an array, which the compiler vectorises for the target.

use super::{Arithmetic, Operation, Simd};
use crate::lanes::{LANES, Lanes};

/// Supported by every machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Whether the target has a fused multiply-add instruction. Without one, `f32::mul_add` is a slow
/// library call.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

type Sixteen = [f32; LANES];

impl Arithmetic for Portable {
    type Vector = Sixteen;
    const REGISTERS: usize = 1;

    #[inline(always)]
    fn load(self, from: &Lanes, _: usize) -> Sixteen {
        from.0
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, _: usize, vector: Sixteen) {
        to.0 = vector;
    }

    #[inline(always)]
    fn splat(self, number: f32) -> Sixteen {
        [number; LANES]
    }

    #[inline(always)]
    fn add(self, a: Sixteen, b: Sixteen) -> Sixteen {
        let mut sum = a;
        for lane in 0..LANES {
            sum[lane] += b[lane];
        }
        sum
    }

    #[inline(always)]
    fn mul_add(self, a: Sixteen, b: Sixteen, c: Sixteen) -> Sixteen {
        let mut sum = c;
        for lane in 0..LANES {
            sum[lane] = if FUSED { a[lane].mul_add(b[lane], c[lane]) } else { a[lane] * b[lane] + c[lane] };
        }
        sum
    }

    #[inline(always)]
    fn clamp(self, low: Sixteen, high: Sixteen, vector: Sixteen) -> Sixteen {
        let mut clamped = vector;
        for lane in 0..LANES {
            clamped[lane] = if clamped[lane] < low[lane] { low[lane] } else { clamped[lane] };
            clamped[lane] = if clamped[lane] > high[lane] { high[lane] } else { clamped[lane] };
        }
        clamped
    }
}

impl Simd for Portable {
    // Four numbers at a time would suit the depthwise best, but then the compiler vectorises across
    // pixels instead: it combines every fourth pixel of a row.
    type Narrow = Self;
    // With four numbers per register, the sums take 8 of x86's 16 registers, or 24 of Arm's 32.
    const TILE_PIXELS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };
    const TILE_BLOCKS: usize = 1;
    const SLIDING_WINDOW: bool = false;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }

    #[inline]
    fn vectorize(self, operation: impl Operation) {
        run(self, operation);
    }
}

// Never inlined, so that each kernel is compiled as one function, as on the other instruction sets.
#[inline(never)]
fn run(simd: Portable, operation: impl Operation) {
    operation.run(simd);
}
