//! Running one block of a network, band by band.
//!
//! For each band, three stages run. The first makes the input rows of the depthwise, except for
//! those that the last band left in the ring. The depthwise then makes the band's rows, and the
//! project writes them to the output.
//!
//! After an expand, the first two stages process two channel blocks (32 channels) at a time. The
//! depthwise then finds the expanded rows in the L1 cache.

use std::ops::Range;

use crate::kernel::depthwise::Depthwise;
use crate::kernel::pack::Matrix;
use crate::kernel::pointwise::PointwisePixels;
use crate::kernel::stem::StemRows;
use crate::lanes::Lanes;
use crate::observer::{Observer, Stage};
use crate::scratch::Scratch;
use crate::simd::Simd;
use crate::step::{BlockPlan, DepthwiseSource};

/// One run of a block.
pub(crate) struct BlockRun<'a, S> {
    pub(crate) simd: S,
    pub(crate) block: &'a BlockPlan,
    /// The picture, for a stem.
    pub(crate) picture: &'a [u8],
    /// The side of the picture, in pixels.
    pub(crate) side: usize,
    pub(crate) scratch: &'a mut Scratch,
}

impl<S: Simd> BlockRun<'_, S> {
    /// Computes the output map from the input map.
    pub(crate) fn run(&mut self, input: &[Lanes], output: &mut [Lanes], observer: &mut impl Observer) {
        let block = self.block;
        let mut made = 0;
        for first in (0..block.output_size.height).step_by(block.band) {
            let band = first..(first + block.band).min(block.output_size.height);
            let needed = block.rows_needed(band.end);
            // Rows that no output reads are never made.
            let missing = made.max(block.first_row_read(first))..needed;
            made = needed;
            // Group by group, so that the depthwise reads expanded rows while they are still in the
            // cache.
            for group in (0..block.channel_blocks()).step_by(block.group()) {
                let group = group..(group + block.group()).min(block.channel_blocks());
                self.make_input(input, group.clone(), missing.clone(), observer);
                self.depthwise(input, group, band.clone());
                observer.stage_ended(Stage::Depthwise);
            }
            // The projection sums over all channels, so it waits for the last group.
            self.project(input, band, output);
            observer.stage_ended(Stage::Project);
        }
    }

    /// Makes input rows of the depthwise.
    fn make_input(
        &mut self,
        input: &[Lanes],
        group: Range<usize>,
        rows: Range<usize>,
        observer: &mut impl Observer,
    ) {
        match &self.block.source {
            DepthwiseSource::Stem(stem) => {
                let block = self.block;
                self.simd.vectorize(StemRows {
                    stem,
                    picture: self.picture,
                    side: self.side,
                    rows,
                    scratch: &mut self.scratch.picture[..3 * stem.scratch_row_len()],
                    output: &mut self.scratch.ring,
                    output_stride: block.ring_stride(),
                    output_size: block.input_size,
                    ring: block.ring,
                });
                observer.stage_ended(Stage::Stem);
            }
            DepthwiseSource::Expand(matrix) => {
                self.expand(matrix, input, group, rows);
                observer.stage_ended(Stage::Expand);
            }
            DepthwiseSource::BlockInput => (),
        }
    }

    /// Expands rows into the ring. Rows that wrap around its end take a second call of the kernel.
    fn expand(&mut self, matrix: &Matrix, input: &[Lanes], group: Range<usize>, rows: Range<usize>) {
        let block = self.block;
        let width = block.input_size.width;
        let plane = block.ring_plane(group.start) * block.ring_stride();
        let mut row = rows.start;
        while row < rows.end {
            let slot = row % block.ring;
            let count = (rows.end - row).min(block.ring - slot);
            self.simd.vectorize(PointwisePixels {
                matrix,
                blocks: group.clone(),
                pixels: count * width,
                input: &input[row * width..],
                input_stride: block.input_size.pixels(),
                output: &mut self.scratch.ring[plane + slot * width..],
                output_stride: block.ring_stride(),
                residual: None,
            });
            row += count;
        }
    }

    fn depthwise(&mut self, input: &[Lanes], group: Range<usize>, rows: Range<usize>) {
        let block = self.block;
        let stride = block.depthwise_stride();
        let input = match block.source {
            // The whole input map serves as the ring. Its plan has a ring of the map's height.
            DepthwiseSource::BlockInput => &input[group.start * block.input_size.pixels()..],
            _ => &self.scratch.ring[block.ring_plane(group.start) * block.ring_stride()..],
        };
        self.simd.vectorize(Depthwise {
            taps: &block.depthwise,
            blocks: group.clone(),
            rows,
            input,
            input_stride: block.ring_stride(),
            input_size: block.input_size,
            ring: block.ring,
            zeros: &self.scratch.zeros,
            output: &mut self.scratch.depthwise[group.start * stride..],
            output_stride: stride,
            output_width: block.output_size.width,
        });
    }

    fn project(&mut self, input: &[Lanes], rows: Range<usize>, output: &mut [Lanes]) {
        let block = self.block;
        let (width, pixels) = (block.output_size.width, block.output_size.pixels());
        let first = rows.start * width;
        self.simd.vectorize(PointwisePixels {
            matrix: &block.project,
            blocks: 0..block.project.blocks(),
            pixels: rows.len() * width,
            input: &self.scratch.depthwise,
            input_stride: block.depthwise_stride(),
            output: &mut output[first..],
            output_stride: pixels,
            residual: block.residual.then(|| &input[first..]),
        });
    }
}
