//! Any ONNX graph, run by tract.

use std::sync::Arc;

use tract_onnx::pb::{ModelProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{bail, format_err};

use super::Embedder;
use crate::error::{Error, Result};
use crate::model::{Layout, ModelCard, ModelInput};
use crate::pixels::Square;
use crate::reject::{RejectCode, Rejection};

/// Any ONNX graph, run by tract.
pub struct Tract {
    card: ModelCard,
    plan: Arc<TypedRunnableModel>,
}

impl Tract {
    /// Cuts the graph at the embedding, optimises it, and embeds one grey square to see that it does what the card says.
    ///
    /// # Errors
    /// [`Error::Model`] when it does not.
    pub fn load(card: &ModelCard, file: &[u8]) -> Result<Self> {
        let plan = plan(card, file).map_err(|cause| card.error(format!("{cause:#}")))?;
        let embedder = Self { card: card.clone(), plan };
        let side = card.input.side;
        let grey = Square::new(side, vec![128; 3 * side as usize * side as usize]);
        let grey = grey.ok_or_else(|| card.error("input.side: no such square"))?;
        embedder.embed(&grey).map_err(|cause| card.error(format!("embedding a grey square: {cause}")))?;
        Ok(embedder)
    }
}

impl Embedder for Tract {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn engine(&self) -> &str {
        "tract 0.23"
    }

    fn embed(&self, square: &Square) -> Result<Vec<f32>> {
        let internal =
            |cause: &dyn std::fmt::Display| Error::Internal(format!("{}: {cause:#}", self.card.id));
        let input = tensor(square, &self.card.input).map_err(|cause| internal(&cause))?;
        let output = self.plan.run(tvec!(input.into())).map_err(|cause| internal(&cause))?;
        let embedding = output[0].to_plain_array_view::<f32>().map_err(|cause| internal(&cause))?;
        let (found, said) = (embedding.len(), self.card.dimension);
        if found != said {
            return Err(internal(&format!("the graph gives {found} numbers, the card says {said}")));
        }
        // One such row would stop every fit from then on, and parts are never modified.
        if !embedding.iter().all(|x| x.is_finite()) {
            let message = "the network gives a number that is not finite; export the picture again";
            return Err(Rejection::new(RejectCode::NotFinite, message).into());
        }
        Ok(embedding.iter().copied().collect())
    }
}

fn plan(card: &ModelCard, file: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    let onnx = tract_onnx::onnx();
    let proto = onnx.proto_model_for_read(&mut &*file)?;
    let side = card.input.side as usize;
    let shape = match card.input.layout {
        Layout::Nchw => [1, 3, side, side],
        Layout::Nhwc => [1, side, side, 3],
    };
    onnx.parse(&proto, None)?
        .model
        .with_outputs_by_name([embedding_node(card, &proto)?])?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_optimized()?
        .into_runnable()
}

/// The output name of the node that gives the embedding: the card's, or the last global average pool. Exporters write that
/// pool as `GlobalAveragePool`; those that come from TensorFlow as `AveragePool` over the whole map or as `ReduceMean`.
fn embedding_node(card: &ModelCard, proto: &ModelProto) -> TractResult<String> {
    let nodes = proto.graph.as_ref().map_or(&[][..], |graph| &graph.node);
    let last = |wanted: &dyn Fn(&NodeProto) -> bool| {
        nodes.iter().rev().find(|node| wanted(node)).and_then(|node| node.output.first()).cloned()
    };
    if let Some(name) = &card.embedding_node {
        let named = |node: &NodeProto| node.name == *name || node.output.contains(name);
        return last(&named).ok_or_else(|| format_err!("there is no node {name:?} in the graph"));
    }
    last(&|node| node.op_type == "GlobalAveragePool")
        .or_else(|| last(&|node| matches!(node.op_type.as_str(), "AveragePool" | "ReduceMean")))
        .ok_or_else(|| {
            format_err!("there is no global average pool in the graph: name `embedding_node` in the card")
        })
}

/// The input tensor of a square: `(pixel − mean) / std`, laid out as the network has it.
fn tensor(square: &Square, input: &ModelInput) -> TractResult<Tensor> {
    let side = input.side as usize;
    if square.side() != input.side {
        bail!("a square of {} pixels, the model wants {side}", square.side());
    }
    let normalised =
        |channel: usize, pixel: u8| (f32::from(pixel) - input.mean[channel]) / input.std[channel];
    let pixels = square.rgb().chunks_exact(3);
    match input.layout {
        Layout::Nhwc => {
            let values: Vec<f32> =
                pixels.flat_map(|pixel| [0, 1, 2].map(|c| normalised(c, pixel[c]))).collect();
            Tensor::from_shape(&[1, side, side, 3], &values)
        }
        Layout::Nchw => {
            let mut values = vec![0.0; 3 * side * side];
            for (channel, plane) in values.chunks_exact_mut(side * side).enumerate() {
                // A byte has 256 values: looking one up is cheaper than dividing, and rounds the same.
                let table: [f32; 256] = std::array::from_fn(|pixel| normalised(channel, pixel as u8));
                for (value, pixel) in plane.iter_mut().zip(pixels.clone()) {
                    *value = table[usize::from(pixel[channel])];
                }
            }
            Tensor::from_shape(&[1, 3, side, side], &values)
        }
    }
}
