//! The unit of all memory here: sixteen channels of one pixel.

/// How many channels stand side by side, on every path.
pub(crate) const LANES: usize = 16;

/// Sixteen channels of one pixel, or sixteen outputs' weights of one input: one cache line, one AVX-512 register.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lanes(pub(crate) [f32; LANES]);

impl Lanes {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// Blocks of lanes that so many channels fill. The last may be filled in part.
pub(crate) const fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}
