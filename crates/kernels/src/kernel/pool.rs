//! The last layer: the mean of each channel over all pixels.

use crate::lanes::{LANES, Lanes};
use crate::simd::{Operation, Simd};

/// Computes the mean of each channel of a map.
pub(crate) struct Pool<'a> {
    /// One plane per channel block.
    pub(crate) input: &'a [Lanes],
    pub(crate) pixels: usize,
    /// One number per channel.
    pub(crate) means: &'a mut [f32],
}

impl Operation for Pool<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let planes = self.input.chunks_exact(self.pixels);
        for (plane, means) in planes.zip(self.means.chunks_mut(LANES)) {
            let mut sum = simd.splat(0.0);
            for pixel in plane {
                sum = simd.add(sum, simd.load(pixel, 0));
            }
            let mut sums = Lanes::ZERO;
            simd.store(&mut sums, 0, sum);
            for (mean, sum) in means.iter_mut().zip(sums.0) {
                *mean = sum / self.pixels as f32;
            }
        }
    }
}
