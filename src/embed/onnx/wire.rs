//! Bounds the parts of an encoded model before it is decoded.
//!
//! A message of two bytes can take hundreds of bytes of memory when it is decoded, so the size of
//! the file alone does not bound the memory.

use prost::encoding::{WireType, decode_key, decode_varint};

/// The most fields of messages. EfficientNet-Lite4 has 10,000.
const MAX_FIELDS: usize = 500_000;
/// The most bytes of packed integers, of which each byte can become eight.
const MAX_PACKED_BYTES: usize = 64 << 20;

const DAMAGED: &str = "the file is truncated or is not an ONNX file; copy or export it again";

/// The messages that a model is made of.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    Annotation,
    /// A message without messages in it.
    Leaf,
}

/// The content of a field with a length.
enum Content {
    Message(Message),
    PackedIntegers,
    Bytes,
    /// A part of ONNX that no network here needs.
    Refused(&'static str),
}

/// What a file may still contain.
struct Budget {
    fields: usize,
    packed_bytes: usize,
}

/// Checks that a decoded model takes little more memory than its file.
pub(in crate::embed) fn check(file: &[u8]) -> Result<(), String> {
    let mut budget = Budget { fields: MAX_FIELDS, packed_bytes: MAX_PACKED_BYTES };
    // The recursion is bounded, because a refused subgraph would be the only message in itself.
    scan(file, Message::Model, &mut budget)
}

fn scan(mut bytes: &[u8], message: Message, budget: &mut Budget) -> Result<(), String> {
    while !bytes.is_empty() {
        let (field, wire_type) = decode_key(&mut bytes).map_err(|_| DAMAGED)?;
        budget.fields = budget.fields.checked_sub(1).ok_or_else(|| {
            format!("the file has more than {MAX_FIELDS} fields; use a network with fewer nodes")
        })?;
        let length = match wire_type {
            WireType::Varint => {
                decode_varint(&mut bytes).map_err(|_| DAMAGED)?;
                continue;
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => decode_varint(&mut bytes).map_err(|_| DAMAGED)?,
            WireType::StartGroup | WireType::EndGroup => return Err(DAMAGED.into()),
        };
        let length = usize::try_from(length).map_err(|_| DAMAGED)?;
        let (content, rest) = bytes.split_at_checked(length).ok_or(DAMAGED)?;
        bytes = rest;
        if wire_type == WireType::LengthDelimited {
            match content_of(message, field) {
                Content::Message(child) => scan(content, child, budget)?,
                Content::PackedIntegers => {
                    let rest = budget.packed_bytes.checked_sub(length);
                    budget.packed_bytes =
                        rest.ok_or("the file has too many packed integers; store weights as raw data")?;
                }
                Content::Bytes => (),
                Content::Refused(part) => return Err(format!("the file has {part}; export it without them")),
            }
        }
    }
    Ok(())
}

/// Returns the content of a field. The numbers are those of `onnx.proto`.
fn content_of(message: Message, field: u32) -> Content {
    match (message, field) {
        (Message::Model, 7) => Content::Message(Message::Graph),
        (Message::Model, 20) => Content::Refused("training steps"),
        (Message::Model, 25) => Content::Refused("functions"),
        (Message::Model, 8 | 14) | (Message::Shape, 1) | (Message::Annotation, 2) => {
            Content::Message(Message::Leaf)
        }
        (Message::Graph, 1) => Content::Message(Message::Node),
        (Message::Graph, 5) | (Message::Attribute, 5 | 10) => Content::Message(Message::Tensor),
        (Message::Graph, 11..=13) => Content::Message(Message::Value),
        (Message::Graph, 14) => Content::Message(Message::Annotation),
        (Message::Graph, 15) | (Message::Attribute, 22 | 23) => Content::Refused("sparse tensors"),
        (Message::Node, 5) => Content::Message(Message::Attribute),
        (Message::Attribute, 6 | 11) => Content::Refused("subgraphs (If, Loop or Scan)"),
        (Message::Attribute, 15) => Content::Refused("types as attributes"),
        (Message::Attribute, 8) | (Message::Tensor, 1 | 5 | 7 | 11) => Content::PackedIntegers,
        (Message::Tensor, 13) => Content::Refused("weights in other files"),
        (Message::Value, 2) => Content::Message(Message::Type),
        (Message::Type, 1) => Content::Message(Message::TensorType),
        (Message::TensorType, 2) => Content::Message(Message::Shape),
        _ => Content::Bytes,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

    use super::*;

    fn encoded(graph: GraphProto) -> Vec<u8> {
        ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
    }

    #[test]
    fn a_million_nodes_are_refused_and_a_thousand_are_not() {
        let nodes =
            |count| encoded(GraphProto { node: vec![NodeProto::default(); count], ..Default::default() });
        check(&nodes(1_000)).unwrap();
        assert!(check(&nodes(1_000_000)).unwrap_err().contains("more than 500000 fields"));
    }

    #[test]
    fn packed_integers_are_counted_over_all_tensors() {
        let tensor = TensorProto { int64_data: vec![0; 1 << 20], ..Default::default() };
        let tensors =
            |count| encoded(GraphProto { initializer: vec![tensor.clone(); count], ..Default::default() });
        check(&tensors(64)).unwrap();
        assert!(check(&tensors(65)).unwrap_err().contains("packed integers"));
    }

    #[test]
    fn a_length_beyond_the_end_is_found_at_any_depth() {
        let node = NodeProto { name: "conv".into(), ..Default::default() };
        let file = encoded(GraphProto { node: vec![node], ..Default::default() });
        check(&file).unwrap();
        for length in 1..file.len() {
            assert_eq!(check(&file[..length]).unwrap_err(), DAMAGED, "{length} bytes");
        }
    }
}
