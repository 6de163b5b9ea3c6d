//! Numbers in arrays: the compiler makes of them what the target has.

use super::{Arithmetic, Operation, Simd};
use crate::lanes::{LANES, Lanes};

/// Any machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Whether multiplying and adding at once is an instruction of the target; else it would be a call.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

type Sixteen = [f32; LANES];

impl Arithmetic for Portable {
    type Vector = Sixteen;
    const PARTS: usize = 1;

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
        let mut held = vector;
        for lane in 0..LANES {
            held[lane] = if held[lane] < low[lane] { low[lane] } else { held[lane] };
            held[lane] = if held[lane] > high[lane] { high[lane] } else { held[lane] };
        }
        held
    }
}

impl Simd for Portable {
    // Four numbers at a time would be best for a depthwise, but then the compiler takes every fourth pixel of a row together.
    type Narrow = Self;
    // Of four numbers to a register: 8 sums of x86's 16, or 24 of Arm's 32.
    const PIXELS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };
    const BLOCKS: usize = 1;
    const MANY: bool = false;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
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
