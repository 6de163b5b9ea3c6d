//! What a core can do at most: multiply-adds that touch no memory, as many sums at once as a tile of the pointwise has.

use std::hint::black_box;
use std::time::Instant;

use crate::path::{Machine, Path};
use crate::simd::{Arithmetic, Operation, Simd};

/// Times that every sum is multiplied and added to: some 100 µs.
const TIMES: usize = 10_000;
/// Tries, of which the best counts: a core that was idle takes some to get going.
const TRIES: usize = 200;

impl Path {
    /// Multiply-adds a nanosecond that a core of this machine does on this path, if the machine has it: measured, for some 20 ms. Where
    /// multiplying and adding are two instructions it comes out a little low: each sum waits for both.
    #[must_use]
    pub fn peak(self) -> Option<f64> {
        let machine = self.machine()?;
        let tries = (0..TRIES).map(|_| {
            let mut done = 0;
            let start = Instant::now();
            match machine {
                #[cfg(target_arch = "x86_64")]
                Machine::Avx512(simd) => simd.vectorize(Peak { done: &mut done }),
                #[cfg(target_arch = "x86_64")]
                Machine::Avx2(simd) => simd.vectorize(Peak { done: &mut done }),
                Machine::Portable(simd) => simd.vectorize(Peak { done: &mut done }),
            }
            done as f64 / start.elapsed().as_nanos() as f64
        });
        tries.max_by(f64::total_cmp)
    }
}

struct Peak<'a> {
    /// How many numbers were multiplied and added.
    done: &'a mut usize,
}

impl Operation for Peak<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (simd, sums) = (simd.narrow(), S::PIXELS * S::BLOCKS * S::Narrow::PARTS);
        *self.done = match sums {
            28 => multiplied::<_, 28>(simd),
            12 => multiplied::<_, 12>(simd),
            6 => multiplied::<_, 6>(simd),
            2 => multiplied::<_, 2>(simd),
            _ => unreachable!("a tile of {sums} sums"),
        };
    }
}

/// x becomes x × a + b over and over, for N vectors: each waits for itself alone.
#[inline(always)]
fn multiplied<A: Arithmetic, const N: usize>(simd: A) -> usize {
    let (a, b) = (simd.splat(black_box(0.5)), simd.splat(black_box(0.25)));
    let mut sums = [b; N];
    for sum in 0..N {
        // Each from a number that the compiler can't know to be another's: else it could do one for all.
        sums[sum] = simd.splat(black_box(0.25));
    }
    for _ in 0..TIMES {
        for sum in 0..N {
            sums[sum] = simd.mul_add(sums[sum], a, b);
        }
    }
    let numbers = size_of::<A::Vector>() / size_of::<f32>();
    black_box(sums);
    TIMES * N * numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_is_here_has_a_peak() {
        for path in Path::ALL {
            let peak = path.peak();
            assert_eq!(peak.is_some(), path.is_here(), "{path}");
            assert!(peak.is_none_or(|rate| rate > 0.0), "{path}: {peak:?}");
        }
    }
}
