//! The nodes of an ONNX graph become the layers of a network, where they are those of the MobileNet family.
//!
//! The family is a chain: each node takes what the one before it gives, but for an `Add`, which also takes what an earlier one gave. Batch
//! norm goes into the weights of the convolution before it, `Clip`, `Relu` into its bounds, `Pad` into the padding of the one after it.

use std::collections::{HashMap, HashSet};

use fruitvec_kernels::{Clamp, Filter, Layer, Padding, Pointwise};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use crate::model::{Layout, ModelCard};

/// Why a graph is not of the family.
pub(super) type Unsupported = String;

/// The output name of the node that gives the embedding: the card's, or the last global average pool. Exporters write that
/// pool as `GlobalAveragePool`; those that come from TensorFlow as `AveragePool` over the whole map or as `ReduceMean`.
pub(super) fn embedding(card: &ModelCard, proto: &ModelProto) -> Result<String, String> {
    let nodes = proto.graph.as_ref().map_or(&[][..], |graph| &graph.node);
    let last = |wanted: &dyn Fn(&NodeProto) -> bool| {
        nodes.iter().rev().find(|node| wanted(node)).and_then(|node| node.output.first()).cloned()
    };
    if let Some(name) = &card.embedding_node {
        let named = |node: &NodeProto| node.name == *name || node.output.contains(name);
        return last(&named).ok_or_else(|| format!("there is no node {name:?} in the graph"));
    }
    last(&|node| node.op_type == "GlobalAveragePool")
        .or_else(|| last(&|node| matches!(node.op_type.as_str(), "AveragePool" | "ReduceMean")))
        .ok_or_else(|| {
            "there is no global average pool in the graph: name `embedding_node` in the card".into()
        })
}

/// The layers from the picture to the pool whose output is `embedding`, or is reshaped to it.
pub(super) fn layers(graph: &GraphProto, layout: Layout, embedding: &str) -> Result<Vec<Layer>, Unsupported> {
    let mut chain = Chain::new(graph, layout)?;
    let needed = ancestors(graph, embedding);
    for node in graph.node.iter().filter(|node| node.output.iter().any(|name| needed.contains(name.as_str())))
    {
        chain.take(node).map_err(|why| format!("{} {:?}: {why}", node.op_type, node.name))?;
    }
    match chain.state {
        State::Pooled if chain.at == embedding => Ok(chain.layers),
        _ => Err("it does not end in a global average pool".into()),
    }
}

/// The names of all values that this one is made of, itself included.
fn ancestors<'a>(graph: &'a GraphProto, embedding: &'a str) -> HashSet<&'a str> {
    let mut needed = HashSet::from([embedding]);
    for node in graph.node.iter().rev() {
        if node.output.iter().any(|name| needed.contains(name.as_str())) {
            needed.extend(node.input.iter().map(String::as_str));
        }
    }
    needed
}

/// Where the chain has come to.
enum State {
    /// The picture, not yet in the order NCHW where that needs a node.
    Unturned,
    /// The picture, with zeros around it.
    Picture(Padding),
    /// What the last layer gives, with zeros around it.
    Map(Padding),
    /// One number for each channel.
    Pooled,
}

const NO_PADDING: Padding = Padding { top: 0, left: 0, bottom: 0, right: 0 };

struct Chain<'a> {
    weights: HashMap<&'a str, &'a TensorProto>,
    layers: Vec<Layer>,
    /// What each layer's output is called, to find what is added.
    names: HashMap<String, usize>,
    /// What the chain's end is called.
    at: String,
    state: State,
}

impl<'a> Chain<'a> {
    fn new(graph: &'a GraphProto, layout: Layout) -> Result<Self, Unsupported> {
        let weights: HashMap<_, _> = graph.initializer.iter().map(|w| (w.name.as_str(), w)).collect();
        let mut inputs = graph.input.iter().filter(|input| !weights.contains_key(input.name.as_str()));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err("it has not one input".into());
        };
        let state = match layout {
            Layout::Nchw => State::Picture(NO_PADDING),
            Layout::Nhwc => State::Unturned,
        };
        Ok(Self { weights, layers: Vec::new(), names: HashMap::new(), at: input.name.clone(), state })
    }

    fn take(&mut self, node: &'a NodeProto) -> Result<(), Unsupported> {
        if node.op_type == "Constant" {
            let value = attribute(node, "value").and_then(|value| value.t.as_ref());
            let (value, name) = value.zip(node.output.first()).ok_or("it holds no tensor")?;
            self.weights.insert(name, value);
            return Ok(());
        }
        let taken = match node.op_type.as_str() {
            "Add" => node.input.contains(&self.at),
            _ => node.input.first() == Some(&self.at),
        };
        if !taken {
            return Err("it takes something else than the node before it gives".into());
        }
        match (node.op_type.as_str(), &self.state) {
            ("Transpose", State::Unturned) if ints(node, "perm") == [0, 3, 1, 2] => {
                self.state = State::Picture(NO_PADDING);
            }
            ("Conv", State::Picture(_) | State::Map(_)) => self.convolution(node)?,
            ("Pad", State::Picture(NO_PADDING)) => self.state = State::Picture(self.pad(node)?),
            ("Pad", State::Map(NO_PADDING)) => self.state = State::Map(self.pad(node)?),
            ("BatchNormalization", State::Map(NO_PADDING)) => self.norm(node)?,
            ("Clip" | "Relu", State::Map(NO_PADDING)) => self.clamp(node)?,
            ("Add", State::Map(NO_PADDING)) => self.add(node)?,
            ("GlobalAveragePool", State::Map(NO_PADDING)) => self.state = State::Pooled,
            ("ReduceMean", State::Map(NO_PADDING)) if self.over_pixels(node) => self.state = State::Pooled,
            ("Flatten" | "Squeeze" | "Reshape", State::Pooled) | ("Identity" | "Dropout", _) => (),
            _ => return Err("there is no such node in the family, or not in this place".into()),
        }
        self.go_on(node)
    }

    /// The chain's end is this node's output, and the last layer gives it.
    fn go_on(&mut self, node: &NodeProto) -> Result<(), Unsupported> {
        let last = self.layers.len().checked_sub(1);
        if matches!(node.op_type.as_str(), "BatchNormalization" | "Clip" | "Relu") {
            // It is part of the layer now, which gives what was before it no more, whatever that is called.
            self.names.retain(|_, layer| Some(*layer) != last);
        }
        self.at = node.output.first().cloned().ok_or("it has no output")?;
        if let (State::Map(NO_PADDING), Some(last)) = (&self.state, last) {
            self.names.insert(self.at.clone(), last);
        }
        Ok(())
    }

    fn convolution(&mut self, node: &NodeProto) -> Result<(), Unsupported> {
        let [_, weights, bias @ ..] = &node.input[..] else { return Err("it has no weights".into()) };
        let (weights, shape) = (self.numbers(weights)?, self.shape(weights)?);
        if weights.is_empty() {
            return Err(format!("weights of {shape:?}"));
        }
        let &[outputs, inputs, 3 | 1, 3 | 1] = &shape[..] else {
            return Err(format!("weights of {shape:?}"));
        };
        let bias = match bias.first().filter(|name| !name.is_empty()) {
            Some(bias) => self.numbers(bias)?,
            None => vec![0.0; outputs],
        };
        if bias.len() != outputs {
            return Err(format!("weights of {shape:?} and {} of a bias", bias.len()));
        }
        let strides = ints(node, "strides");
        let stride = match strides[..] {
            [] => 1,
            [down, across] if down == across && down > 0 => down as usize,
            _ => return Err(format!("strides of {strides:?}")),
        };
        if ints(node, "dilations").iter().any(|it| *it != 1) {
            return Err("it is dilated".into());
        }
        let group = attribute(node, "group").map_or(1, |group| group.i.max(0) as usize);
        let padding = self.padding(node)?;
        let filter = Filter { weights, bias, clamp: Clamp::NONE, stride, padding };
        let layer = match (group, inputs, shape[2], shape[3], &self.state) {
            (1, 3, 3, 3, State::Picture(_)) => Layer::Stem(filter),
            (_, 1, 3, 3, State::Map(_)) if group == outputs => Layer::Depthwise(filter),
            (1, _, 1, 1, State::Map(_)) if stride == 1 && filter.padding == NO_PADDING => {
                let Filter { weights, bias, clamp, .. } = filter;
                Layer::Pointwise(Pointwise { weights, bias, clamp })
            }
            _ => return Err(format!("weights of {shape:?} in {group} groups, stride {stride}, {padding:?}")),
        };
        self.layers.push(layer);
        self.state = State::Map(NO_PADDING);
        Ok(())
    }

    /// The padding of a convolution: its own, or that of the `Pad` before it.
    fn padding(&self, node: &NodeProto) -> Result<Padding, Unsupported> {
        let automatic = attribute(node, "auto_pad").map_or(&b""[..], |it| &it.s);
        let pads = ints(node, "pads");
        let own = match (automatic, &pads[..]) {
            (b"" | b"NOTSET", []) | (b"VALID", _) => NO_PADDING,
            (b"" | b"NOTSET", &[top, left, bottom, right]) => sides([top, left, bottom, right])?,
            _ => return Err(format!("pads of {pads:?}, {:?}", String::from_utf8_lossy(automatic))),
        };
        match &self.state {
            State::Picture(NO_PADDING) | State::Map(NO_PADDING) => Ok(own),
            State::Picture(before) | State::Map(before) if own == NO_PADDING => Ok(*before),
            _ => Err("it is padded twice".into()),
        }
    }

    /// Zeros around rows and columns.
    fn pad(&self, node: &NodeProto) -> Result<Padding, Unsupported> {
        if !matches!(attribute(node, "mode").map(|mode| &mode.s[..]), None | Some(b"constant")) {
            return Err("it pads with something else than zeros".into());
        }
        let value = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => self.numbers(name)?.first().copied().unwrap_or(0.0),
            None => attribute(node, "value").map_or(0.0, |value| value.f),
        };
        if node.input.get(3).is_some_and(|axes| !axes.is_empty()) {
            return Err("it pads along some axes".into());
        }
        let pads = match node.input.get(1) {
            Some(name) => self.integers(name)?,
            None => ints(node, "pads"),
        };
        let &[0, 0, top, left, 0, 0, bottom, right] = &pads[..] else {
            return Err(format!("pads of {pads:?}"));
        };
        if value != 0.0 {
            return Err(format!("it pads with {value}"));
        }
        sides([top, left, bottom, right])
    }

    /// Folds `(x − mean) / √(variance + ε) × scale + shift` into the convolution before it.
    fn norm(&mut self, node: &NodeProto) -> Result<(), Unsupported> {
        let [_, scale, shift, mean, variance] = &node.input[..] else {
            return Err(format!("{} inputs", node.input.len()));
        };
        let (scale, shift) = (self.numbers(scale)?, self.numbers(shift)?);
        let (mean, variance) = (self.numbers(mean)?, self.numbers(variance)?);
        let epsilon = attribute(node, "epsilon").map_or(1e-5, |epsilon| epsilon.f);
        let (weights, bias, clamp) = parts(self.layers.last_mut()).ok_or("no convolution is before it")?;
        let outputs = bias.len();
        if *clamp != Clamp::NONE || [&scale, &shift, &mean, &variance].iter().any(|it| it.len() != outputs) {
            return Err("it is not the norm of the convolution before it".into());
        }
        let of_an_output = weights.len() / outputs;
        for (output, weights) in weights.chunks_exact_mut(of_an_output).enumerate() {
            let factor = scale[output] / (variance[output] + epsilon).sqrt();
            weights.iter_mut().for_each(|weight| *weight *= factor);
            bias[output] = (bias[output] - mean[output]) * factor + shift[output];
        }
        Ok(())
    }

    fn clamp(&mut self, node: &NodeProto) -> Result<(), Unsupported> {
        let bound = |at: usize, name: &str| match node.input.get(at).filter(|name| !name.is_empty()) {
            Some(bound) => match self.numbers(bound)?[..] {
                [bound] => Ok(Some(bound)),
                _ => Err("a bound that is not one number".to_owned()),
            },
            None => Ok(attribute(node, name).map(|bound| bound.f)),
        };
        let wanted = match node.op_type.as_str() {
            "Relu" => Clamp::RELU,
            _ => Clamp {
                low: bound(1, "min")?.unwrap_or(f32::NEG_INFINITY),
                high: bound(2, "max")?.unwrap_or(f32::INFINITY),
            },
        };
        match parts(self.layers.last_mut()) {
            Some((_, _, clamp)) if *clamp == Clamp::NONE => *clamp = wanted,
            _ => return Err("no convolution is before it".into()),
        }
        Ok(())
    }

    fn add(&mut self, node: &NodeProto) -> Result<(), Unsupported> {
        let [a, b] = &node.input[..] else { return Err(format!("{} inputs", node.input.len())) };
        let added = if *a == self.at { b } else { a };
        let layer = self.names.get(added).ok_or("it adds something else than a layer")?;
        self.layers.push(Layer::Add(*layer));
        Ok(())
    }

    /// Whether a mean is over rows and columns.
    fn over_pixels(&self, node: &NodeProto) -> bool {
        let axes = match node.input.get(1) {
            Some(name) => self.integers(name).unwrap_or_default(),
            None => ints(node, "axes"),
        };
        matches!(axes[..], [2, 3] | [-2, -1])
    }

    fn tensor(&self, name: &str) -> Result<&'a TensorProto, Unsupported> {
        self.weights.get(name).copied().ok_or_else(|| format!("{name:?} is not a constant"))
    }

    fn shape(&self, name: &str) -> Result<Vec<usize>, Unsupported> {
        let dims = self.tensor(name)?.dims.iter();
        dims.map(|dim| usize::try_from(*dim).map_err(|_| format!("{name:?} has a side of {dim}"))).collect()
    }

    /// The numbers of a constant of 32-bit floats, as many as its shape has.
    fn numbers(&self, name: &str) -> Result<Vec<f32>, Unsupported> {
        let tensor = self.tensor(name)?;
        if tensor.data_type != DataType::Float as i32 {
            return Err(format!("{name:?} is not of 32-bit floats"));
        }
        let numbers = if tensor.raw_data.is_empty() {
            tensor.float_data.clone()
        } else {
            let (raw, _) = tensor.raw_data.as_chunks();
            raw.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        let expected = self.shape(name)?.iter().try_fold(1_usize, |product, side| product.checked_mul(*side));
        if Some(numbers.len()) != expected {
            return Err(format!("{name:?} has {} numbers, not those of its shape", numbers.len()));
        }
        Ok(numbers)
    }

    fn integers(&self, name: &str) -> Result<Vec<i64>, Unsupported> {
        let tensor = self.tensor(name)?;
        if tensor.data_type != DataType::Int64 as i32 {
            return Err(format!("{name:?} is not of 64-bit integers"));
        }
        if tensor.raw_data.is_empty() {
            return Ok(tensor.int64_data.clone());
        }
        let (raw, _) = tensor.raw_data.as_chunks();
        Ok(raw.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }
}

/// The weights, bias and bounds of a convolution.
fn parts(layer: Option<&mut Layer>) -> Option<(&mut Vec<f32>, &mut Vec<f32>, &mut Clamp)> {
    match layer? {
        Layer::Stem(filter) | Layer::Depthwise(filter) => {
            Some((&mut filter.weights, &mut filter.bias, &mut filter.clamp))
        }
        Layer::Pointwise(pointwise) => {
            Some((&mut pointwise.weights, &mut pointwise.bias, &mut pointwise.clamp))
        }
        Layer::Add(_) => None,
    }
}

/// Pixels on the four sides of a map.
fn sides(pads: [i64; 4]) -> Result<Padding, Unsupported> {
    if pads.iter().any(|pixels| !(0..=1).contains(pixels)) {
        return Err(format!("pads of {pads:?}"));
    }
    let [top, left, bottom, right] = pads.map(|pixels| pixels as usize);
    Ok(Padding { top, left, bottom, right })
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

fn ints(node: &NodeProto, name: &str) -> Vec<i64> {
    attribute(node, name).map_or(Vec::new(), |attribute| attribute.ints.clone())
}
