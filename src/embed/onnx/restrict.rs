//! Reduces a model to the nodes that compute the embedding, and checks them.
//!
//! The engines are meant for models that their users trust. What is left after these checks has a
//! size and an order that both engines can rely on.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TypeProto, type_proto};

use super::chain::dependencies;
use super::node::{attribute, optional_input};
use super::operators::{self, Growth, MAX_BYTES};
use super::tensor;

/// The most nodes that compute an embedding. EfficientNet-B7 has 1,100.
const MAX_NODES: usize = 4096;
/// The most inputs of all these nodes together.
const MAX_NODE_INPUTS: usize = 1 << 16;
/// The most numbers in constants, counted once per use, because engines copy weights into a layout
/// of their own.
const MAX_CONSTANT_NUMBERS: u64 = 1 << 28;
/// The most numbers that nodes compute from constants alone.
const MAX_FOLDED_NUMBERS: u64 = 1 << 24;
/// The versions of ONNX's operators that have the meaning that the engines implement.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=26;

/// Returns the part of a model that computes the value `embedding`.
pub(in crate::embed) fn restrict(model: ModelProto, embedding: &str) -> Result<ModelProto, String> {
    let opset_import: Vec<_> =
        model.opset_import.into_iter().filter(|opset| is_standard(&opset.domain)).collect();
    match opset_import.first() {
        Some(opset) if OPSETS.contains(&opset.version) => (),
        Some(opset) => {
            return Err(format!(
                "opset {} is not supported; export it with one from {} to {}",
                opset.version,
                OPSETS.start(),
                OPSETS.end()
            ));
        }
        None => return Err("the file does not name an opset; export it again".into()),
    }
    let mut graph = needed(model.graph.ok_or("the file has no graph; export it again")?, embedding);
    check_sizes(&graph)?;
    Values::of_constants(&graph)?.check(&graph.node)?;
    let [image] = &mut graph.input[..] else {
        return Err(format!("the embedding depends on {} inputs, not on one image", graph.input.len()));
    };
    // The card says the shape. That of the file may contain formulas.
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
    let value = Some(type_proto::Value::TensorType(tensor));
    image.r#type = Some(TypeProto { value, ..TypeProto::default() });
    let ir_version = model.ir_version;
    Ok(ModelProto { ir_version, opset_import, graph: Some(graph), ..ModelProto::default() })
}

/// Leaves out everything that the embedding does not depend on.
fn needed(graph: GraphProto, embedding: &str) -> GraphProto {
    let names: HashSet<String> = dependencies(&graph, embedding).into_iter().map(str::to_owned).collect();
    let GraphProto { mut node, mut initializer, mut input, .. } = graph;
    node.retain(|node| node.output.iter().any(|name| names.contains(name)));
    initializer.retain(|tensor| names.contains(&tensor.name));
    // Older exporters list the weights among the inputs, too.
    let weights: HashSet<&str> = initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    input.retain(|input| names.contains(&input.name) && !weights.contains(input.name.as_str()));
    GraphProto { node, initializer, input, ..GraphProto::default() }
}

fn check_sizes(graph: &GraphProto) -> Result<(), String> {
    let nodes = graph.node.len();
    if nodes > MAX_NODES {
        return Err(format!("{nodes} nodes compute the embedding, at most {MAX_NODES} are supported"));
    }
    if graph.node.iter().map(|node| node.input.len()).sum::<usize>() > MAX_NODE_INPUTS {
        return Err(format!("the nodes have more than {MAX_NODE_INPUTS} inputs together"));
    }
    Ok(())
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The values that the nodes so far define. A value that depends on constants alone has the most
/// numbers that it can have, another one has none.
struct Values<'a> {
    numbers: HashMap<&'a str, Option<u64>>,
    constant_numbers: u64,
    folded_numbers: u64,
}

impl<'a> Values<'a> {
    fn of_constants(graph: &'a GraphProto) -> Result<Self, String> {
        let mut values = Self { numbers: HashMap::new(), constant_numbers: 0, folded_numbers: 0 };
        for input in &graph.input {
            values.define(&input.name, None)?;
        }
        for tensor in &graph.initializer {
            let numbers = tensor::numbers(tensor)
                .map_err(|reason| format!("the tensor {:?}: {reason}", shortened(&tensor.name)))?;
            values.define(&tensor.name, Some(numbers))?;
        }
        Ok(values)
    }

    fn define(&mut self, name: &'a str, numbers: Option<u64>) -> Result<(), String> {
        if name.len() > MAX_BYTES {
            return Err(format!("a name has more than {MAX_BYTES} bytes"));
        }
        match self.numbers.insert(name, numbers) {
            None => Ok(()),
            Some(_) => Err(format!("{:?} is defined twice; export it again", shortened(name))),
        }
    }

    fn check(&mut self, nodes: &'a [NodeProto]) -> Result<(), String> {
        for node in nodes {
            self.add(node).map_err(|reason| {
                format!("{} {:?}: {reason}", shortened(&node.op_type), shortened(&node.name))
            })?;
        }
        Ok(())
    }

    fn add(&mut self, node: &'a NodeProto) -> Result<(), String> {
        let operator = operators::find(&node.op_type).filter(|_| is_standard(&node.domain));
        let operator =
            operator.ok_or("the operator is not supported; models/README.md lists those that are")?;
        if node.name.len() > MAX_BYTES {
            return Err(format!("its name has more than {MAX_BYTES} bytes"));
        }
        if (0..operator.inputs).any(|index| optional_input(node, index).is_none()) {
            return Err(format!("it needs {} inputs", operator.inputs));
        }
        operators::check_attributes(node)?;
        let numbers = self.numbers_of(node, operator.growth)?;
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            self.define(name, numbers)?;
        }
        Ok(())
    }

    /// Returns the most numbers of a node's output if they depend on constants alone.
    fn numbers_of(&mut self, node: &NodeProto, growth: Growth) -> Result<Option<u64>, String> {
        if node.op_type == "Constant" {
            let tensor = attribute(node, "value").and_then(|value| value.t.as_ref());
            return tensor.map_or(Ok(1024), tensor::numbers).map(Some);
        }
        let mut inputs = Vec::new();
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            let numbers = self.numbers.get(name.as_str()).ok_or_else(|| {
                format!("its input {:?} is not defined before it; export it again", shortened(name))
            })?;
            self.constant_numbers = self.constant_numbers.saturating_add(numbers.unwrap_or(0));
            inputs.push(*numbers);
        }
        if self.constant_numbers > MAX_CONSTANT_NUMBERS {
            return Err(format!("the nodes use more than {MAX_CONSTANT_NUMBERS} numbers of weights"));
        }
        let inputs: Option<Vec<u64>> = inputs.into_iter().collect();
        let folded = match (growth, inputs.as_deref()) {
            (Growth::Axes, _) => 8,
            (_, None) => return Ok(None),
            (Growth::Same, Some(inputs)) => inputs[0],
            (Growth::Broadcast, Some(inputs)) => inputs[0].saturating_mul(inputs[1]),
            (Growth::Sum, Some(inputs)) => inputs.iter().fold(0_u64, |sum, input| sum.saturating_add(*input)),
            (Growth::NeverConstant, Some(_)) => {
                return Err("it depends on constants alone; export the model with constants folded".into());
            }
        };
        self.folded_numbers = self.folded_numbers.saturating_add(folded);
        if self.folded_numbers > MAX_FOLDED_NUMBERS {
            return Err("it computes too many numbers from constants alone; \
                 export the model with constants folded"
                .into());
        }
        Ok(Some(folded))
    }
}

/// Returns as much of a name as a message has room for.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}
