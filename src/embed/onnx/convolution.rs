//! Converts a convolution, and folds the nodes after it into its weights and bounds.

use fruitvec_kernels::{Clamp, Filter, Layer, Padding, Pointwise};
use tract_onnx::pb::NodeProto;

use super::constants::Constants;
use super::node::{Unsupported, attribute, ints, optional_input};
use super::padding::{self, NO_PADDING};

/// The input of a convolution.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Image,
    /// The output of another layer.
    Map,
}

/// Converts a convolution. `before` is the padding of a `Pad` before it.
pub(super) fn convert(
    node: &NodeProto,
    constants: &Constants,
    source: Source,
    before: Padding,
) -> Result<Layer, Unsupported> {
    let [_, weights, bias @ ..] = &node.input[..] else { return Err("it has no weights".into()) };
    let (weights, shape) = (constants.floats(weights)?, constants.shape(weights)?);
    if weights.is_empty() {
        return Err(format!("weights of {shape:?}"));
    }
    let &[outputs, inputs, height @ (3 | 1), width @ (3 | 1)] = &shape[..] else {
        return Err(format!("weights of {shape:?}"));
    };
    let bias = match bias.first().filter(|name| !name.is_empty()) {
        Some(bias) => constants.floats(bias)?,
        None => vec![0.0; outputs],
    };
    if bias.len() != outputs {
        return Err(format!("weights of {shape:?} with a bias of {}", bias.len()));
    }
    let kernel = ints(node, "kernel_shape");
    if !kernel.is_empty() && kernel != [height as i64, width as i64] {
        return Err(format!("weights of {shape:?} with a kernel of {kernel:?}"));
    }
    let stride = stride(node)?;
    if ints(node, "dilations").iter().any(|it| *it != 1) {
        return Err("it is dilated".into());
    }
    let groups = attribute(node, "group").map_or(1, |group| group.i.max(0) as usize);
    let padding = padding::of_convolution(node, before)?;
    match (source, groups, inputs, height, width) {
        (Source::Image, 1, 3, 3, 3) => {
            Ok(Layer::Stem(Filter { weights, bias, clamp: Clamp::NONE, stride, padding }))
        }
        (Source::Map, _, 1, 3, 3) if groups == outputs => {
            Ok(Layer::Depthwise(Filter { weights, bias, clamp: Clamp::NONE, stride, padding }))
        }
        (Source::Map, 1, _, 1, 1) if stride == 1 && padding == NO_PADDING => {
            Ok(Layer::Pointwise(Pointwise { weights, bias, clamp: Clamp::NONE }))
        }
        _ => Err(format!("weights of {shape:?} in {groups} groups, stride {stride}, {padding:?}")),
    }
}

fn stride(node: &NodeProto) -> Result<usize, Unsupported> {
    let strides = ints(node, "strides");
    match strides[..] {
        [] => Ok(1),
        [down, across] if down == across && down > 0 => Ok(down as usize),
        _ => Err(format!("strides of {strides:?}")),
    }
}

/// Folds a batch norm, `(x − mean) / √(variance + ε) × scale + shift`, into the convolution before
/// it.
pub(super) fn fold_norm(
    node: &NodeProto,
    constants: &Constants,
    convolution: Option<&mut Layer>,
) -> Result<(), Unsupported> {
    let [_, scale, shift, mean, variance] = &node.input[..] else {
        return Err(format!("{} inputs", node.input.len()));
    };
    let (scale, shift) = (constants.floats(scale)?, constants.floats(shift)?);
    let (mean, variance) = (constants.floats(mean)?, constants.floats(variance)?);
    let epsilon = attribute(node, "epsilon").map_or(1e-5, |epsilon| epsilon.f);
    let (weights, bias, clamp) = parts(convolution).ok_or("it does not follow a convolution")?;
    let outputs = bias.len();
    // The convolution applies its bounds after the weights, so a norm can't follow them.
    if *clamp != Clamp::NONE || [&scale, &shift, &mean, &variance].iter().any(|it| it.len() != outputs) {
        return Err("it does not match the convolution before it".into());
    }
    let weights_per_output = weights.len() / outputs;
    for (output, weights) in weights.chunks_exact_mut(weights_per_output).enumerate() {
        let factor = scale[output] / (variance[output] + epsilon).sqrt();
        weights.iter_mut().for_each(|weight| *weight *= factor);
        bias[output] = (bias[output] - mean[output]) * factor + shift[output];
    }
    Ok(())
}

/// Makes the bounds of a `Clip` or `Relu` the bounds of the convolution before it.
pub(super) fn fold_clamp(
    node: &NodeProto,
    constants: &Constants,
    convolution: Option<&mut Layer>,
) -> Result<(), Unsupported> {
    // Before opset 11, the bounds were attributes.
    let bound = |index: usize, name: &str| match optional_input(node, index) {
        Some(bound) => match constants.floats(bound)?[..] {
            [bound] => Ok(Some(bound)),
            _ => Err("a bound is not a single number".to_owned()),
        },
        None => Ok(attribute(node, name).map(|bound| bound.f)),
    };
    let bounds = match node.op_type.as_str() {
        "Relu" => Clamp::RELU,
        _ => Clamp {
            low: bound(1, "min")?.unwrap_or(f32::NEG_INFINITY),
            high: bound(2, "max")?.unwrap_or(f32::INFINITY),
        },
    };
    match parts(convolution) {
        Some((_, _, clamp)) if *clamp == Clamp::NONE => *clamp = bounds,
        _ => return Err("it does not follow a convolution".into()),
    }
    Ok(())
}

/// Returns the weights, bias and bounds of a convolution.
fn parts(layer: Option<&mut Layer>) -> Option<(&mut Vec<f32>, &mut Vec<f32>, &mut Clamp)> {
    match layer? {
        Layer::Stem(filter) | Layer::Depthwise(filter) => {
            Some((&mut filter.weights, &mut filter.bias, &mut filter.clamp))
        }
        Layer::Pointwise(pointwise) => {
            Some((&mut pointwise.weights, &mut pointwise.bias, &mut pointwise.clamp))
        }
        Layer::Add(_) => None,
    }
}
