//! The unit of all memory in this crate: sixteen channels of one pixel.

/// Channels per [`Lanes`], on every instruction set.
pub(crate) const LANES: usize = 16;

/// Sixteen channels of one pixel, or one input's weights for sixteen outputs.
///
/// It fills one cache line and one AVX-512 register.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lanes(pub(crate) [f32; LANES]);

impl Lanes {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// Returns how many channel blocks a number of channels needs. The last one may be partly filled.
pub(crate) const fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}
