//! A small network that both engines run, and parts to change it with.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto,
    ValueInfoProto, type_proto,
};

pub(crate) const SIDE: u32 = 32;
pub(crate) const DIMENSION: usize = 16;

/// Returns a network of two convolutions and a pool: `stem`, `relu`, `head` and `pool`.
pub(crate) fn network() -> ModelProto {
    let stem_attributes = vec![ints("strides", &[2, 2]), ints("pads", &[1; 4])];
    let tensor_type = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
    let image_type =
        TypeProto { value: Some(type_proto::Value::TensorType(tensor_type)), ..TypeProto::default() };
    let graph = GraphProto {
        node: vec![
            node("Conv", &["image", "stem_weights"], "stem", stem_attributes),
            node("Relu", &["stem"], "relu", vec![]),
            node("Conv", &["relu", "head_weights"], "head", vec![]),
            node("GlobalAveragePool", &["head"], "pool", vec![]),
        ],
        initializer: vec![floats("stem_weights", &[8, 3, 3, 3]), floats("head_weights", &[16, 8, 1, 1])],
        input: vec![ValueInfoProto { name: "image".into(), r#type: Some(image_type), ..Default::default() }],
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto { version: 13, ..OperatorSetIdProto::default() };
    ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
}

pub(super) fn node(
    op_type: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: output.into(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        attribute,
        ..NodeProto::default()
    }
}

/// Returns a tensor of small numbers that differ.
pub(super) fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let numbers = (0..count).flat_map(|at| (((at * 7 % 13) as f32 - 6.0) / 32.0).to_le_bytes());
    tensor(name, DataType::Float, dims, numbers.collect())
}

pub(super) fn integers(name: &str, numbers: &[i64]) -> TensorProto {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    tensor(name, DataType::Int64, &[numbers.len() as i64], bytes)
}

pub(super) fn tensor(name: &str, data_type: DataType, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    let data_type = data_type as i32;
    TensorProto { name: name.into(), data_type, dims: dims.to_vec(), raw_data, ..TensorProto::default() }
}

pub(super) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.into(), ints: ints.to_vec(), r#type, ..AttributeProto::default() }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: AttributeType::Int as i32, ..AttributeProto::default() }
}

pub(super) fn text(name: &str, s: &str) -> AttributeProto {
    let r#type = AttributeType::String as i32;
    AttributeProto { name: name.into(), s: s.into(), r#type, ..AttributeProto::default() }
}

/// Inserts nodes between `head` and `pool`. The pool's input is the output of the last one.
pub(super) fn insert(graph: &mut GraphProto, nodes: Vec<NodeProto>) {
    let pool = graph.node.len() - 1;
    graph.node[pool].input = nodes.last().unwrap().output.clone();
    graph.node.splice(pool..pool, nodes);
}
