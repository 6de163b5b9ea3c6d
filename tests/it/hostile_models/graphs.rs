//! Graphs without a sensible order, and parts of ONNX that no network here needs.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto,
    TrainingInfoProto,
};

use super::kind::{Kind, graph, model};
use super::network::{floats, insert, int, node};

pub(super) fn kinds() -> Vec<Kind> {
    [order(), missing_parts(), sizes(), subgraphs(), other_parts()].into_iter().flatten().collect()
}

fn order() -> Vec<Kind> {
    vec![
        graph("a cycle", "\"head\" is not defined before it", |g| g.node[1].input[0] = "head".into()),
        graph("a node that reads itself", "is not defined before it", |g| g.node[1].input[0] = "relu".into()),
        graph("a missing input", "\"nowhere\" is not defined before it", |g| {
            g.node[1].input[0] = "nowhere".into()
        }),
        graph("unsorted nodes", "is not defined before it", |g| g.node.swap(0, 1)),
        graph("a value defined twice", "\"relu\" is defined twice", |g| g.node.insert(1, g.node[1].clone())),
        graph("a weight defined twice", "\"head_weights\" is defined twice", |g| {
            g.initializer.push(g.initializer[1].clone());
        }),
        graph("a weight named like a value", "\"stem\" is defined twice", |g| {
            g.initializer.push(floats("stem", &[1]));
        }),
        graph("an embedding of constants", "depends on constants alone", |g| {
            g.node[3].input[0] = "head_weights".into()
        }),
        graph("a node without inputs", "it needs 1 inputs", |g| g.node[1].input.clear()),
        graph("a node whose first input is omitted", "it needs 2 inputs", |g| g.node[2].input[0].clear()),
    ]
}

fn missing_parts() -> Vec<Kind> {
    vec![
        model("no graph", "no global average pool", |m| m.graph = None),
        model("an empty graph", "no global average pool", |m| m.graph = Some(GraphProto::default())),
        model("no opset", "does not name an opset", |m| m.opset_import.clear()),
        model("opset 0", "opset 0 is not supported", |m| m.opset_import[0].version = 0),
        model("opset 10^9", "opset 1000000000 is not supported", |m| {
            m.opset_import[0].version = 1_000_000_000
        }),
        model("a negative opset", "opset -1 is not supported", |m| m.opset_import[0].version = -1),
        graph("no image", "\"image\" is not defined before it", |g| g.input.clear()),
        graph("no pool", "set `embedding_node`", |g| _ = g.node.pop()),
        graph("a pool without an output", "set `embedding_node`", |g| g.node[3].output.clear()),
        graph("another dimension", "17 numbers, the card says 16", |g| {
            g.initializer[1] = floats("head_weights", &[17, 8, 1, 1]);
        }),
        graph("a map as the embedding", "the card says 16", |g| {
            g.node[3] =
                node("AveragePool", &["head"], "pool", vec![super::network::ints("kernel_shape", &[3, 3])]);
        }),
    ]
}

fn sizes() -> Vec<Kind> {
    let chain = |count: usize| {
        let name = |at| if at == 0 { "head".to_owned() } else { format!("value_{at}") };
        (0..count).map(|at| node("Abs", &[&name(at)], &name(at + 1), vec![])).collect::<Vec<_>>()
    };
    vec![
        graph("a million empty nodes", "more than 500000 fields", |g| {
            g.node.splice(0..0, vec![NodeProto::default(); 1_000_000]);
        }),
        graph("a chain of 5,000 nodes", "5004 nodes compute the embedding", |g| insert(g, chain(5_000))),
        graph("a name of a megabyte", "a name has more than 1024 bytes", |g| {
            let name = "n".repeat(1 << 20);
            g.node[1].output[0].clone_from(&name);
            g.node[2].input[0] = name;
        }),
        graph("a value that doubles 60 times", "", |g| {
            let double = |at: usize| {
                let from = if at == 0 { "head".to_owned() } else { format!("value_{at}") };
                node("Concat", &[&from, &from], &format!("value_{}", at + 1), vec![int("axis", 1)])
            };
            insert(g, (0..60).map(double).collect());
        }),
        graph("a constant that doubles 40 times", "too many numbers from constants", |g| {
            let double = |at: usize| {
                let from = if at == 0 { "head_weights".to_owned() } else { format!("value_{at}") };
                node("Concat", &[&from, &from], &format!("value_{}", at + 1), vec![int("axis", 0)])
            };
            let mut nodes: Vec<_> = (0..40).map(double).collect();
            nodes.push(node("Add", &["head", "value_40"], "sum", vec![]));
            insert(g, nodes);
        }),
        graph("70,000 inputs of one node", "more than 65536 inputs", |g| {
            insert(g, vec![node("Sum", &["head"; 70_000], "sum", vec![])]);
        }),
    ]
}

fn with_graph(op_type: &str, body: GraphProto) -> NodeProto {
    let r#type = AttributeType::Graph as i32;
    let body = AttributeProto { name: "body".into(), g: Some(body), r#type, ..AttributeProto::default() };
    node(op_type, &["head"], "nested", vec![body])
}

fn subgraphs() -> Vec<Kind> {
    let nested = |depth: usize| {
        let inner = node("Abs", &["head"], "nested", vec![]);
        (0..depth).fold(inner, |inner, _| {
            with_graph("If", GraphProto { node: vec![inner], ..GraphProto::default() })
        })
    };
    let looped = |op_type| {
        let body =
            GraphProto { node: vec![node("Abs", &["nested"], "nested", vec![])], ..GraphProto::default() };
        with_graph(op_type, body)
    };
    vec![
        graph("an If", "the file has subgraphs", |g| insert(g, vec![nested(1)])),
        graph("30 nested Ifs", "the file has subgraphs", |g| insert(g, vec![nested(30)])),
        graph("1,000 nested Ifs", "the file has subgraphs", |g| insert(g, vec![nested(1_000)])),
        graph("a Loop that reads itself", "the file has subgraphs", |g| insert(g, vec![looped("Loop")])),
        graph("a Scan that reads itself", "the file has subgraphs", |g| insert(g, vec![looped("Scan")])),
        graph("a Loop without a body", "the operator is not supported", |g| {
            insert(g, vec![node("Loop", &["head"], "nested", vec![])]);
        }),
    ]
}

fn other_parts() -> Vec<Kind> {
    let recursive = FunctionProto {
        name: Some("Again".into()),
        node: vec![node("Again", &["x"], "y", vec![])],
        ..FunctionProto::default()
    };
    vec![
        model("a function that calls itself", "the file has functions", |m: &mut ModelProto| {
            m.functions.push(recursive);
        }),
        model("training steps", "the file has training steps", |m| {
            m.training_info.push(TrainingInfoProto::default());
        }),
        model("another domain's opset only", "does not name an opset", |m| {
            m.opset_import = vec![OperatorSetIdProto { domain: "com.example".into(), version: 13 }];
        }),
        graph("an operator of another domain", "the operator is not supported", |g| {
            g.node[1].domain = "com.example".into();
        }),
        graph("an unknown operator", "the operator is not supported", |g| {
            g.node[1].op_type = "Explode".into()
        }),
        graph("a sparse weight", "the file has sparse tensors", |g| {
            g.sparse_initializer.push(SparseTensorProto::default());
        }),
    ]
}
