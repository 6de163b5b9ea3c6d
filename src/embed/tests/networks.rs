//! Graphs as exporters write them, by our kernels and by tract.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_shape_proto, type_proto,
};

use super::engine::of_graph;
use super::*;
use crate::model::{DEFAULT_MODEL, Layout};

const SIDE: u32 = 33;

/// Nodes in the order of their adding; the weights beside them.
#[derive(Default)]
struct Graph {
    graph: GraphProto,
    seed: u64,
}

impl Graph {
    /// A node that takes the picture's or another node's output and constants; returns what its output is called.
    fn add(&mut self, kind: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("{kind}_{}", self.graph.node.len());
        self.graph.node.push(NodeProto {
            op_type: kind.into(),
            name: output.clone(),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..NodeProto::default()
        });
        output
    }

    fn constant(&mut self, shape: &[i64], numbers: impl Iterator<Item = f32>) -> String {
        let tensor = self.tensor(shape, DataType::Float, numbers.flat_map(f32::to_le_bytes).collect());
        let name = tensor.name.clone();
        self.graph.initializer.push(tensor);
        name
    }

    fn integers(&mut self, numbers: &[i64]) -> String {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let tensor = self.tensor(&[numbers.len() as i64], DataType::Int64, bytes);
        let name = tensor.name.clone();
        self.graph.initializer.push(tensor);
        name
    }

    fn tensor(&self, shape: &[i64], data_type: DataType, raw_data: Vec<u8>) -> TensorProto {
        let name = format!("constant_{}", self.graph.initializer.len());
        let data_type = data_type as i32;
        TensorProto { dims: shape.to_vec(), data_type, raw_data, name, ..TensorProto::default() }
    }

    /// Made-up numbers between `from` and `to`.
    fn numbers(&mut self, shape: &[i64], from: f32, to: f32) -> String {
        self.seed += 1;
        let next = |state: &u64| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let states = std::iter::successors(Some(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)), next);
        let count = shape.iter().product::<i64>() as usize;
        let unit = states.skip(2).take(count).map(|state| (state >> 40) as f32 / (1 << 24) as f32);
        self.constant(shape, unit.map(|unit| from + unit * (to - from)))
    }

    fn conv(&mut self, x: &str, shape: [i64; 4], biased: bool, attributes: Vec<AttributeProto>) -> String {
        let spread = (3.0 / shape[1..].iter().product::<i64>() as f32).sqrt();
        let weights = self.numbers(&shape, -spread, spread);
        let bias = biased.then(|| self.numbers(&shape[..1], -0.5, 0.5));
        let mut inputs = vec![x, &weights];
        inputs.extend(bias.as_deref());
        self.add("Conv", &inputs, attributes)
    }

    /// Of eight channels, and as large as its input.
    fn depthwise(&mut self, x: &str) -> String {
        self.conv(x, [8, 1, 3, 3], true, vec![int("group", 8), ints("pads", &[1; 4])])
    }

    fn norm(&mut self, x: &str, channels: i64) -> String {
        let [scale, shift, mean] =
            [(0.5, 1.5), (-0.3, 0.3), (-0.3, 0.3)].map(|(from, to)| self.numbers(&[channels], from, to));
        let variance = self.numbers(&[channels], 0.3, 2.0);
        self.add("BatchNormalization", &[x, &scale, &shift, &mean, &variance], vec![number("epsilon", 1e-3)])
    }

    /// Its bounds come from `Constant` nodes.
    fn relu6(&mut self, x: &str) -> String {
        let bounds = [0.0, 6.0].map(|bound: f32| {
            let tensor = self.tensor(&[], DataType::Float, bound.to_le_bytes().to_vec());
            let r#type = AttributeType::Tensor as i32;
            let value =
                AttributeProto { name: "value".into(), t: Some(tensor), r#type, ..AttributeProto::default() };
            self.add("Constant", &[], vec![value])
        });
        self.add("Clip", &[x, &bounds[0], &bounds[1]], Vec::new())
    }

    fn model(mut self, layout: Layout) -> ModelProto {
        let side = i64::from(SIDE);
        let sides = match layout {
            Layout::Nchw => [1, 3, side, side],
            Layout::Nhwc => [1, side, side, 3],
        };
        let dim = |side| {
            let value = Some(tensor_shape_proto::dimension::Value::DimValue(side));
            tensor_shape_proto::Dimension { value, ..Default::default() }
        };
        let shape = Some(TensorShapeProto { dim: sides.map(dim).to_vec() });
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
        let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
        let info =
            ValueInfoProto { name: "picture".into(), r#type: Some(r#type), ..ValueInfoProto::default() };
        self.graph.input.push(info);
        let opset = OperatorSetIdProto { version: 13, ..OperatorSetIdProto::default() };
        ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.into(), ints: ints.to_vec(), r#type, ..AttributeProto::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: AttributeType::Int as i32, ..AttributeProto::default() }
}

fn number(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f, r#type: AttributeType::Float as i32, ..AttributeProto::default() }
}

fn card(layout: Layout, dimension: usize) -> ModelCard {
    let mut card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    card.dimension = dimension;
    card.input.layout = layout;
    card.input.side = SIDE;
    card.input.mean = [123.0, 116.0, 103.0];
    card.input.std = [58.0, 57.0, 57.5];
    card
}

/// Batch norm, zeros from a `Pad` (of the picture, too, where it is NHWC), bounds from constants, a residual, and the mean that exporters write for a pool.
fn with_norms(layout: Layout) -> ModelProto {
    let mut g = Graph::default();
    let two = || ints("strides", &[2, 2]);
    let x = match layout {
        Layout::Nchw => g.conv("picture", [20, 3, 3, 3], false, vec![two(), ints("pads", &[1, 1, 1, 1])]),
        Layout::Nhwc => {
            let turned = g.add("Transpose", &["picture"], vec![ints("perm", &[0, 3, 1, 2])]);
            let pads = g.integers(&[0, 0, 1, 1, 0, 0, 1, 1]);
            let padded = g.add("Pad", &[&turned, &pads], vec![]);
            g.conv(&padded, [20, 3, 3, 3], false, vec![two()])
        }
    };
    let x = g.norm(&x, 20);
    let stem = g.relu6(&x);
    let x = g.conv(&stem, [50, 20, 1, 1], false, vec![]);
    let x = g.norm(&x, 50);
    let x = g.relu6(&x);
    let x = g.conv(&x, [50, 1, 3, 3], false, vec![int("group", 50), ints("pads", &[1, 1, 1, 1])]);
    let x = g.norm(&x, 50);
    let x = g.relu6(&x);
    let x = g.conv(&x, [20, 50, 1, 1], false, vec![]);
    let x = g.norm(&x, 20);
    let x = g.add("Add", &[&stem, &x], vec![]);
    let pads = g.integers(&[0, 0, 0, 0, 0, 0, 1, 1]);
    let x = g.conv(&x, [40, 20, 1, 1], true, vec![]);
    let x = g.add("Relu", &[&x], vec![]);
    let x = g.add("Pad", &[&x, &pads], vec![]);
    let x = g.conv(&x, [40, 1, 3, 3], true, vec![int("group", 40), two()]);
    let x = g.relu6(&x);
    let x = g.conv(&x, [24, 40, 1, 1], true, vec![]);
    let x = g.conv(&x, [70, 24, 1, 1], true, vec![]);
    let x = g.relu6(&x);
    let x = g.add("ReduceMean", &[&x], vec![ints("axes", &[2, 3]), int("keepdims", 1)]);
    g.add("Flatten", &[&x], vec![]);
    g.model(layout)
}

fn squares() -> [Square; 2] {
    let bytes = 3 * SIDE as usize * SIDE as usize;
    let noise = (0..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
    [noise, vec![255; bytes]].map(|rgb| Square::new(SIDE, rgb).unwrap())
}

#[test]
fn a_graph_with_batch_norm_gives_what_tract_gives() {
    for layout in [Layout::Nchw, Layout::Nhwc] {
        let (card, proto) = (card(layout, 70), with_norms(layout));
        let tract = of_graph(&card, &proto, Some(Engine::Tract)).unwrap();
        assert_eq!(tract.engine(), "tract 0.23");
        for kernels in Kernels::ALL.into_iter().filter(|kernels| kernels.is_here()) {
            let native = of_graph(&card, &proto, Some(Engine::Native(Some(kernels)))).unwrap();
            assert_eq!(native.engine(), format!("native {kernels}"));
            for square in squares() {
                let (found, expected) = (native.embed(&square).unwrap(), tract.embed(&square).unwrap());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-4, "{kernels}: {found}, not {expected}");
                }
            }
        }
    }
}

#[test]
fn our_kernels_are_taken_where_they_can() {
    let native = of_graph(&card(Layout::Nchw, 70), &with_norms(Layout::Nchw), None).unwrap();
    assert_eq!(native.engine(), format!("native {}", Kernels::best()));
}

/// Adds a node that takes this value; returns what its output is called.
type Stranger = fn(&mut Graph, &str) -> String;

/// Each is one node away from the family.
#[test]
fn any_other_graph_goes_to_tract() {
    let strangers: [(&str, Stranger); 8] = [
        ("Sigmoid", |g, x| g.add("Sigmoid", &[x], vec![])),
        ("MaxPool", |g, x| g.add("MaxPool", &[x], vec![ints("kernel_shape", &[2, 2])])),
        ("3, 3] in 1 groups", |g, x| g.conv(x, [8, 8, 3, 3], true, vec![ints("pads", &[1; 4])])),
        ("dilated", |g, x| g.conv(x, [8, 1, 3, 3], true, vec![int("group", 8), ints("dilations", &[2, 2])])),
        ("it adds something else than a layer", |g, x| {
            let constant = g.numbers(&[1, 8, 1, 1], 0.0, 1.0);
            g.add("Add", &[x, &constant], vec![])
        }),
        // The norm becomes part of the convolution: what it took is nowhere then.
        ("it adds something else than a layer", |g, x| {
            let bare = g.depthwise(x);
            let normed = g.norm(&bare, 8);
            g.add("Add", &[&normed, &bare], vec![])
        }),
        // Nor under another name.
        ("it adds something else than a layer", |g, x| {
            let bare = g.depthwise(x);
            let same = g.add("Identity", &[&bare], vec![]);
            let positive = g.add("Relu", &[&same], vec![]);
            g.add("Add", &[&positive, &bare], vec![])
        }),
        ("it takes something else than the node before it gives", |g, x| {
            let (first, second) = (g.depthwise(x), g.depthwise(x));
            g.add("Add", &[&first, &second], vec![])
        }),
    ];
    for (words, stranger) in strangers {
        let mut g = Graph::default();
        let x = g.conv("picture", [8, 3, 3, 3], true, vec![ints("strides", &[2, 2]), ints("pads", &[1; 4])]);
        let x = stranger(&mut g, &x);
        let x = g.depthwise(&x);
        let x = g.conv(&x, [30, 8, 1, 1], true, vec![]);
        g.add("GlobalAveragePool", &[&x], vec![]);
        let (card, proto) = (card(Layout::Nchw, 30), g.model(Layout::Nchw));
        assert_eq!(of_graph(&card, &proto, None).unwrap().engine(), "tract 0.23");
        let error = of_graph(&card, &proto, Some(Engine::Native(None))).err().unwrap().to_string();
        assert!(error.contains("our kernels can't run it") && error.contains(words), "{error}");
    }
}

/// What tract makes of them is its own affair.
#[test]
fn what_our_kernels_do_not_understand_they_do_not_take() {
    let strangers: [(&str, Stranger); 4] = [
        ("weights of [8, 0, 1, 1]", |g, x| g.conv(x, [8, 0, 1, 1], true, vec![])),
        ("not those of its shape", |g, x| {
            let weights = g.constant(&[1 << 32, 1 << 32, 1, 1], std::iter::empty());
            g.add("Conv", &[x, &weights], vec![])
        }),
        ("it pads along some axes", |g, x| {
            let (pads, axes) = (g.integers(&[0, 0, 1, 0, 0, 0, 0, 0]), g.integers(&[0, 1, 3, 2]));
            g.add("Pad", &[x, &pads, "", &axes], vec![])
        }),
        ("not in this place", |g, x| {
            let pooled = g.add("GlobalAveragePool", &[x], vec![]);
            g.conv(&pooled, [8, 8, 1, 1], true, vec![])
        }),
    ];
    for (words, stranger) in strangers {
        let mut g = Graph::default();
        let x = g.conv("picture", [8, 3, 3, 3], true, vec![]);
        let x = stranger(&mut g, &x);
        let embedding = g.add("GlobalAveragePool", &[&x], vec![]);
        let graph = g.model(Layout::Nchw).graph.unwrap();
        let error = onnx::layers(&graph, Layout::Nchw, &embedding).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_card_that_says_another_dimension_is_refused() {
    for engine in [Engine::Native(None), Engine::Tract] {
        let refused = of_graph(&card(Layout::Nchw, 71), &with_norms(Layout::Nchw), Some(engine));
        let error = refused.err().unwrap().to_string();
        assert!(error.contains("the graph gives 70 numbers, the card says 71"), "{error}");
    }
}

#[test]
fn a_square_of_another_side_is_an_error_of_ours() {
    let native = of_graph(&card(Layout::Nchw, 70), &with_norms(Layout::Nchw), None).unwrap();
    let error = native.embed(&Square::new(1, vec![0; 3]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("a square of 1 pixels, the model wants 33"), "{error}");
}
