//! One block of a network, band by band: some rows of its output at a time.
//!
//! For a band, the rows that the depthwise reads are made first, as far as the last band has not left them in the ring; then
//! the depthwise makes the band's rows, then the project takes them to the output. Behind an expand, two blocks of channels (32 channels) go
//! through the first two before the next two begin, so that the depthwise finds in the first cache what the expand has just put there.

use std::ops::Range;

use crate::depthwise::Depthwise;
use crate::lanes::Lanes;
use crate::network::Scratch;
use crate::pack::Matrix;
use crate::plan::{Block, Source};
use crate::pointwise::Pointwise;
use crate::profile::{Stage, Watch};
use crate::simd::Simd;
use crate::stem::Rows;

/// A block, and what it works on and in.
pub(crate) struct Work<'a, S> {
    pub(crate) simd: S,
    pub(crate) block: &'a Block,
    /// The picture, for a stem.
    pub(crate) picture: &'a [u8],
    pub(crate) side: usize,
    pub(crate) scratch: &'a mut Scratch,
}

impl<S: Simd> Work<'_, S> {
    /// Makes the output's map of the input's.
    pub(crate) fn run(&mut self, input: &[Lanes], output: &mut [Lanes], watch: &mut impl Watch) {
        let block = self.block;
        let mut made = 0;
        for first in (0..block.deep.height).step_by(block.band) {
            let band = first..(first + block.band).min(block.deep.height);
            let needed = block.needed(band.end);
            let fresh = made.max(block.ring_start(first))..needed;
            made = needed;
            for group in (0..block.blocks()).step_by(block.group()) {
                let group = group..(group + block.group()).min(block.blocks());
                self.source(input, group.clone(), fresh.clone(), watch);
                self.depthwise(input, group, band.clone());
                watch.stage(Stage::Depthwise);
            }
            self.project(input, band, output);
            watch.stage(Stage::Project);
        }
    }

    /// Makes rows that the depthwise reads.
    fn source(&mut self, input: &[Lanes], group: Range<usize>, rows: Range<usize>, watch: &mut impl Watch) {
        match &self.block.source {
            Source::Stem(stem) => {
                let block = self.block;
                self.simd.vectorize(Rows {
                    stem,
                    picture: self.picture,
                    side: self.side,
                    rows,
                    scratch: &mut self.scratch.picture[..3 * stem.row_numbers()],
                    output: &mut self.scratch.ring,
                    output_stride: block.ring_stride(),
                    output_size: block.wide,
                    ring: block.ring,
                });
                watch.stage(Stage::Stem);
            }
            Source::Expand(matrix) => {
                self.expand(matrix, input, group, rows);
                watch.stage(Stage::Expand);
            }
            Source::Input => (),
        }
    }

    /// Expands rows into the ring: in two pieces where they go over its end.
    fn expand(&mut self, matrix: &Matrix, input: &[Lanes], group: Range<usize>, rows: Range<usize>) {
        let block = self.block;
        let width = block.wide.width;
        let plane = block.ring_plane(group.start) * block.ring_stride();
        let mut row = rows.start;
        while row < rows.end {
            let slot = row % block.ring;
            let count = (rows.end - row).min(block.ring - slot);
            self.simd.vectorize(Pointwise {
                matrix,
                blocks: group.clone(),
                pixels: count * width,
                input: &input[row * width..],
                input_stride: block.wide.pixels(),
                output: &mut self.scratch.ring[plane + slot * width..],
                output_stride: block.ring_stride(),
                residual: None,
            });
            row += count;
        }
    }

    fn depthwise(&mut self, input: &[Lanes], group: Range<usize>, rows: Range<usize>) {
        let block = self.block;
        let stride = block.deep_stride();
        let input = match block.source {
            Source::Input => &input[group.start * block.wide.pixels()..],
            _ => &self.scratch.ring[block.ring_plane(group.start) * block.ring_stride()..],
        };
        self.simd.vectorize(Depthwise {
            taps: &block.depthwise,
            blocks: group.clone(),
            rows,
            input,
            input_stride: block.ring_stride(),
            input_size: block.wide,
            ring: block.ring,
            zeros: &self.scratch.zeros,
            output: &mut self.scratch.deep[group.start * stride..],
            output_stride: stride,
            output_width: block.deep.width,
        });
    }

    fn project(&mut self, input: &[Lanes], rows: Range<usize>, output: &mut [Lanes]) {
        let block = self.block;
        let (width, pixels) = (block.deep.width, block.deep.pixels());
        let first = rows.start * width;
        self.simd.vectorize(Pointwise {
            matrix: &block.project,
            blocks: 0..block.project.blocks(),
            pixels: rows.len() * width,
            input: &self.scratch.deep,
            input_stride: block.deep_stride(),
            output: &mut output[first..],
            output_stride: pixels,
            residual: block.residual.then(|| &input[first..]),
        });
    }
}
