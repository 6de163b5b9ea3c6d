//! The operators that a network may have, and the limits of their attributes.

use tract_onnx::pb::{AttributeProto, NodeProto};

/// The most pixels of a kernel in each direction, and of its stride, dilation and padding.
const MAX_PIXELS: i64 = 4096;
/// The most pixels of a kernel: more than the last map of any image network has.
const MAX_KERNEL: i64 = 1 << 16;
/// The most groups of a convolution.
const MAX_GROUPS: i64 = 1 << 20;
/// The most axes of a value.
pub(super) const MAX_AXES: i64 = 8;
/// The most numbers in an attribute.
const MAX_NUMBERS: usize = 1024;
/// The most bytes in an attribute, and in a name.
pub(super) const MAX_BYTES: usize = 1024;

/// How many numbers an operator outputs if all of its inputs are constants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// As many as its first input has, at most.
    Same,
    /// At most the product of its first two inputs.
    Broadcast,
    /// As many as all inputs together.
    Sum,
    /// One per axis of its input.
    Axes,
    /// Exporters fold it, so nothing has to bound it.
    NeverConstant,
}

/// An operator with the number of inputs that it needs.
pub(super) struct Operator {
    pub(super) inputs: usize,
    pub(super) growth: Growth,
}

/// Returns an operator that a network may have.
///
/// The list has the operators of networks for images whose outputs have a size that follows from
/// those of the inputs. tract knows more, but some of them make memory or work of any amount from a
/// few bytes, and others run a subgraph.
pub(super) fn find(op_type: &str) -> Option<Operator> {
    let (inputs, growth) = match op_type {
        "Constant" => (0, Growth::NeverConstant),
        "Abs" | "Cast" | "Ceil" | "Elu" | "Erf" | "Exp" | "Flatten" | "Floor" | "Gelu" | "HardSigmoid"
        | "HardSwish" | "Identity" | "LeakyRelu" | "Log" | "Mish" | "Neg" | "Reciprocal" | "Relu"
        | "Selu" | "Sigmoid" | "Slice" | "Softplus" | "Softsign" | "Split" | "Sqrt" | "Squeeze" | "Swish"
        | "Tanh" | "Transpose" | "Unsqueeze" => (1, Growth::Same),
        "DequantizeLinear" | "QuantizeLinear" | "Reshape" => (2, Growth::Same),
        "Shape" => (1, Growth::Axes),
        "Add" | "Div" | "Gather" | "Mul" | "Pow" | "Sub" => (2, Growth::Broadcast),
        "Concat" => (1, Growth::Sum),
        "AveragePool" | "Clip" | "Dropout" | "GlobalAveragePool" | "GlobalMaxPool" | "LogSoftmax" | "Max"
        | "MaxPool" | "Min" | "Pad" | "ReduceL2" | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum"
        | "ReduceSumSquare" | "Softmax" | "Sum" => (1, Growth::NeverConstant),
        "Conv" | "Gemm" | "LayerNormalization" | "MatMul" | "PRelu" => (2, Growth::NeverConstant),
        "InstanceNormalization" => (3, Growth::NeverConstant),
        "BatchNormalization" => (5, Growth::NeverConstant),
        "QLinearConv" | "QLinearMatMul" => (8, Growth::NeverConstant),
        _ => return None,
    };
    Some(Operator { inputs, growth })
}

/// Checks the attributes of a node.
pub(super) fn check_attributes(node: &NodeProto) -> Result<(), String> {
    for attribute in &node.attribute {
        check_attribute(attribute).map_err(|reason| {
            let name: String = attribute.name.chars().take(64).collect();
            format!("the attribute {name:?} {reason}")
        })?;
        // Only the tensor of a `Constant` is checked as a tensor.
        let is_constant = node.op_type == "Constant" && attribute.name == "value";
        if (attribute.t.is_some() && !is_constant) || !attribute.tensors.is_empty() {
            return Err("it has tensors as attributes".into());
        }
    }
    Ok(())
}

fn check_attribute(attribute: &AttributeProto) -> Result<(), String> {
    let AttributeProto { name, i, s, ints, floats, strings, .. } = attribute;
    let longest = strings.iter().map(Vec::len).max().unwrap_or(0).max(s.len());
    if ints.len().max(floats.len()).max(strings.len()) > MAX_NUMBERS || longest > MAX_BYTES {
        return Err(format!("has more than {MAX_NUMBERS} numbers or {MAX_BYTES} bytes"));
    }
    let all_within = |least, most| ints.iter().all(|number| (least..=most).contains(number));
    let valid = match name.as_str() {
        "kernel_shape" => {
            let pixels = ints.iter().try_fold(1_i64, |product, side| product.checked_mul(*side));
            ints.len() == 2 && all_within(1, MAX_PIXELS) && pixels.is_some_and(|pixels| pixels <= MAX_KERNEL)
        }
        "strides" | "dilations" => matches!(ints.len(), 0 | 2) && all_within(1, MAX_PIXELS),
        // A convolution has two axes with two ends each, and a `Pad` node has four.
        "pads" => matches!(ints.len(), 0 | 4 | 8) && all_within(0, MAX_PIXELS),
        "group" => (1..=MAX_GROUPS).contains(i),
        "axis" => (-MAX_AXES..MAX_AXES).contains(i),
        "axes" => all_within(-MAX_AXES, MAX_AXES - 1),
        // tract permutes without end if an axis appears twice.
        "perm" => {
            let mut sorted = ints.clone();
            sorted.sort_unstable();
            sorted.len() <= MAX_AXES as usize && sorted.iter().zip(0..).all(|(axis, at)| *axis == at)
        }
        _ => true,
    };
    if valid {
        return Ok(());
    }
    Err(match &ints[..] {
        [] => format!("of {i} is out of range"),
        ints => format!("of {:?} is out of range", &ints[..ints.len().min(MAX_AXES as usize)]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_operator_is_found() {
        let readme = include_str!("../../../models/README.md");
        let table = readme.split("| kind | operators |").nth(1).unwrap().split("\n\n").next().unwrap();
        let names: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
        assert_eq!(names.len(), 69);
        for name in names {
            assert!(find(name).is_some(), "{name}");
        }
        assert!(find("Resize").is_none() && find("If").is_none());
    }

    #[test]
    fn attributes_are_checked_by_name() {
        let node = |name: &str, i: i64, ints: &[i64]| NodeProto {
            attribute: vec![AttributeProto {
                name: name.into(),
                i,
                ints: ints.to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        };
        check_attributes(&node("perm", 0, &[0, 3, 1, 2])).unwrap();
        let error = check_attributes(&node("perm", 0, &[0, 0, 1, 2])).unwrap_err();
        assert_eq!(error, "the attribute \"perm\" of [0, 0, 1, 2] is out of range");
        check_attributes(&node("kernel_shape", 0, &[256, 256])).unwrap();
        check_attributes(&node("kernel_shape", 0, &[257, 256])).unwrap_err();
        check_attributes(&node("group", 1, &[])).unwrap();
        let error = check_attributes(&node("group", 0, &[])).unwrap_err();
        assert_eq!(error, "the attribute \"group\" of 0 is out of range");
    }
}
