//! Random numbers.

use crate::geometry::direction;

/// `SplitMix64` (Steele, Lea and Flood, 2014).
///
/// A library's generator might change its output in a new version, and with it every picture.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from `low` to `high`, uniformly distributed.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        // The upper 24 bits: an f32 represents no more exactly.
        low + (high - low) * ((self.next_u64() >> 40) as f32 / (1 << 24) as f32)
    }

    /// Returns true with this probability.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// Returns a random direction in the picture plane.
    pub(crate) fn heading(&mut self) -> [f32; 2] {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            // Rejecting points outside the circle makes all directions equally likely.
            if (0.01..1.0).contains(&(x * x + y * y)) {
                return direction(x, y);
            }
        }
    }
}
