//! Reads the attributes and inputs of an ONNX node.

use tract_onnx::pb::{AttributeProto, NodeProto};

/// The reason why a graph is not of the MobileNet family.
pub(super) type Unsupported = String;

pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// Returns a list of integers. It is empty if the node lacks the attribute.
pub(super) fn ints(node: &NodeProto, name: &str) -> Vec<i64> {
    attribute(node, name).map_or(Vec::new(), |attribute| attribute.ints.clone())
}

/// Returns the name of an optional input, unless it is omitted.
pub(super) fn optional_input(node: &NodeProto, index: usize) -> Option<&str> {
    // An empty name stands for an omitted input that other inputs follow.
    node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
}
