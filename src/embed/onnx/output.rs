//! Finds the value of a graph that is the embedding.

use tract_onnx::pb::{ModelProto, NodeProto};

use crate::contract::model_card::ModelCard;

/// Returns the name of the value that is the embedding: the output of the card's node, or of the
/// last global average pool.
pub(in crate::embed) fn embedding_output(card: &ModelCard, proto: &ModelProto) -> Result<String, String> {
    let nodes = proto.graph.as_ref().map_or(&[][..], |graph| &graph.node);
    let last_output = |matches: &dyn Fn(&NodeProto) -> bool| {
        nodes.iter().rev().find(|node| matches(node)).and_then(|node| node.output.first()).cloned()
    };
    if let Some(name) = &card.embedding_node {
        let is_named = |node: &NodeProto| node.name == *name || node.output.contains(name);
        return last_output(&is_named).ok_or_else(|| format!("there is no node {name:?} in the graph"));
    }
    // Exporters from TensorFlow write the pool as an `AveragePool` over the whole map, or as a
    // `ReduceMean`. Both also have other uses, so `GlobalAveragePool` takes precedence.
    last_output(&|node| node.op_type == "GlobalAveragePool")
        .or_else(|| last_output(&|node| matches!(node.op_type.as_str(), "AveragePool" | "ReduceMean")))
        .ok_or_else(|| {
            "there is no global average pool in the graph; set `embedding_node` in the card".into()
        })
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::GraphProto;

    use super::*;
    use crate::contract::model_card::DEFAULT_MODEL;

    /// Finds the embedding in a graph of nodes of these types. The node at index 3 is named
    /// `node_3`, and its output `value_3`.
    fn find(op_types: &[&str], embedding_node: Option<&str>) -> Result<String, String> {
        let nodes = op_types.iter().enumerate().map(|(index, op_type)| NodeProto {
            op_type: (*op_type).to_owned(),
            name: format!("node_{index}"),
            output: vec![format!("value_{index}")],
            ..NodeProto::default()
        });
        let graph = GraphProto { node: nodes.collect(), ..GraphProto::default() };
        let proto = ModelProto { graph: Some(graph), ..ModelProto::default() };
        let mut card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
        card.embedding_node = embedding_node.map(str::to_owned);
        embedding_output(&card, &proto)
    }

    #[test]
    fn the_card_names_the_node_or_its_output() {
        let op_types = ["Conv", "GlobalAveragePool", "Flatten", "Gemm"];
        assert_eq!(find(&op_types, Some("node_2")).unwrap(), "value_2");
        assert_eq!(find(&op_types, Some("value_3")).unwrap(), "value_3");
        let error = find(&op_types, Some("nowhere")).unwrap_err();
        assert_eq!(error, "there is no node \"nowhere\" in the graph");
    }

    #[test]
    fn without_a_name_the_last_global_average_pool_counts() {
        let pools = ["GlobalAveragePool", "Conv", "GlobalAveragePool", "ReduceMean", "Softmax"];
        assert_eq!(find(&pools, None).unwrap(), "value_2");
        assert_eq!(find(&["AveragePool", "Conv", "AveragePool", "Gemm"], None).unwrap(), "value_2");
        assert_eq!(find(&["Conv", "ReduceMean", "Gemm"], None).unwrap(), "value_1");
    }

    #[test]
    fn a_graph_without_a_pool_needs_a_name() {
        assert!(find(&["Conv", "Gemm"], None).unwrap_err().contains("embedding_node"));
        assert!(find(&[], None).unwrap_err().contains("embedding_node"));
    }
}
