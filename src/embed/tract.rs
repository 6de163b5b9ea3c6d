//! Runs any network on tract.

use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::embedder::{Embedder, check_embedding, check_side};
use super::work;
use crate::contract::model_card::{Layout, ModelCard, ModelInput};
use crate::error::{Error, Result};
use crate::image::InputImage;

/// The most characters of an error of tract in a message.
const MAX_REASON: usize = 500;

/// A network, optimised by tract.
pub struct Tract {
    card: ModelCard,
    plan: Arc<TypedRunnableModel>,
}

impl Tract {
    /// Optimises the part of a graph that computes the value `output`.
    pub(super) fn optimise(card: &ModelCard, proto: &ModelProto, output: &str) -> Result<Self> {
        let plan = plan(card, proto, output).map_err(|cause| {
            // tract's errors may contain whole tensors.
            let reason: String = format!("{cause:#}").chars().take(MAX_REASON).collect();
            card.error(format!("tract can't run it: {reason}"))
        })?;
        Ok(Self { card: card.clone(), plan })
    }
}

impl Embedder for Tract {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn engine(&self) -> &str {
        "tract 0.23"
    }

    fn embed(&self, image: &InputImage) -> Result<Vec<f32>> {
        check_side(&self.card, image)?;
        let internal = |cause: TractError| Error::Internal(format!("{}: {cause:#}", self.card.id));
        let input = tensor(image, &self.card.input).map_err(internal)?;
        let output = self.plan.run(tvec!(input.into())).map_err(internal)?;
        let embedding = output[0].to_plain_array_view::<f32>().map_err(internal)?;
        check_embedding(&self.card, embedding.iter().copied().collect())
    }
}

fn plan(card: &ModelCard, proto: &ModelProto, output: &str) -> TractResult<Arc<TypedRunnableModel>> {
    let side = card.input.side as usize;
    let shape = match card.input.layout {
        Layout::Nchw => [1, 3, side, side],
        Layout::Nhwc => [1, side, side, 3],
    };
    let model = tract_onnx::onnx()
        .parse(proto, None)?
        .model
        .with_outputs_by_name([output])?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_typed()?;
    // Optimising packs the weights for the shapes, so the shapes are checked first.
    work::check_model(&model).map_err(TractError::msg)?;
    model.into_optimized()?.into_runnable()
}

/// Returns the network's input: `(pixel − mean) / std`, in the layout of the card.
fn tensor(image: &InputImage, input: &ModelInput) -> TractResult<Tensor> {
    let side = input.side as usize;
    let normalised =
        |channel: usize, pixel: u8| (f32::from(pixel) - input.mean[channel]) / input.std[channel];
    let pixels = image.rgb().chunks_exact(3);
    match input.layout {
        Layout::Nhwc => {
            let values: Vec<f32> =
                pixels.flat_map(|pixel| [0, 1, 2].map(|c| normalised(c, pixel[c]))).collect();
            Tensor::from_shape(&[1, side, side, 3], &values)
        }
        Layout::Nchw => {
            let mut values = vec![0.0; 3 * side * side];
            for (channel, plane) in values.chunks_exact_mut(side * side).enumerate() {
                // A byte has only 256 values. A table is cheaper than a division per pixel, and the
                // results are the same.
                let table: [f32; 256] = std::array::from_fn(|pixel| normalised(channel, pixel as u8));
                for (value, pixel) in plane.iter_mut().zip(pixels.clone()) {
                    *value = table[usize::from(pixel[channel])];
                }
            }
            Tensor::from_shape(&[1, 3, side, side], &values)
        }
    }
}
