//! Weights in the order in which the kernels read them.

use crate::lanes::{LANES, Lanes, blocks};
use crate::layer::{Clamp, Filter, Pointwise, Unsupported};

/// Taps of a 3 × 3 filter.
pub(crate) const TAPS: usize = 9;
/// Inputs of a stem's output: three colours at each tap.
pub(crate) const STEM_INPUTS: usize = 3 * TAPS;

/// The weights of a matrix product. Outputs go in blocks of sixteen; a block has one [`Lanes`] for each input, its
/// sixteen outputs' weights of that input: a tile reads it from the first to the last, without a gap.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Block, then input.
    pub(crate) weights: Vec<Lanes>,
    /// Block.
    pub(crate) bias: Vec<Lanes>,
    pub(crate) clamp: Clamp,
}

impl Matrix {
    /// Inputs stay in their order.
    pub(crate) fn pointwise(layer: &Pointwise, inputs: usize) -> Result<Self, Unsupported> {
        Self::pack(&layer.weights, &layer.bias, layer.clamp, inputs)
    }

    /// Inputs are row, column, colour: as pixels lie in memory.
    pub(crate) fn stem(layer: &Filter) -> Result<Self, Unsupported> {
        let (of_outputs, rest) = layer.weights.as_chunks();
        if !rest.is_empty() {
            return Err(shape(&layer.weights, &[layer.bias.len(), STEM_INPUTS]));
        }
        let in_order = |of_output: &[f32; STEM_INPUTS]| -> [f32; STEM_INPUTS] {
            std::array::from_fn(|input| of_output[input % 3 * TAPS + input / 3])
        };
        let weights: Vec<_> = of_outputs.iter().flat_map(in_order).collect();
        Self::pack(&weights, &layer.bias, layer.clamp, STEM_INPUTS)
    }

    fn pack(weights: &[f32], bias: &[f32], clamp: Clamp, inputs: usize) -> Result<Self, Unsupported> {
        let outputs = bias.len();
        if inputs == 0 || outputs == 0 || weights.len() != inputs * outputs {
            return Err(shape(weights, &[outputs, inputs]));
        }
        let mut packed = vec![Lanes::ZERO; blocks(outputs) * inputs];
        for (block, of_outputs) in packed.chunks_exact_mut(inputs).zip(weights.chunks(LANES * inputs)) {
            // A cache line of each output's weights at once: what they are written to stays in the first cache for all sixteen.
            for (tile, some) in block.chunks_mut(LANES).enumerate() {
                for (lane, of_output) in of_outputs.chunks_exact(inputs).enumerate() {
                    for (lanes, weight) in some.iter_mut().zip(&of_output[LANES * tile..]) {
                        lanes.0[lane] = *weight;
                    }
                }
            }
        }
        Ok(Self { inputs, outputs, weights: packed, bias: in_lanes(bias), clamp })
    }

    pub(crate) fn blocks(&self) -> usize {
        self.bias.len()
    }
}

/// The weights of a depthwise convolution: a block of sixteen channels has nine [`Lanes`], one for each tap.
#[derive(Debug)]
pub(crate) struct Taps {
    /// Block.
    pub(crate) weights: Vec<[Lanes; TAPS]>,
    /// Block.
    pub(crate) bias: Vec<Lanes>,
    pub(crate) clamp: Clamp,
    pub(crate) stride: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
}

impl Taps {
    pub(crate) fn depthwise(layer: &Filter, channels: usize) -> Result<Self, Unsupported> {
        if layer.bias.len() != channels || layer.weights.len() != TAPS * channels {
            return Err(shape(&layer.weights, &[channels, TAPS]));
        }
        let mut weights = vec![[Lanes::ZERO; TAPS]; blocks(channels)];
        for (channel, taps) in layer.weights.chunks_exact(TAPS).enumerate() {
            for (lanes, tap) in weights[channel / LANES].iter_mut().zip(taps) {
                lanes.0[channel % LANES] = *tap;
            }
        }
        let &Filter { clamp, stride, padding, .. } = layer;
        Ok(Self { weights, bias: in_lanes(&layer.bias), clamp, stride, top: padding.top, left: padding.left })
    }
}

/// Numbers of channels, block by block; the last is filled up with zeros.
fn in_lanes(numbers: &[f32]) -> Vec<Lanes> {
    let lanes = |some: &[f32]| Lanes(std::array::from_fn(|lane| some.get(lane).copied().unwrap_or(0.0)));
    numbers.chunks(LANES).map(lanes).collect()
}

fn shape(weights: &[f32], expected: &[usize]) -> Unsupported {
    Unsupported(format!("{} weights where {expected:?} are expected", weights.len()))
}
