//! The peak rate of a core.
//!
//! It is measured with multiply-adds that touch no memory. The number of sums in flight is that of
//! a pointwise tile.

use std::hint::black_box;
use std::time::Instant;

use crate::isa::{DetectedIsa, Isa};
use crate::simd::{Arithmetic, Operation, Simd};

/// Multiply-adds per sum and try, for about 100 µs.
const ROUNDS: usize = 10_000;
/// The best try counts: an idle core takes a while to reach its full clock rate.
const TRIES: usize = 200;

impl Isa {
    /// Measures the peak multiply-adds per nanosecond of one core, in about 20 ms.
    ///
    /// Returns `None` if this machine does not support the instruction set. Where a multiply-add
    /// takes two instructions, the result is slightly low, because each sum waits for both.
    #[must_use]
    pub fn peak_multiply_adds_per_ns(self) -> Option<f64> {
        let detected = self.detect()?;
        let tries = (0..TRIES).map(|_| {
            let mut done = 0;
            let start = Instant::now();
            match detected {
                #[cfg(target_arch = "x86_64")]
                DetectedIsa::Avx512(simd) => simd.vectorize(Peak { done: &mut done }),
                #[cfg(target_arch = "x86_64")]
                DetectedIsa::Avx2(simd) => simd.vectorize(Peak { done: &mut done }),
                DetectedIsa::Portable(simd) => simd.vectorize(Peak { done: &mut done }),
            }
            done as f64 / start.elapsed().as_nanos() as f64
        });
        tries.max_by(f64::total_cmp)
    }
}

struct Peak<'a> {
    /// Receives the number of multiply-adds.
    done: &'a mut usize,
}

impl Operation for Peak<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (simd, sums) = (simd.narrow(), S::TILE_PIXELS * S::TILE_BLOCKS * S::Narrow::REGISTERS);
        *self.done = match sums {
            28 => multiply_add::<_, 28>(simd),
            12 => multiply_add::<_, 12>(simd),
            6 => multiply_add::<_, 6>(simd),
            2 => multiply_add::<_, 2>(simd),
            _ => unreachable!("a tile of {sums} sums"),
        };
    }
}

/// Repeats x = x × a + b for N independent vectors. Returns the number of multiply-adds.
#[inline(always)]
fn multiply_add<A: Arithmetic, const N: usize>(simd: A) -> usize {
    let (a, b) = (simd.splat(black_box(0.5)), simd.splat(black_box(0.25)));
    let mut sums = [b; N];
    for sum in 0..N {
        // A black box for each sum: if the compiler knew that all start equal, it could compute
        // only one.
        sums[sum] = simd.splat(black_box(0.25));
    }
    for _ in 0..ROUNDS {
        for sum in 0..N {
            sums[sum] = simd.mul_add(sums[sum], a, b);
        }
    }
    let numbers = size_of::<A::Vector>() / size_of::<f32>();
    black_box(sums);
    ROUNDS * N * numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_instruction_set_has_a_peak() {
        for isa in Isa::ALL {
            let peak = isa.peak_multiply_adds_per_ns();
            assert_eq!(peak.is_some(), isa.is_supported(), "{isa}");
            assert!(peak.is_none_or(|rate| rate > 0.0), "{isa}: {peak:?}");
        }
    }
}
