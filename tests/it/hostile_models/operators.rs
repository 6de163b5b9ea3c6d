//! Operators with attributes and inputs out of their range, and operators that cost too much.

use tract_onnx::pb::{AttributeProto, GraphProto, TensorProto};

use super::kind::{Kind, graph};
use super::network::{floats, insert, int, integers, ints, node, text};

pub(super) fn kinds() -> Vec<Kind> {
    [convolutions(), pools(), shapes(), axes(), values(), growth(), work()].into_iter().flatten().collect()
}

/// A kind with an operator between the last convolution and the pool. Its first input is the output
/// of the convolution, and these tensors are its other inputs.
fn inserted(
    name: &'static str,
    words: &'static str,
    op_type: &str,
    tensors: Vec<TensorProto>,
    attributes: Vec<AttributeProto>,
) -> Kind {
    graph(name, words, |g| {
        let inputs: Vec<&str> =
            std::iter::once("head").chain(tensors.iter().map(|tensor| tensor.name.as_str())).collect();
        let node = node(op_type, &inputs, "inserted", attributes);
        g.initializer.extend(tensors);
        insert(g, vec![node]);
    })
}

/// A kind whose last convolution has an attribute.
fn convolution(name: &'static str, words: &'static str, attribute: AttributeProto) -> Kind {
    graph(name, words, |g: &mut GraphProto| g.node[2].attribute.push(attribute))
}

fn convolutions() -> Vec<Kind> {
    let range = "is out of range";
    vec![
        convolution("a kernel of 0", range, ints("kernel_shape", &[0, 0])),
        convolution("a negative kernel", range, ints("kernel_shape", &[-1, 1])),
        convolution("another kernel than the weights", "", ints("kernel_shape", &[3, 3])),
        convolution("a kernel with one side", "", ints("kernel_shape", &[1])),
        convolution("group 0", range, int("group", 0)),
        convolution("group -1", range, int("group", -1)),
        convolution("group 2^62", "", int("group", 1 << 62)),
        convolution("stride 0", range, ints("strides", &[0, 0])),
        convolution("a negative stride", range, ints("strides", &[-2, -2])),
        convolution("a stride of 2^62", range, ints("strides", &[1 << 62, 1 << 62])),
        convolution("three strides", "", ints("strides", &[1, 1, 1])),
        convolution("dilation 0", range, ints("dilations", &[0, 0])),
        convolution("a dilation of 2^62", range, ints("dilations", &[1 << 62, 1])),
        convolution("negative padding", range, ints("pads", &[-9, -9, -9, -9])),
        convolution("padding of 2^31", range, ints("pads", &[1 << 31; 4])),
        convolution("padding of 4,096 pixels", "at most", ints("pads", &[4096; 4])),
        convolution("padding of three sides", "", ints("pads", &[1, 1, 1])),
        convolution("an unknown automatic padding", "", text("auto_pad", "SAME_SOMEHOW")),
        convolution("a million strides", "more than 1024 numbers", ints("strides", &[1; 1_000_000])),
        convolution("a text of a megabyte", "1024 bytes", text("auto_pad", &"x".repeat(1 << 20))),
    ]
}

fn pools() -> Vec<Kind> {
    let range = "is out of range";
    let pool = |name, words, attributes| inserted(name, words, "MaxPool", vec![], attributes);
    vec![
        pool("a pool without a kernel", "", vec![]),
        pool("a pool of 2^20 × 2^20", range, vec![ints("kernel_shape", &[1 << 20, 1 << 20])]),
        pool("a pool of 4,096 × 4,096", range, vec![ints("kernel_shape", &[4096, 4096])]),
        pool("a pool with stride 0", range, vec![ints("kernel_shape", &[2, 2]), ints("strides", &[0, 0])]),
        pool("a pool of one side", "", vec![ints("kernel_shape", &[2])]),
        inserted(
            "an average of 2^31 pixels",
            range,
            "AveragePool",
            vec![],
            vec![ints("kernel_shape", &[1 << 31, 1])],
        ),
        inserted("a mean over axis 99", "", "ReduceMean", vec![], vec![ints("axes", &[99])]),
        inserted(
            "a mean over an axis twice",
            "",
            "ReduceMean",
            vec![],
            vec![ints("axes", &[2, 2]), int("keepdims", 0)],
        ),
        inserted("a softmax over axis -99", "", "Softmax", vec![], vec![int("axis", -99)]),
    ]
}

fn shapes() -> Vec<Kind> {
    vec![
        inserted("a reshape with several -1", "", "Reshape", vec![integers("shape", &[-1, -1, 16])], vec![]),
        inserted("a reshape to 2^62", "", "Reshape", vec![integers("shape", &[1 << 62, 4])], vec![]),
        inserted("a reshape to -7", "", "Reshape", vec![integers("shape", &[-7, 16])], vec![]),
        inserted(
            "a reshape to another count",
            "",
            "Reshape",
            vec![integers("shape", &[1, 16, 5, 5])],
            vec![],
        ),
        inserted("a split into nothing", "", "Split", vec![integers("parts", &[0])], vec![int("axis", 1)]),
        inserted(
            "a split into negative parts",
            "",
            "Split",
            vec![integers("parts", &[-16])],
            vec![int("axis", 1)],
        ),
        inserted(
            "a slice with step 0",
            "",
            "Slice",
            vec![
                integers("from", &[0]),
                integers("to", &[9]),
                integers("axes", &[2]),
                integers("steps", &[0]),
            ],
            vec![],
        ),
        inserted(
            "a slice that ends before it starts",
            "",
            "Slice",
            vec![integers("from", &[9]), integers("to", &[1])],
            vec![],
        ),
        inserted(
            "an index out of range",
            "",
            "Gather",
            vec![integers("index", &[1 << 40])],
            vec![int("axis", 1)],
        ),
    ]
}

fn axes() -> Vec<Kind> {
    vec![
        inserted(
            "a transpose of one axis to all",
            "",
            "Transpose",
            vec![],
            vec![ints("perm", &[0, 0, 0, 0])],
        ),
        inserted("a transpose of axis 9", "", "Transpose", vec![], vec![ints("perm", &[0, 1, 2, 9])]),
        inserted("a squeeze of axis 99", "", "Squeeze", vec![integers("axes", &[99])], vec![]),
        inserted("a squeeze of an axis twice", "", "Squeeze", vec![integers("axes", &[0, 0])], vec![]),
        inserted("an unsqueeze of an axis twice", "", "Unsqueeze", vec![integers("axes", &[0, 0])], vec![]),
        inserted("an unsqueeze of axis -99", "", "Unsqueeze", vec![integers("axes", &[-99])], vec![]),
        inserted("a flatten of axis 99", "", "Flatten", vec![], vec![int("axis", 99)]),
        inserted(
            "a concatenation along axis 99",
            "",
            "Concat",
            vec![floats("more", &[1, 16, 16, 16])],
            vec![int("axis", 99)],
        ),
    ]
}

fn values() -> Vec<Kind> {
    vec![
        inserted("a sum of shapes that don't match", "", "Add", vec![floats("other", &[1, 5, 7, 3])], vec![]),
        inserted("a sum with integers", "", "Add", vec![integers("other", &[1])], vec![]),
        inserted("a cast to type 99", "", "Cast", vec![], vec![int("to", 99)]),
        inserted("a cast to text", "", "Cast", vec![], vec![int("to", 8)]),
        inserted(
            "a product of shapes that don't match",
            "",
            "MatMul",
            vec![floats("other", &[3, 5])],
            vec![],
        ),
        inserted("a general product of four axes", "", "Gemm", vec![floats("other", &[3, 5])], vec![]),
        inserted(
            "a norm of another length",
            "",
            "BatchNormalization",
            ["scale", "shift", "mean", "variance"].map(|name| floats(name, &[3])).to_vec(),
            vec![],
        ),
        inserted(
            "a norm over axis 99",
            "",
            "LayerNormalization",
            vec![floats("scale", &[16])],
            vec![int("axis", 99)],
        ),
        inserted(
            "bounds that are lists",
            "",
            "Clip",
            vec![floats("low", &[3]), floats("high", &[3])],
            vec![],
        ),
        inserted("a scale of 0", "", "QuantizeLinear", vec![integers("scale", &[0])], vec![]),
        inserted(
            "a scale for axis 99",
            "",
            "DequantizeLinear",
            vec![floats("scale", &[3])],
            vec![int("axis", 99)],
        ),
        inserted(
            "a quantised convolution of floats",
            "",
            "QLinearConv",
            ["a", "b", "c", "d", "e", "f", "g"].map(|name| floats(name, &[1])).to_vec(),
            vec![],
        ),
        inserted("slopes that don't match", "", "PRelu", vec![floats("slopes", &[5, 5])], vec![]),
    ]
}

fn growth() -> Vec<Kind> {
    let unsupported = "the operator is not supported";
    let huge = || vec![integers("huge", &[1 << 20, 1 << 20])];
    vec![
        inserted(
            "a resize to 2^31",
            unsupported,
            "Resize",
            vec![integers("sizes", &[1, 16, 1 << 31, 1 << 31])],
            vec![],
        ),
        inserted("an expansion to 2^40", unsupported, "Expand", huge(), vec![]),
        inserted("2^40 tiles", unsupported, "Tile", huge(), vec![]),
        inserted("a one-hot of 2^40", unsupported, "OneHot", huge(), vec![]),
        inserted("random numbers", unsupported, "RandomNormal", vec![], vec![ints("shape", &[1 << 40])]),
        graph("2^40 zeros", unsupported, |g| {
            g.initializer.extend(huge());
            let zeros = node("ConstantOfShape", &["huge"], "zeros", vec![]);
            insert(g, vec![zeros, node("Add", &["head", "zeros"], "sum", vec![])]);
        }),
        graph("a range of 2^62", unsupported, |g| {
            g.initializer.extend([
                integers("from", &[0]),
                integers("to", &[1 << 62]),
                integers("step", &[1]),
            ]);
            let range = node("Range", &["from", "to", "step"], "range", vec![]);
            insert(g, vec![range, node("Add", &["head", "range"], "sum", vec![])]);
        }),
        inserted(
            "padding of 2^31 by a node",
            "",
            "Pad",
            vec![integers("pads", &[0, 0, 1 << 31, 0, 0, 0, 1 << 31, 0])],
            vec![],
        ),
        inserted(
            "padding of -2^62 by a node",
            "",
            "Pad",
            vec![integers("pads", &[0, 0, -(1 << 62), 0, 0, 0, 0, 0])],
            vec![],
        ),
        inserted("padding of three numbers by a node", "", "Pad", vec![integers("pads", &[1, 1, 1])], vec![]),
        inserted(
            "padding of 20,000 pixels by a node",
            "at most",
            "Pad",
            vec![integers("pads", &[0, 0, 20_000, 0, 0, 0, 0, 20_000])],
            vec![],
        ),
    ]
}

fn work() -> Vec<Kind> {
    let column = |g: &mut GraphProto| {
        g.initializer.extend([integers("column", &[4096, 1]), integers("row", &[1, 4096])]);
        vec![
            node("Reshape", &["head", "column"], "as_column", vec![]),
            node("Reshape", &["head", "row"], "as_row", vec![]),
            node("MatMul", &["as_column", "as_row"], "square_0", vec![]),
        ]
    };
    vec![
        graph("products of 4,096 × 4,096 numbers", "multiply-adds, at most", |g| {
            let mut nodes = column(g);
            for at in 0..2 {
                let square = format!("square_{at}");
                nodes.push(node("MatMul", &[&square, &square], &format!("square_{}", at + 1), vec![]));
            }
            insert(g, nodes);
        }),
        // The sum starts with the last value, so all of them are needed.
        graph("thirty values of 64 MB at once", "at the same time", |g| {
            let mut nodes = column(g);
            let name = |at| if at == 0 { "square_0".to_owned() } else { format!("value_{at}") };
            nodes.extend((0..30).map(|at| node("Exp", &[&name(at)], &name(at + 1), vec![])));
            let sum = |at: usize| if at == 0 { "value_30".to_owned() } else { format!("sum_{at}") };
            nodes.extend((0..29).map(|at| node("Add", &[&sum(at), &name(29 - at)], &sum(at + 1), vec![])));
            insert(g, nodes);
        }),
    ]
}
