//! Packing: weights in the order in which the kernels read them.

use crate::lanes::{LANES, Lanes, blocks};
use crate::layer::{Clamp, Filter, Pointwise, Unsupported};

/// Taps of a 3 × 3 filter.
pub(crate) const TAPS: usize = 9;
/// Inputs per output of a stem: three colours at each tap.
pub(crate) const STEM_INPUTS: usize = 3 * TAPS;

/// The weights of a matrix product, in blocks of sixteen outputs.
///
/// A block has one [`Lanes`] per input: that input's weights for the sixteen outputs. A tile reads
/// a block sequentially.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Indexed by block, then input.
    pub(crate) weights: Vec<Lanes>,
    /// Indexed by block.
    pub(crate) bias: Vec<Lanes>,
    pub(crate) clamp: Clamp,
}

impl Matrix {
    /// Packs a 1 × 1 convolution. Inputs keep their order.
    pub(crate) fn pointwise(layer: &Pointwise, inputs: usize) -> Result<Self, Unsupported> {
        Self::pack(&layer.weights, &layer.bias, layer.clamp, inputs)
    }

    /// Packs a stem. Inputs are ordered row, column, colour, like the pixels in memory.
    pub(crate) fn stem(layer: &Filter) -> Result<Self, Unsupported> {
        let (outputs, rest) = layer.weights.as_chunks();
        if !rest.is_empty() {
            return Err(wrong_count(&layer.weights, &[layer.bias.len(), STEM_INPUTS]));
        }
        // ONNX orders the weights of an output by colour, row and column.
        let reorder = |output: &[f32; STEM_INPUTS]| -> [f32; STEM_INPUTS] {
            std::array::from_fn(|input| output[input % 3 * TAPS + input / 3])
        };
        let weights: Vec<_> = outputs.iter().flat_map(reorder).collect();
        Self::pack(&weights, &layer.bias, layer.clamp, STEM_INPUTS)
    }

    fn pack(weights: &[f32], bias: &[f32], clamp: Clamp, inputs: usize) -> Result<Self, Unsupported> {
        let outputs = bias.len();
        if inputs == 0 || outputs == 0 || weights.len() != inputs * outputs {
            return Err(wrong_count(weights, &[outputs, inputs]));
        }
        let mut packed = vec![Lanes::ZERO; blocks(outputs) * inputs];
        for (block, weights) in packed.chunks_exact_mut(inputs).zip(weights.chunks(LANES * inputs)) {
            // Reads one cache line of each output's weights in turn. The lines written to then stay
            // in the L1 cache for all sixteen outputs.
            for (tile, packed) in block.chunks_mut(LANES).enumerate() {
                for (lane, output) in weights.chunks_exact(inputs).enumerate() {
                    for (lanes, weight) in packed.iter_mut().zip(&output[LANES * tile..]) {
                        lanes.0[lane] = *weight;
                    }
                }
            }
        }
        Ok(Self { inputs, outputs, weights: packed, bias: pack_channels(bias), clamp })
    }

    /// Returns the number of output blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.bias.len()
    }
}

/// The weights of a depthwise convolution: nine [`Lanes`] per block of sixteen channels, one per
/// tap.
#[derive(Debug)]
pub(crate) struct Taps {
    /// Indexed by block.
    pub(crate) weights: Vec<[Lanes; TAPS]>,
    /// Indexed by block.
    pub(crate) bias: Vec<Lanes>,
    pub(crate) clamp: Clamp,
    pub(crate) stride: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
}

impl Taps {
    /// Packs a depthwise convolution.
    pub(crate) fn depthwise(layer: &Filter, channels: usize) -> Result<Self, Unsupported> {
        if layer.bias.len() != channels || layer.weights.len() != TAPS * channels {
            return Err(wrong_count(&layer.weights, &[channels, TAPS]));
        }
        let mut weights = vec![[Lanes::ZERO; TAPS]; blocks(channels)];
        for (channel, taps) in layer.weights.chunks_exact(TAPS).enumerate() {
            for (lanes, tap) in weights[channel / LANES].iter_mut().zip(taps) {
                lanes.0[channel % LANES] = *tap;
            }
        }
        let &Filter { clamp, stride, padding, .. } = layer;
        Ok(Self {
            weights,
            bias: pack_channels(&layer.bias),
            clamp,
            stride,
            top: padding.top,
            left: padding.left,
        })
    }
}

/// Packs one number per channel. Fills the last block with zeros.
fn pack_channels(numbers: &[f32]) -> Vec<Lanes> {
    let lanes = |block: &[f32]| Lanes(std::array::from_fn(|lane| block.get(lane).copied().unwrap_or(0.0)));
    numbers.chunks(LANES).map(lanes).collect()
}

fn wrong_count(weights: &[f32], expected: &[usize]) -> Unsupported {
    Unsupported(format!("found {} weights, expected {expected:?}", weights.len()))
}
