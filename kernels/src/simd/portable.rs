//! Sixteen numbers in an array: the compiler makes of it what the target has.

use super::{Operation, Simd};
use crate::lanes::{LANES, Lanes};

/// Any machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Whether multiplying and adding at once is an instruction of the target; else it would be a call.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

impl Simd for Portable {
    type Vector = [f32; LANES];
    // Of four numbers to a register: 12 sums of x86's 16, or 24 of Arm's 32.
    const PIXELS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 3 };
    const BLOCKS: usize = 1;

    #[inline(always)]
    fn load(self, from: &Lanes) -> Self::Vector {
        from.0
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, vector: Self::Vector) {
        to.0 = vector;
    }

    #[inline(always)]
    fn splat(self, number: f32) -> Self::Vector {
        [number; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        let mut sum = a;
        for lane in 0..LANES {
            sum[lane] += b[lane];
        }
        sum
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        let mut sum = c;
        for lane in 0..LANES {
            sum[lane] = if FUSED { a[lane].mul_add(b[lane], c[lane]) } else { a[lane] * b[lane] + c[lane] };
        }
        sum
    }

    #[inline(always)]
    fn clamp(self, low: Self::Vector, high: Self::Vector, vector: Self::Vector) -> Self::Vector {
        let mut held = vector;
        for lane in 0..LANES {
            held[lane] = if held[lane] < low[lane] { low[lane] } else { held[lane] };
            held[lane] = if held[lane] > high[lane] { high[lane] } else { held[lane] };
        }
        held
    }

    #[inline]
    fn vectorize(self, operation: impl Operation) {
        within(self, operation);
    }
}

#[inline(never)]
fn within(simd: Portable, operation: impl Operation) {
    operation.run(simd);
}
