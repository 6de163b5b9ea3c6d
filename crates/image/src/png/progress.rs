//! Bounds the bytes that a PNG spends on its pixels.

use png::Info;

use crate::source::Allowance;

/// What an encoder may waste, for example on tiny chunks of a small image.
const TOLERANCE: u64 = 256 << 10;

/// The rows that the decoder has been asked for, as uncompressed bytes.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    allowance: &'a Allowance<'a>,
    start: u64,
    raw_bytes: u64,
    bits_per_pixel: u64,
}

impl<'a> Progress<'a> {
    /// Creates the progress of a decoder that has read everything before the pixels.
    pub(super) fn new(allowance: &'a Allowance<'a>, info: &Info<'_>) -> Self {
        let bits_per_pixel = 8 * info.bytes_per_pixel() as u64;
        let bits_per_pixel =
            if info.bytes_per_pixel() == 1 { u64::from(info.bit_depth as u8) } else { bits_per_pixel };
        Self { allowance, start: allowance.taken(), raw_bytes: 0, bits_per_pixel }
    }

    /// Allows the decoder to read as much as an uncompressed row of this many pixels takes.
    pub(super) fn allow_row(&mut self, pixels: u32) {
        self.raw_bytes += (u64::from(pixels) * self.bits_per_pixel).div_ceil(8) + 1;
        // Stored blocks and chunks add less than a hundredth to the uncompressed bytes.
        self.allowance.set_limit(self.start + self.raw_bytes + self.raw_bytes / 20 + TOLERANCE);
    }
}
