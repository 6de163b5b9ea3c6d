//! Bounds the work and the memory of a network before it runs.

use std::collections::HashMap;

use fruitvec_kernels::{Filter, Layer};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::konst::Const;

/// The most multiply-adds for a photo. EfficientNet-B7 at 600 px takes 37 billion.
const MAX_MULTIPLY_ADDS: u64 = 100_000_000_000;
/// The most bytes of a value between two nodes.
const MAX_VALUE_BYTES: u64 = 256 << 20;
/// The most bytes of values that exist at the same time.
const MAX_LIVE_BYTES: u64 = 1 << 30;

const SMALLER: &str = "use a smaller network, or a smaller input.side";

/// Checks the work of a network for the native kernels, on images of this side.
pub(super) fn check_layers(layers: &[Layer], side: usize) -> Result<(), String> {
    let [mut width, mut height] = [side as u64; 2];
    let (mut multiply_adds, mut outputs) = (0_u64, 3);
    for layer in layers {
        let weights = match layer {
            Layer::Stem(filter) | Layer::Depthwise(filter) => {
                [width, height] = output_size(filter, width, height);
                outputs = filter.bias.len();
                filter.weights.len()
            }
            Layer::Pointwise(pointwise) => {
                outputs = pointwise.bias.len();
                pointwise.weights.len()
            }
            Layer::Add(_) => outputs,
        };
        let pixels = width.saturating_mul(height);
        multiply_adds = multiply_adds.saturating_add(pixels.saturating_mul(weights as u64));
        check_value(pixels.saturating_mul(outputs as u64).saturating_mul(4))?;
    }
    check_multiply_adds(multiply_adds)
}

/// Returns an upper bound of the size of a filter's output.
fn output_size(filter: &Filter, width: u64, height: u64) -> [u64; 2] {
    let padding = filter.padding;
    let along = |pixels: u64, padding: usize| {
        (pixels + padding as u64).saturating_sub(3) / filter.stride.max(1) as u64 + 1
    };
    [along(width, padding.left + padding.right), along(height, padding.top + padding.bottom)]
}

/// Checks the work of a network for tract.
pub(super) fn check_model(model: &TypedModel) -> Result<(), String> {
    let order = model.eval_order().map_err(|cause| cause.to_string())?;
    let mut last_uses: HashMap<usize, usize> = HashMap::new();
    for (at, id) in order.iter().enumerate() {
        last_uses.extend(model.node(*id).inputs.iter().map(|input| (input.node, at)));
    }
    let mut ends: HashMap<usize, u64> = HashMap::new();
    let (mut multiply_adds, mut live_bytes) = (0_u64, 0_u64);
    for (at, id) in order.iter().enumerate() {
        let node = model.node(*id);
        if node.op_is::<Const>() {
            continue;
        }
        let mut bytes = 0_u64;
        for output in &node.outputs {
            let size = numbers(&output.fact)?.saturating_mul(output.fact.datum_type.size_of() as u64);
            check_value(size).map_err(|reason| format!("{}: {reason}", node.name))?;
            bytes = bytes.saturating_add(size);
        }
        live_bytes = live_bytes.saturating_add(bytes);
        let end = ends.entry(last_uses.get(id).copied().unwrap_or(at)).or_default();
        *end = end.saturating_add(bytes);
        if live_bytes > MAX_LIVE_BYTES {
            return Err(format!("more than {MAX_LIVE_BYTES} bytes are needed at the same time; {SMALLER}"));
        }
        multiply_adds = multiply_adds.saturating_add(multiply_adds_of(model, node)?);
        live_bytes -= ends.remove(&at).unwrap_or(0);
    }
    check_multiply_adds(multiply_adds)
}

/// Returns an upper bound of the multiply-adds of a node.
fn multiply_adds_of(model: &TypedModel, node: &TypedNode) -> Result<u64, String> {
    let inputs = model.node_input_facts(node.id).map_err(|cause| cause.to_string())?;
    let outputs = numbers(&node.outputs[0].fact)?;
    let kernel = |pool: &PoolSpec| {
        pool.kernel_shape.iter().fold(1_u64, |product, side| product.saturating_mul(*side as u64))
    };
    if let (Some(conv), [_, weights, ..]) = (node.op_as::<Conv>(), &inputs[..]) {
        let channels = (conv.pool_spec.output_channels as u64).max(1);
        let (pixels, weights) = (outputs / channels, numbers(weights)?);
        // tract may copy the input of each output pixel to a matrix.
        let matrix = (weights / channels).saturating_mul(pixels).saturating_mul(conv.group as u64);
        check_value(matrix.saturating_mul(4)).map_err(|reason| format!("{}: {reason}", node.name))?;
        return Ok(weights.saturating_mul(pixels));
    }
    if let Some(pool) = node.op_as::<MaxPool>() {
        return Ok(outputs.saturating_mul(kernel(&pool.pool_spec)));
    }
    if let Some(pool) = node.op_as::<SumPool>() {
        return Ok(outputs.saturating_mul(kernel(&pool.pool_spec)));
    }
    if let Some(product) = node.op_as::<EinSum>() {
        let mut terms = 1_u64;
        for axis in product.axes.iter_all_axes() {
            let positions = axis.inputs.iter().zip(&inputs);
            let dims = positions.filter_map(|(at, fact)| fact.shape.as_concrete()?.get(*at.first()?));
            terms = terms.saturating_mul(dims.max().map_or(1, |dim| *dim as u64));
        }
        return Ok(terms);
    }
    let read =
        inputs.iter().try_fold(0_u64, |sum, fact| Ok::<_, String>(sum.saturating_add(numbers(fact)?)))?;
    Ok(read.saturating_add(outputs))
}

/// Returns how many numbers a value has.
fn numbers(fact: &TypedFact) -> Result<u64, String> {
    let shape = fact.shape.as_concrete().ok_or("a shape is not static; export it with static shapes")?;
    if shape.contains(&0) {
        return Err("a value has no numbers; use a larger input.side".into());
    }
    Ok(shape.iter().fold(1_u64, |product, dim| product.saturating_mul(*dim as u64)))
}

fn check_value(bytes: u64) -> Result<(), String> {
    if bytes <= MAX_VALUE_BYTES {
        return Ok(());
    }
    Err(format!(
        "a value between two nodes takes {bytes} bytes, at most {MAX_VALUE_BYTES} are supported; {SMALLER}"
    ))
}

fn check_multiply_adds(count: u64) -> Result<(), String> {
    if count <= MAX_MULTIPLY_ADDS {
        return Ok(());
    }
    Err(format!("a photo takes {count} multiply-adds, at most {MAX_MULTIPLY_ADDS} are supported; {SMALLER}"))
}

#[cfg(test)]
mod tests {
    use fruitvec_kernels::{Clamp, Padding, Pointwise};

    use super::*;

    fn stem(outputs: usize) -> Layer {
        let (weights, bias) = (vec![0.0; outputs * 27], vec![0.0; outputs]);
        Layer::Stem(Filter { weights, bias, clamp: Clamp::NONE, stride: 2, padding: Padding::ALL_SIDES })
    }

    fn pointwise(inputs: usize, outputs: usize) -> Layer {
        let (weights, bias) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
        Layer::Pointwise(Pointwise { weights, bias, clamp: Clamp::NONE })
    }

    #[test]
    fn the_largest_value_decides_over_a_network() {
        // 2048 × 2048 pixels of 16 numbers of four bytes are exactly 256 MiB.
        check_layers(&[stem(16)], 4096).unwrap();
        let error = check_layers(&[stem(17)], 4096).unwrap_err();
        assert!(error.contains("285212672 bytes, at most 268435456"), "{error}");
        check_layers(&[stem(16), pointwise(16, 17)], 2048).unwrap();
    }

    #[test]
    fn multiply_adds_are_counted_over_all_layers() {
        // 256 × 256 pixels × 1000 × 1000 weights are 65 billion.
        let layers = |count| {
            let mut layers = vec![stem(16), pointwise(16, 1000)];
            layers.extend(vec![pointwise(1000, 1000); count]);
            layers
        };
        check_layers(&layers(1), 512).unwrap();
        let error = check_layers(&layers(2), 512).unwrap_err();
        assert!(error.contains("multiply-adds, at most 100000000000"), "{error}");
    }
}
