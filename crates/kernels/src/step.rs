//! The steps of a compiled network, and the memory that each one needs.

use crate::kernel::pack::{Matrix, Taps};
use crate::kernel::stem::Stem;
use crate::layer::Size;

/// Channel blocks that go through expand and depthwise together.
pub(crate) const GROUP: usize = 2;

/// One step of a network, from one map to the next.
#[derive(Debug)]
pub(crate) enum PlanStep {
    Block(Box<BlockPlan>),
    /// A 1 × 1 convolution outside a block, and the size of its map.
    Pointwise(Matrix, Size),
    /// A stem outside a block, and the size of its output map.
    Stem(Stem, Size),
}

/// A block: depthwise, project, and the layer in front of them.
#[derive(Debug)]
pub(crate) struct BlockPlan {
    pub(crate) source: DepthwiseSource,
    pub(crate) depthwise: Taps,
    pub(crate) project: Matrix,
    /// Whether the block adds its input to its output.
    pub(crate) residual: bool,
    /// The size of the depthwise's input map.
    pub(crate) input_size: Size,
    /// The size of the depthwise's output map, and of the block's.
    pub(crate) output_size: Size,
    /// Output rows per band.
    pub(crate) band: usize,
    /// Input rows of the depthwise that the ring has room for.
    pub(crate) ring: usize,
}

/// Where a depthwise gets its input.
#[derive(Debug)]
pub(crate) enum DepthwiseSource {
    /// From the stem.
    Stem(Stem),
    /// From the expanded input of the block.
    Expand(Matrix),
    /// From the input of the block, as it is.
    BlockInput,
}

impl BlockPlan {
    /// Returns the number of channel blocks of the depthwise.
    pub(crate) fn channel_blocks(&self) -> usize {
        self.depthwise.bias.len()
    }

    /// Returns how many channel blocks are processed together.
    pub(crate) fn group(&self) -> usize {
        match self.source {
            DepthwiseSource::Expand(_) => GROUP,
            DepthwiseSource::Stem(_) | DepthwiseSource::BlockInput => self.channel_blocks(),
        }
    }

    /// Returns whether one band is the whole map.
    ///
    /// If so, no later band reads the ring, and each group may overwrite the rows of the last one.
    fn is_one_band(&self) -> bool {
        self.band >= self.output_size.height
    }

    /// Returns how many planes the ring has room for.
    fn ring_planes(&self) -> usize {
        if self.is_one_band() { self.group().min(self.channel_blocks()) } else { self.channel_blocks() }
    }

    /// Returns the ring's plane for a channel block.
    pub(crate) fn ring_plane(&self, block: usize) -> usize {
        if self.is_one_band() { block % self.group() } else { block }
    }

    /// Returns the size of a plane of the ring, or of the input map if the depthwise reads that.
    pub(crate) fn ring_stride(&self) -> usize {
        self.ring * self.input_size.width
    }

    /// Returns the size of a plane of the depthwise's output.
    pub(crate) fn depthwise_stride(&self) -> usize {
        self.band * self.output_size.width
    }

    /// Returns how many input rows the depthwise needs for its output rows `..end`.
    pub(crate) fn rows_needed(&self, end: usize) -> usize {
        // Padding above and below the map is not part of the input.
        ((end - 1) * self.depthwise.stride + 3).saturating_sub(self.depthwise.top).min(self.input_size.height)
    }

    /// Returns the first input row that the depthwise reads for an output row.
    pub(crate) fn first_row_read(&self, output_row: usize) -> usize {
        (output_row * self.depthwise.stride).saturating_sub(self.depthwise.top)
    }
}

/// Sizes count `Lanes`, except `picture_numbers`, which counts f32 values.
impl PlanStep {
    /// Returns the pixels of the output map.
    pub(crate) fn pixels(&self) -> usize {
        match self {
            Self::Block(block) => block.output_size.pixels(),
            Self::Pointwise(_, size) | Self::Stem(_, size) => size.pixels(),
        }
    }

    /// Returns the size of the output map.
    pub(crate) fn output_lanes(&self) -> usize {
        match self {
            Self::Block(block) => block.project.blocks() * block.output_size.pixels(),
            Self::Pointwise(matrix, size) => matrix.blocks() * size.pixels(),
            Self::Stem(stem, size) => stem.matrix.blocks() * size.pixels(),
        }
    }

    /// Returns the size of the picture rows that a stem works on.
    pub(crate) fn picture_numbers(&self) -> usize {
        match self {
            Self::Block(block) => match &block.source {
                DepthwiseSource::Stem(stem) => 3 * stem.scratch_row_len(),
                _ => 0,
            },
            Self::Stem(stem, _) => 3 * stem.scratch_row_len(),
            Self::Pointwise(..) => 0,
        }
    }

    /// Returns the size of the ring.
    pub(crate) fn ring_lanes(&self) -> usize {
        match self {
            Self::Block(block) if !matches!(block.source, DepthwiseSource::BlockInput) => {
                block.ring_planes() * block.ring_stride()
            }
            _ => 0,
        }
    }

    /// Returns the size of a depthwise's output for one band.
    pub(crate) fn depthwise_lanes(&self) -> usize {
        match self {
            Self::Block(block) => block.channel_blocks() * block.depthwise_stride(),
            Self::Pointwise(..) | Self::Stem(..) => 0,
        }
    }

    /// Returns the width of a depthwise's input map.
    pub(crate) fn depthwise_row_lanes(&self) -> usize {
        match self {
            Self::Block(block) => block.input_size.width,
            Self::Pointwise(..) | Self::Stem(..) => 0,
        }
    }
}
