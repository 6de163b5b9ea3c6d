//! Layers become steps: an inverted residual block is one, so that its wide middle never goes to memory as a whole.

use crate::lanes::blocks;
use crate::layer::{Clamp, Filter, Layer, Padding, Pointwise, Size, Unsupported};
use crate::pack::{Matrix, Taps};
use crate::stem::Stem;

/// Bytes of the middle of a block that are worked on at once: a part of a core's second cache.
pub(crate) const MIDDLE_BYTES: usize = 256 << 10;

/// One step of a network, from one map to the next.
#[derive(Debug)]
pub(crate) enum Step {
    Block(Box<Block>),
    Pointwise(Matrix, Size),
    Stem(Stem, Size),
}

/// Depthwise and project, and what comes before them.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) source: Source,
    pub(crate) depthwise: Taps,
    pub(crate) project: Matrix,
    pub(crate) residual: bool,
    /// What the depthwise reads.
    pub(crate) wide: Size,
    /// What it gives.
    pub(crate) deep: Size,
    /// Rows of the output that are made at once.
    pub(crate) band: usize,
    /// Rows that are kept of what the depthwise reads.
    pub(crate) ring: usize,
}

/// What the depthwise reads.
#[derive(Debug)]
pub(crate) enum Source {
    /// The stem's rows of the picture.
    Stem(Stem),
    /// The block's input, expanded.
    Expand(Matrix),
    /// The block's input.
    Input,
}

/// Blocks of outputs that go through expand and depthwise together.
pub(crate) const GROUP: usize = 2;

impl Block {
    /// Blocks of channels in the middle.
    pub(crate) fn blocks(&self) -> usize {
        self.depthwise.bias.len()
    }

    /// How many blocks of channels go together.
    pub(crate) fn group(&self) -> usize {
        match self.source {
            Source::Expand(_) => GROUP,
            Source::Stem(_) | Source::Input => self.blocks(),
        }
    }

    /// Whether one band is the whole map: then what one group of channels leaves in the ring, no one needs after it.
    pub(crate) fn at_once(&self) -> bool {
        self.band >= self.deep.height
    }

    /// The planes that the ring has room for.
    pub(crate) fn ring_blocks(&self) -> usize {
        if self.at_once() { self.group().min(self.blocks()) } else { self.blocks() }
    }
}

/// What the layers so far give.
struct Map {
    size: Size,
    channels: usize,
    /// Bytes for the middle of a block.
    middle: usize,
}

/// The steps of a network, and how many numbers its embedding has.
pub(crate) fn steps(
    layers: &[Layer],
    side: usize,
    mean: [f32; 3],
    std: [f32; 3],
    middle: usize,
) -> Result<(Vec<Step>, usize), Unsupported> {
    let mut map = Map { size: Size { width: side, height: side }, channels: 3, middle };
    let mut steps = Vec::new();
    let mut at = 0;
    while at < layers.len() {
        let (step, taken) = match &layers[at..] {
            [Layer::Stem(stem), Layer::Depthwise(depthwise), Layer::Pointwise(project), ..] if at == 0 => {
                let wide = stem.size_of(map.size)?;
                let source = Source::Stem(stem_of(stem, side, mean, std)?);
                (block(&mut map, source, stem.bias.len(), wide, depthwise, project)?, 3)
            }
            [Layer::Stem(stem), ..] if at == 0 => {
                let size = stem.size_of(map.size)?;
                map = Map { size, channels: stem.bias.len(), ..map };
                (Step::Stem(stem_of(stem, side, mean, std)?, size), 1)
            }
            [Layer::Depthwise(depthwise), Layer::Pointwise(project), ..] if at > 0 => {
                let (channels, size) = (map.channels, map.size);
                (block(&mut map, Source::Input, channels, size, depthwise, project)?, 2)
            }
            [Layer::Pointwise(expand), Layer::Depthwise(depthwise), Layer::Pointwise(project), ..]
                if at > 0 =>
            {
                let source = Source::Expand(Matrix::pointwise(expand, map.channels)?);
                let size = map.size;
                (block(&mut map, source, expand.bias.len(), size, depthwise, project)?, 3)
            }
            [Layer::Pointwise(alone), ..] if at > 0 => {
                let matrix = Matrix::pointwise(alone, map.channels)?;
                map.channels = matrix.outputs;
                (Step::Pointwise(matrix, map.size), 1)
            }
            _ => return Err(Unsupported(format!("layer {at} is not where these kernels have it"))),
        };
        let (step, taken) = match layers.get(at + taken) {
            Some(Layer::Add(of)) => {
                (with_residual(step, at.checked_sub(1) == Some(*of), &layers[at..])?, taken + 1)
            }
            _ => (step, taken),
        };
        at += taken;
        steps.push(step);
    }
    if steps.is_empty() {
        return Err(Unsupported("there is no layer".into()));
    }
    Ok((steps, map.channels))
}

fn stem_of(stem: &Filter, side: usize, mean: [f32; 3], std: [f32; 3]) -> Result<Stem, Unsupported> {
    if stem.stride != 2 {
        return Err(Unsupported(format!("a stem of stride {}", stem.stride)));
    }
    let Padding { top, left, .. } = stem.padding;
    let mean = mean.repeat(side);
    let scale = std.map(|std| 1.0 / std).repeat(side);
    Ok(Stem { matrix: Matrix::stem(stem)?, top, left, mean, scale })
}

fn block(
    map: &mut Map,
    source: Source,
    channels: usize,
    wide: Size,
    depthwise: &Filter,
    project: &Pointwise,
) -> Result<Step, Unsupported> {
    let deep = depthwise.size_of(wide)?;
    let stride = depthwise.stride;
    let depthwise = Taps::depthwise(depthwise, channels)?;
    let project = Matrix::pointwise(project, channels)?;
    *map = Map { size: deep, channels: project.outputs, ..*map };
    let band = band(&source, blocks(channels), wide, deep, stride, map.middle);
    // What a band reads: so many rows are needed at once, and no more.
    let ring =
        if matches!(source, Source::Input) { wide.height } else { rows(band, stride).min(wide.height) };
    Ok(Step::Block(Box::new(Block { source, depthwise, project, residual: false, wide, deep, band, ring })))
}

/// Rows that a depthwise reads for so many rows.
fn rows(band: usize, stride: usize) -> usize {
    (band - 1) * stride + 3
}

/// Rows of a band: as many as keep the middle of the block in the second cache, and at least one.
fn band(source: &Source, blocks: usize, wide: Size, deep: Size, stride: usize, middle: usize) -> usize {
    let bytes = |band: usize| {
        let at_once = band >= deep.height;
        let read = match source {
            Source::Input => 0,
            Source::Expand(_) if at_once => rows(band, stride) * wide.width * GROUP.min(blocks),
            _ => rows(band, stride) * wide.width * blocks,
        };
        64 * (read + band * deep.width * blocks)
    };
    let fits = |band: &usize| bytes(*band) <= middle;
    (1..=deep.height).rev().find(fits).unwrap_or(1)
}

/// The step with what it adds to its output: its own input.
fn with_residual(step: Step, of_its_input: bool, layers: &[Layer]) -> Result<Step, Unsupported> {
    let no_block = || Unsupported("something is added that is not a block's input".into());
    match step {
        Step::Block(mut block) if of_its_input => {
            let same = block.wide == block.deep && !matches!(block.source, Source::Stem(_));
            let inputs = match (&block.source, layers.first()) {
                (Source::Expand(expand), _) => expand.inputs,
                (_, Some(Layer::Depthwise(depthwise))) => depthwise.bias.len(),
                _ => return Err(no_block()),
            };
            if !same || inputs != block.project.outputs || block.project.clamp != Clamp::NONE {
                return Err(no_block());
            }
            block.residual = true;
            Ok(Step::Block(block))
        }
        _ => Err(no_block()),
    }
}

impl Block {
    /// Rows that are there when the depthwise makes its rows up to `end`.
    pub(crate) fn needed(&self, end: usize) -> usize {
        ((end - 1) * self.depthwise.stride + 3).saturating_sub(self.depthwise.top).min(self.wide.height)
    }

    /// The first row that the depthwise reads for its row `first`.
    pub(crate) fn ring_start(&self, first: usize) -> usize {
        (first * self.depthwise.stride).saturating_sub(self.depthwise.top)
    }

    /// Lanes of a plane of the ring; of the input's map where the depthwise reads that.
    pub(crate) fn ring_stride(&self) -> usize {
        self.ring * self.wide.width
    }

    /// The plane of the ring that holds a block of channels.
    pub(crate) fn ring_plane(&self, block: usize) -> usize {
        if self.at_once() { block % self.group() } else { block }
    }

    /// Lanes of a plane of what the depthwise gives.
    pub(crate) fn deep_stride(&self) -> usize {
        self.band * self.deep.width
    }
}

impl Step {
    /// Pixels of the output's map.
    pub(crate) fn pixels(&self) -> usize {
        match self {
            Self::Block(block) => block.deep.pixels(),
            Self::Pointwise(_, size) | Self::Stem(_, size) => size.pixels(),
        }
    }

    /// Lanes of the output's map.
    pub(crate) fn output_lanes(&self) -> usize {
        match self {
            Self::Block(block) => block.project.blocks() * block.deep.pixels(),
            Self::Pointwise(matrix, size) => matrix.blocks() * size.pixels(),
            Self::Stem(stem, size) => stem.matrix.blocks() * size.pixels(),
        }
    }

    /// Numbers of the picture's rows that a stem works on.
    pub(crate) fn picture_numbers(&self) -> usize {
        match self {
            Self::Block(block) => match &block.source {
                Source::Stem(stem) => 3 * stem.row_numbers(),
                _ => 0,
            },
            Self::Stem(stem, _) => 3 * stem.row_numbers(),
            Self::Pointwise(..) => 0,
        }
    }

    /// Lanes of the ring.
    pub(crate) fn ring_lanes(&self) -> usize {
        match self {
            Self::Block(block) if !matches!(block.source, Source::Input) => {
                block.ring_blocks() * block.ring_stride()
            }
            _ => 0,
        }
    }

    /// Lanes of what a depthwise gives for a band.
    pub(crate) fn deep_lanes(&self) -> usize {
        match self {
            Self::Block(block) => block.blocks() * block.deep_stride(),
            Self::Pointwise(..) | Self::Stem(..) => 0,
        }
    }

    /// Pixels of a row that a depthwise reads.
    pub(crate) fn wide_lanes(&self) -> usize {
        match self {
            Self::Block(block) => block.wide.width,
            Self::Pointwise(..) | Self::Stem(..) => 0,
        }
    }
}
