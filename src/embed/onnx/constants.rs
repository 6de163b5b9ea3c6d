//! The constants of a graph: weights, bounds and lists of integers.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::node::{Unsupported, attribute};

/// Constant tensors by name.
pub(super) struct Constants<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Constants<'a> {
    /// Collects the initializers of a graph.
    pub(super) fn new(graph: &'a GraphProto) -> Self {
        Self { tensors: graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect() }
    }

    /// Adds the tensor of a `Constant` node.
    pub(super) fn add(&mut self, node: &'a NodeProto) -> Result<(), Unsupported> {
        let value = attribute(node, "value").and_then(|value| value.t.as_ref());
        let (value, name) = value.zip(node.output.first()).ok_or("it has no tensor")?;
        self.tensors.insert(name, value);
        Ok(())
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>, Unsupported> {
        let dims = self.tensor(name)?.dims.iter();
        dims.map(|dim| usize::try_from(*dim).map_err(|_| format!("{name:?} has a dimension of {dim}")))
            .collect()
    }

    /// Returns a tensor of 32-bit floats. Its length matches its shape.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f32>, Unsupported> {
        let tensor = self.tensor(name)?;
        if tensor.data_type != DataType::Float as i32 {
            return Err(format!("{name:?} is not a tensor of 32-bit floats"));
        }
        let numbers = if tensor.raw_data.is_empty() {
            tensor.float_data.clone()
        } else {
            let (raw, _) = tensor.raw_data.as_chunks();
            raw.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        let expected = self.shape(name)?.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
        if Some(numbers.len()) != expected {
            return Err(format!("the shape of {name:?} does not match its {} numbers", numbers.len()));
        }
        Ok(numbers)
    }

    /// Returns a tensor of 64-bit integers.
    pub(super) fn integers(&self, name: &str) -> Result<Vec<i64>, Unsupported> {
        let tensor = self.tensor(name)?;
        if tensor.data_type != DataType::Int64 as i32 {
            return Err(format!("{name:?} is not a tensor of 64-bit integers"));
        }
        if tensor.raw_data.is_empty() {
            return Ok(tensor.int64_data.clone());
        }
        let (raw, _) = tensor.raw_data.as_chunks();
        Ok(raw.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    fn tensor(&self, name: &str) -> Result<&'a TensorProto, Unsupported> {
        self.tensors.get(name).copied().ok_or_else(|| format!("{name:?} is not a constant"))
    }
}
