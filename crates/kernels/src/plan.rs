//! Planning: layers become steps.
//!
//! An inverted residual block is one step, so its wide middle never goes to memory as a whole.

use crate::kernel::pack::{Matrix, Taps};
use crate::kernel::stem::Stem;
use crate::lanes::blocks;
use crate::layer::{Clamp, Filter, Layer, Padding, Pointwise, Size, Unsupported};
use crate::step::{BlockPlan, DepthwiseSource, GROUP, PlanStep};

/// The most bytes in use for the middle of a block at any time: a part of a core's L2 cache.
pub(crate) const MIDDLE_BYTES: usize = 256 << 10;

/// The input of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    /// The side of a picture, in pixels.
    pub(crate) side: usize,
    /// Subtracted from each byte, by colour.
    pub(crate) mean: [f32; 3],
    /// Each byte is then divided by this, by colour.
    pub(crate) std: [f32; 3],
}

/// Plans the steps of a network. Returns them with the dimension of its embedding.
///
/// `middle_bytes` limits the bytes in use for the middle of a block.
pub(crate) fn plan(
    layers: &[Layer],
    input: Input,
    middle_bytes: usize,
) -> Result<(Vec<PlanStep>, usize), Unsupported> {
    let size = Size { width: input.side, height: input.side };
    let mut planner = Planner { input, middle_bytes, size, channels: 3 };
    let mut steps = Vec::new();
    let mut at = 0;
    while at < layers.len() {
        let (step, taken) = planner.next_step(layers, at)?;
        let (step, taken) = match layers.get(at + taken) {
            // An `Add` names the layer whose output it adds. For a residual, that is the layer
            // before the step.
            Some(Layer::Add(index)) => {
                (with_residual(step, at.checked_sub(1) == Some(*index), &layers[at..])?, taken + 1)
            }
            _ => (step, taken),
        };
        at += taken;
        steps.push(step);
    }
    if steps.is_empty() {
        return Err(Unsupported("the network has no layers".into()));
    }
    Ok((steps, planner.channels))
}

/// The state between two steps: the map that the layers so far produce.
struct Planner {
    input: Input,
    middle_bytes: usize,
    size: Size,
    channels: usize,
}

impl Planner {
    /// Plans the step that starts at layer `at`. Returns it with the number of layers that it
    /// covers.
    fn next_step(&mut self, layers: &[Layer], at: usize) -> Result<(PlanStep, usize), Unsupported> {
        let (channels, size) = (self.channels, self.size);
        // The longest pattern must match first, so it comes before its own prefix.
        Ok(match &layers[at..] {
            [Layer::Stem(stem), Layer::Depthwise(depthwise), Layer::Pointwise(project), ..] if at == 0 => {
                let (source, size) = (DepthwiseSource::Stem(self.stem(stem)?), stem.output_size(size)?);
                (self.block(source, stem.bias.len(), size, depthwise, project)?, 3)
            }
            [Layer::Stem(stem), ..] if at == 0 => {
                self.size = stem.output_size(size)?;
                self.channels = stem.bias.len();
                (PlanStep::Stem(self.stem(stem)?, self.size), 1)
            }
            [Layer::Depthwise(depthwise), Layer::Pointwise(project), ..] if at > 0 => {
                (self.block(DepthwiseSource::BlockInput, channels, size, depthwise, project)?, 2)
            }
            [Layer::Pointwise(expand), Layer::Depthwise(depthwise), Layer::Pointwise(project), ..]
                if at > 0 =>
            {
                let source = DepthwiseSource::Expand(Matrix::pointwise(expand, channels)?);
                (self.block(source, expand.bias.len(), size, depthwise, project)?, 3)
            }
            [Layer::Pointwise(pointwise), ..] if at > 0 => {
                let matrix = Matrix::pointwise(pointwise, channels)?;
                self.channels = matrix.outputs;
                (PlanStep::Pointwise(matrix, size), 1)
            }
            _ => return Err(Unsupported(format!("the kernels have no step that starts at layer {at}"))),
        })
    }

    fn stem(&self, stem: &Filter) -> Result<Stem, Unsupported> {
        if stem.stride != 2 {
            return Err(Unsupported(format!(
                "the stem has stride {}; the kernels have stride 2",
                stem.stride
            )));
        }
        let Padding { top, left, .. } = stem.padding;
        let Input { side, mean, std } = self.input;
        // One entry per byte of a row, so that the kernel needs no index of the colour.
        let mean = mean.repeat(side);
        let scale = std.map(|std| 1.0 / std).repeat(side);
        Ok(Stem { matrix: Matrix::stem(stem)?, top, left, mean, scale })
    }

    /// Plans a block. `channels` and `input_size` are those of the depthwise's input.
    fn block(
        &mut self,
        source: DepthwiseSource,
        channels: usize,
        input_size: Size,
        depthwise: &Filter,
        project: &Pointwise,
    ) -> Result<PlanStep, Unsupported> {
        let output_size = depthwise.output_size(input_size)?;
        let stride = depthwise.stride;
        let depthwise = Taps::depthwise(depthwise, channels)?;
        let project = Matrix::pointwise(project, channels)?;
        (self.size, self.channels) = (output_size, project.outputs);
        let band = self.band(&source, blocks(channels), input_size, output_size, stride);
        // The ring needs room for the rows that one band reads, and no more.
        let ring = match source {
            DepthwiseSource::BlockInput => input_size.height,
            _ => rows_read(band, stride).min(input_size.height),
        };
        Ok(PlanStep::Block(Box::new(BlockPlan {
            source,
            depthwise,
            project,
            residual: false,
            input_size,
            output_size,
            band,
            ring,
        })))
    }

    /// Returns the rows of the highest band whose middle stays within the limit. The minimum is one
    /// row.
    fn band(
        &self,
        source: &DepthwiseSource,
        blocks: usize,
        input_size: Size,
        output_size: Size,
        stride: usize,
    ) -> usize {
        let bytes = |band: usize| {
            let one_band = band >= output_size.height;
            let input = match source {
                DepthwiseSource::BlockInput => 0,
                // A single band needs only the planes of one group: see `BlockPlan::ring_planes`.
                DepthwiseSource::Expand(_) if one_band => {
                    rows_read(band, stride) * input_size.width * GROUP.min(blocks)
                }
                _ => rows_read(band, stride) * input_size.width * blocks,
            };
            // A `Lanes` has 64 bytes.
            64 * (input + band * output_size.width * blocks)
        };
        (1..=output_size.height).rev().find(|band| bytes(*band) <= self.middle_bytes).unwrap_or(1)
    }
}

/// Returns how many input rows a depthwise reads for a band.
fn rows_read(band: usize, stride: usize) -> usize {
    (band - 1) * stride + 3
}

/// Makes a step add its own input to its output. `adds_input` says whether the network adds just
/// that.
fn with_residual(step: PlanStep, adds_input: bool, layers: &[Layer]) -> Result<PlanStep, Unsupported> {
    let message = "an `Add` must add the input of its block, which keeps the shape and has no final clamp";
    let unsupported = || Unsupported(message.into());
    match step {
        PlanStep::Block(mut block) if adds_input => {
            // The input of a stem is the picture, which can't be added to a map.
            let same_size =
                block.input_size == block.output_size && !matches!(block.source, DepthwiseSource::Stem(_));
            let inputs = match (&block.source, layers.first()) {
                (DepthwiseSource::Expand(expand), _) => expand.inputs,
                (_, Some(Layer::Depthwise(depthwise))) => depthwise.bias.len(),
                _ => return Err(unsupported()),
            };
            if !same_size || inputs != block.project.outputs || block.project.clamp != Clamp::NONE {
                return Err(unsupported());
            }
            block.residual = true;
            Ok(PlanStep::Block(block))
        }
        _ => Err(unsupported()),
    }
}
