//! A network as its author wrote it: layers in order, weights in ONNX's layout.

use std::fmt;

/// One layer. Its input is the output of the layer before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// A 3 × 3 convolution of the picture. Always the first layer.
    Stem(Filter),
    /// A 3 × 3 convolution of each channel separately.
    Depthwise(Filter),
    /// A 1 × 1 convolution: each pixel's outputs from the same pixel's inputs.
    Pointwise(Pointwise),
    /// Adds the output of the layer with this index.
    Add(usize),
}

/// A 3 × 3 convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// In a stem: output, colour (red, green, blue), row, column. In a depthwise: channel, row,
    /// column.
    pub weights: Vec<f32>,
    /// One number per output. Its length is the number of outputs.
    pub bias: Vec<f32>,
    /// Applied to the outputs.
    pub clamp: Clamp,
    /// The step from one output to the next, in pixels, in both directions.
    pub stride: usize,
    /// Zeros around the input map.
    pub padding: Padding,
}

/// A 1 × 1 convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointwise {
    /// Output, then input.
    pub weights: Vec<f32>,
    /// One number per output. Its length is the number of outputs.
    pub bias: Vec<f32>,
    /// Applied to the outputs.
    pub clamp: Clamp,
}

/// Bounds of a layer's outputs, such as 0 and 6 for ReLU6.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// The lower bound.
    pub low: f32,
    /// The upper bound.
    pub high: f32,
}

impl Clamp {
    /// No bounds.
    pub const NONE: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    /// A lower bound of 0.
    pub const RELU: Self = Self { low: 0.0, high: f32::INFINITY };
    /// Bounds of 0 and 6.
    pub const RELU6: Self = Self { low: 0.0, high: 6.0 };
}

/// Zeros around a map, in pixels.
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
    pub const ALL_SIDES: Self = Self { top: 1, left: 1, bottom: 1, right: 1 };
    /// One row below and one column on the right, as Keras pads convolutions of stride 2.
    pub const BOTTOM_RIGHT: Self = Self { top: 0, left: 0, bottom: 1, right: 1 };
}

/// Width and height of a map, in pixels.
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
    /// Returns the size of the output map for an input map of this size.
    ///
    /// # Errors
    /// [`Unsupported`] if the kernels lack the stride or the padding, or if the input map is too
    /// small.
    pub(crate) fn output_size(&self, input: Size) -> Result<Size, Unsupported> {
        let Padding { top, left, bottom, right } = self.padding;
        // The kernels have code for zeros in the first and the last row and column only.
        if !matches!(self.stride, 1 | 2) || [top, left, bottom, right].iter().any(|side| *side > 1) {
            return Err(Unsupported(format!(
                "3 × 3 convolution with stride {} and {:?}; supported are stride 1 or 2, and padding up to 1",
                self.stride, self.padding
            )));
        }
        let along = |pixels: usize| Some(pixels.checked_sub(3)? / self.stride + 1);
        let size = along(input.width + left + right).zip(along(input.height + top + bottom));
        let Size { width, height } = input;
        let (width, height) = size.ok_or_else(|| {
            Unsupported(format!("a map of {width} × {height} pixels is too small for a 3 × 3 convolution"))
        })?;
        Ok(Size { width, height })
    }
}

/// Why the kernels can't run a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(pub(crate) String);

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}
