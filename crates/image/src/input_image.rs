//! The square RGB image that a network expects.

/// A square image of upright RGB pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputImage {
    side: u32,
    rgb: Vec<u8>,
}

impl InputImage {
    /// Creates an image from its pixels: rows from the top, pixels from the left, in the order red,
    /// green, blue.
    ///
    /// Returns `None` unless there are `side` × `side` × 3 bytes.
    #[must_use]
    pub fn new(side: u32, rgb: Vec<u8>) -> Option<Self> {
        // The largest side needs more than 64 bits.
        let bytes = u128::from(side) * u128::from(side) * 3;
        (rgb.len() as u128 == bytes).then_some(Self { side, rgb })
    }

    /// Returns the width and height, in pixels.
    #[must_use]
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Returns the pixels, `side` × `side` × 3 bytes in row-major order.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    pub(crate) fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}
