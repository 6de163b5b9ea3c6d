//! Builds ONNX graphs.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

use crate::contract::model_card::Layout;

/// The width and height of the image.
pub(super) const SIDE: u32 = 33;
/// The name of the graph's input.
pub(super) const IMAGE: &str = "image";

/// A graph under construction. Nodes are in the order in which they were added.
#[derive(Default)]
pub(super) struct Graph {
    graph: GraphProto,
    seed: u64,
}

impl Graph {
    /// Adds a node, and returns the name of its output.
    pub(super) fn add(&mut self, op_type: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("{op_type}_{}", self.graph.node.len());
        self.graph.node.push(NodeProto {
            op_type: op_type.into(),
            name: output.clone(),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..NodeProto::default()
        });
        output
    }

    /// Adds a constant of floats, and returns its name.
    pub(super) fn constant(&mut self, shape: &[i64], numbers: impl Iterator<Item = f32>) -> String {
        let tensor = self.tensor(shape, DataType::Float, numbers.flat_map(f32::to_le_bytes).collect());
        let name = tensor.name.clone();
        self.graph.initializer.push(tensor);
        name
    }

    /// Adds a constant of integers, and returns its name.
    pub(super) fn integers(&mut self, numbers: &[i64]) -> String {
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

    /// Adds a constant of pseudorandom numbers between `from` and `to`.
    pub(super) fn random(&mut self, shape: &[i64], from: f32, to: f32) -> String {
        self.seed += 1;
        let next = |state: &u64| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let states = std::iter::successors(Some(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)), next);
        let count = shape.iter().product::<i64>() as usize;
        let unit = states.skip(2).take(count).map(|state| (state >> 40) as f32 / (1 << 24) as f32);
        self.constant(shape, unit.map(|unit| from + unit * (to - from)))
    }

    pub(super) fn conv(
        &mut self,
        x: &str,
        shape: [i64; 4],
        biased: bool,
        attributes: Vec<AttributeProto>,
    ) -> String {
        // Keeps the variance of the outputs close to that of the inputs.
        let spread = (3.0 / shape[1..].iter().product::<i64>() as f32).sqrt();
        let weights = self.random(&shape, -spread, spread);
        let bias = biased.then(|| self.random(&shape[..1], -0.5, 0.5));
        let mut inputs = vec![x, &weights];
        inputs.extend(bias.as_deref());
        self.add("Conv", &inputs, attributes)
    }

    /// Adds a depthwise convolution of eight channels that keeps the size.
    pub(super) fn depthwise(&mut self, x: &str) -> String {
        self.conv(x, [8, 1, 3, 3], true, vec![int("group", 8), ints("pads", &[1; 4])])
    }

    pub(super) fn norm(&mut self, x: &str, channels: i64) -> String {
        let [scale, shift, mean] =
            [(0.5, 1.5), (-0.3, 0.3), (-0.3, 0.3)].map(|(from, to)| self.random(&[channels], from, to));
        let variance = self.random(&[channels], 0.3, 2.0);
        self.add("BatchNormalization", &[x, &scale, &shift, &mean, &variance], vec![float("epsilon", 1e-3)])
    }

    /// Adds a `Clip` whose bounds are the outputs of `Constant` nodes.
    pub(super) fn relu6(&mut self, x: &str) -> String {
        let bounds = [0.0, 6.0].map(|bound: f32| {
            let tensor = self.tensor(&[], DataType::Float, bound.to_le_bytes().to_vec());
            let r#type = AttributeType::Tensor as i32;
            let value =
                AttributeProto { name: "value".into(), t: Some(tensor), r#type, ..AttributeProto::default() };
            self.add("Constant", &[], vec![value])
        });
        self.add("Clip", &[x, &bounds[0], &bounds[1]], Vec::new())
    }

    /// Finishes the graph, and makes it a model.
    pub(super) fn model(mut self, layout: Layout) -> ModelProto {
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
        let info = ValueInfoProto { name: IMAGE.into(), r#type: Some(r#type), ..ValueInfoProto::default() };
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

pub(super) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.into(), ints: ints.to_vec(), r#type, ..AttributeProto::default() }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: AttributeType::Int as i32, ..AttributeProto::default() }
}

pub(super) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f, r#type: AttributeType::Float as i32, ..AttributeProto::default() }
}
