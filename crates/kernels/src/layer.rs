//! A network as its author wrote it: layers in their order, weights as ONNX has them.

use std::fmt;

/// One layer. It takes what the layer before it gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// The first: a 3 × 3 convolution of the picture.
    Stem(Filter),
    /// A 3 × 3 convolution of each channel on its own.
    Depthwise(Filter),
    /// A 1 × 1 convolution: at each pixel, every output from every input.
    Pointwise(Pointwise),
    /// Adds what the layer of that index gave.
    Add(usize),
}

/// A 3 × 3 convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Of the stem: output, then red, green, blue, then row, then column. Of a depthwise: channel, row, column.
    pub weights: Vec<f32>,
    /// One for each output; their count is the count of outputs.
    pub bias: Vec<f32>,
    /// What holds the outputs.
    pub clamp: Clamp,
    /// Pixels from one output to the next, both ways.
    pub stride: usize,
    /// Zeros around the map.
    pub padding: Padding,
}

/// A 1 × 1 convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointwise {
    /// Output, then input.
    pub weights: Vec<f32>,
    /// One for each output; their count is the count of outputs.
    pub bias: Vec<f32>,
    /// What holds the outputs.
    pub clamp: Clamp,
}

/// Bounds that hold a layer's outputs: 0 and 6 for ReLU6.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// The least.
    pub low: f32,
    /// The greatest.
    pub high: f32,
}

impl Clamp {
    /// Outputs as they are.
    pub const NONE: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    /// From 0.
    pub const RELU: Self = Self { low: 0.0, high: f32::INFINITY };
    /// From 0 to 6.
    pub const RELU6: Self = Self { low: 0.0, high: 6.0 };
}

/// Zeros around a map, in pixels. Keras pads convolutions of stride 2 below and on the right only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns on the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the right.
    pub right: usize,
}

impl Padding {
    /// One pixel on each side.
    pub const AROUND: Self = Self { top: 1, left: 1, bottom: 1, right: 1 };
    /// One row below, one column on the right.
    pub const BEHIND: Self = Self { top: 0, left: 0, bottom: 1, right: 1 };
}

/// Width and height of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Size {
    pub(crate) fn pixels(self) -> usize {
        self.width * self.height
    }
}

impl Filter {
    /// The size of the map that this makes of one, or why it can't.
    pub(crate) fn size_of(&self, source: Size) -> Result<Size, Unsupported> {
        let Padding { top, left, bottom, right } = self.padding;
        if !matches!(self.stride, 1 | 2) || [top, left, bottom, right].iter().any(|side| *side > 1) {
            return Err(Unsupported(format!("a stride of {} with {:?}", self.stride, self.padding)));
        }
        let along = |pixels: usize| Some(pixels.checked_sub(3)? / self.stride + 1);
        let size = along(source.width + left + right).zip(along(source.height + top + bottom));
        let (width, height) = size.ok_or_else(|| Unsupported(format!("3 × 3 of a map of {source:?}")))?;
        Ok(Size { width, height })
    }
}

/// Why a network is not one for these kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(pub(crate) String);

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}
