//! Networks of the MobileNet family, run by kernels of our own.

use std::sync::{Mutex, PoisonError};

use fruitvec_kernels::{Network, Path, Scratch};
use tract_onnx::pb::ModelProto;

use super::engine::{settled, wrong_side};
use super::{Embedder, onnx};
use crate::error::Result;
use crate::model::ModelCard;
use crate::pixels::Square;

/// A network compiled for this machine.
pub struct Native {
    card: ModelCard,
    network: Network,
    engine: String,
    /// Memory to work in: one for each thread that embeds at the same time. Nothing is allocated once there are as many.
    scratches: Mutex<Vec<Scratch>>,
}

impl Native {
    /// Compiles the graph up to the value `embedding`.
    ///
    /// # Errors
    /// Why it is not for these kernels.
    pub(super) fn compile(
        card: &ModelCard,
        proto: &ModelProto,
        embedding: &str,
        path: Path,
    ) -> std::result::Result<Self, String> {
        let graph = proto.graph.as_ref().ok_or("there is no graph")?;
        let input = &card.input;
        let layers = onnx::layers(graph, input.layout, embedding)?;
        let network = Network::compile(&layers, input.side as usize, input.mean, input.std, path)
            .map_err(|why| why.to_string())?;
        let engine = format!("native {path}");
        Ok(Self { card: card.clone(), network, engine, scratches: Mutex::default() })
    }
}

impl Embedder for Native {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn embed(&self, square: &Square) -> Result<Vec<f32>> {
        if square.side() != self.card.input.side {
            return Err(wrong_side(&self.card, square));
        }
        let scratches = || self.scratches.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = scratches().pop();
        let mut scratch = kept.unwrap_or_else(|| self.network.scratch());
        let embedding = self.network.embed(square.rgb(), &mut scratch);
        scratches().push(scratch);
        settled(&self.card, embedding)
    }
}
