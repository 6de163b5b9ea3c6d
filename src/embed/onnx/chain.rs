//! Walks a graph from the image to the embedding, and collects the layers.

use std::collections::{HashMap, HashSet};

use fruitvec_kernels::{Layer, Padding};
use tract_onnx::pb::{GraphProto, NodeProto};

use super::constants::Constants;
use super::convolution::{self, Source};
use super::node::{Unsupported, ints};
use super::padding::{self, NO_PADDING};
use crate::contract::model_card::Layout;

/// The kind of value at the end of the chain.
#[derive(Clone, Copy)]
enum State {
    /// The image in NHWC order, which the graph must transpose first.
    NhwcImage,
    /// The image in NCHW order, with zeros around it.
    Image(Padding),
    /// The output of the last layer, with zeros around it.
    Map(Padding),
    /// One number per channel.
    Pooled,
}

struct Chain<'a> {
    constants: Constants<'a>,
    layers: Vec<Layer>,
    /// The index of the layer that outputs a value, by the value's name. An `Add` may refer to it.
    layer_indices: HashMap<String, usize>,
    /// The name of the value at the end of the chain.
    end: String,
    state: State,
}

/// Returns the layers from the image to the pool whose output is `embedding`, or is reshaped to it.
pub(in crate::embed) fn layers(
    graph: &GraphProto,
    layout: Layout,
    embedding: &str,
) -> Result<Vec<Layer>, Unsupported> {
    let mut chain = Chain::new(graph, layout)?;
    let needed = dependencies(graph, embedding);
    let is_needed = |node: &&NodeProto| node.output.iter().any(|name| needed.contains(name.as_str()));
    for node in graph.node.iter().filter(is_needed) {
        chain.push(node).map_err(|reason| format!("{} {:?}: {reason}", node.op_type, node.name))?;
    }
    match chain.state {
        State::Pooled if chain.end == embedding => Ok(chain.layers),
        _ => Err("the network does not end in a global average pool".into()),
    }
}

/// Returns the names of all values that this one depends on, including itself.
pub(super) fn dependencies<'a>(graph: &'a GraphProto, value: &'a str) -> HashSet<&'a str> {
    let mut names = HashSet::from([value]);
    // ONNX sorts nodes topologically, so one pass from the end finds everything.
    for node in graph.node.iter().rev() {
        if node.output.iter().any(|name| names.contains(name.as_str())) {
            names.extend(node.input.iter().map(String::as_str));
        }
    }
    names
}

impl<'a> Chain<'a> {
    fn new(graph: &'a GraphProto, layout: Layout) -> Result<Self, Unsupported> {
        let constants = Constants::new(graph);
        // Older exporters list the weights among the inputs, too.
        let mut inputs = graph.input.iter().filter(|input| !constants.contains(&input.name));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err("the graph does not have exactly one input".into());
        };
        let state = match layout {
            Layout::Nchw => State::Image(NO_PADDING),
            Layout::Nhwc => State::NhwcImage,
        };
        let end = input.name.clone();
        Ok(Self { constants, layers: Vec::new(), layer_indices: HashMap::new(), end, state })
    }

    /// Appends a node to the chain.
    fn push(&mut self, node: &'a NodeProto) -> Result<(), Unsupported> {
        if node.op_type == "Constant" {
            return self.constants.add(node);
        }
        let follows = match node.op_type.as_str() {
            "Add" => node.input.contains(&self.end),
            _ => node.input.first() == Some(&self.end),
        };
        if !follows {
            return Err("its input is not the output of the node before it".into());
        }
        // Only a convolution may follow padding. Any other node would see the zeros.
        match (node.op_type.as_str(), self.state) {
            ("Transpose", State::NhwcImage) if ints(node, "perm") == [0, 3, 1, 2] => {
                self.state = State::Image(NO_PADDING);
            }
            ("Conv", State::Image(padding)) => self.push_convolution(node, Source::Image, padding)?,
            ("Conv", State::Map(padding)) => self.push_convolution(node, Source::Map, padding)?,
            ("Pad", State::Image(NO_PADDING)) => {
                self.state = State::Image(padding::of_pad(node, &self.constants)?);
            }
            ("Pad", State::Map(NO_PADDING)) => {
                self.state = State::Map(padding::of_pad(node, &self.constants)?);
            }
            ("BatchNormalization", State::Map(NO_PADDING)) => {
                convolution::fold_norm(node, &self.constants, self.layers.last_mut())?;
            }
            ("Clip" | "Relu", State::Map(NO_PADDING)) => {
                convolution::fold_clamp(node, &self.constants, self.layers.last_mut())?;
            }
            ("Add", State::Map(NO_PADDING)) => self.push_add(node)?,
            ("GlobalAveragePool", State::Map(NO_PADDING)) => self.state = State::Pooled,
            ("ReduceMean", State::Map(NO_PADDING)) if self.is_over_pixels(node) => {
                self.state = State::Pooled;
            }
            ("Flatten" | "Squeeze" | "Reshape", State::Pooled) | ("Identity" | "Dropout", _) => (),
            _ => return Err("the MobileNet family has no such node at this position".into()),
        }
        self.advance(node)
    }

    /// Makes the output of a node the end of the chain.
    fn advance(&mut self, node: &NodeProto) -> Result<(), Unsupported> {
        let last = self.layers.len().checked_sub(1);
        if matches!(node.op_type.as_str(), "BatchNormalization" | "Clip" | "Relu") {
            // The node is now part of the last layer. The layer's former output no longer exists,
            // under any of its names, so an `Add` must not refer to it.
            self.layer_indices.retain(|_, layer| Some(*layer) != last);
        }
        self.end = node.output.first().cloned().ok_or("it has no output")?;
        if let (State::Map(NO_PADDING), Some(last)) = (self.state, last) {
            self.layer_indices.insert(self.end.clone(), last);
        }
        Ok(())
    }

    fn push_convolution(
        &mut self,
        node: &NodeProto,
        source: Source,
        padding: Padding,
    ) -> Result<(), Unsupported> {
        self.layers.push(convolution::convert(node, &self.constants, source, padding)?);
        self.state = State::Map(NO_PADDING);
        Ok(())
    }

    fn push_add(&mut self, node: &NodeProto) -> Result<(), Unsupported> {
        let [a, b] = &node.input[..] else { return Err(format!("{} inputs", node.input.len())) };
        let added = if *a == self.end { b } else { a };
        let layer =
            self.layer_indices.get(added).ok_or("it adds a value that is not the output of a layer")?;
        self.layers.push(Layer::Add(*layer));
        Ok(())
    }

    /// Returns whether a `ReduceMean` averages over rows and columns.
    fn is_over_pixels(&self, node: &NodeProto) -> bool {
        let axes = match node.input.get(1) {
            Some(name) => self.constants.integers(name).unwrap_or_default(),
            None => ints(node, "axes"),
        };
        matches!(axes[..], [2, 3] | [-2, -1])
    }
}
