//! Runs networks of the MobileNet family on the kernels of this project.

use std::sync::{Mutex, PoisonError};

use fruitvec_kernels::{Isa, Network, Scratch};
use tract_onnx::pb::ModelProto;

use super::embedder::{Embedder, check_embedding, check_side};
use super::{onnx, work};
use crate::contract::model_card::ModelCard;
use crate::error::Result;
use crate::image::InputImage;

/// A network, compiled for one instruction set.
pub struct Native {
    card: ModelCard,
    network: Network,
    engine: String,
    /// Idle scratch memory. A thread takes one while it embeds, so the list grows to the highest
    /// number of concurrent threads. After that, embedding allocates no more scratch memory.
    scratches: Mutex<Vec<Scratch>>,
}

impl Native {
    /// Compiles the part of a graph that computes the value `output`.
    ///
    /// # Errors
    /// The reason why the kernels can't run it.
    pub(super) fn compile(
        card: &ModelCard,
        proto: &ModelProto,
        output: &str,
        isa: Isa,
    ) -> std::result::Result<Self, String> {
        let graph = proto.graph.as_ref().ok_or("the file has no graph")?;
        let input = &card.input;
        let layers = onnx::layers(graph, input.layout, output)?;
        work::check_layers(&layers, input.side as usize)?;
        let network = Network::compile(&layers, input.side as usize, input.mean, input.std, isa)
            .map_err(|unsupported| unsupported.to_string())?;
        let engine = format!("native {isa}");
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

    fn embed(&self, image: &InputImage) -> Result<Vec<f32>> {
        check_side(&self.card, image)?;
        // A panic while the lock is held leaves the list intact, so poisoning is ignored.
        let scratches = || self.scratches.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock is not held during the computation.
        let idle = scratches().pop();
        let mut scratch = idle.unwrap_or_else(|| self.network.scratch());
        let embedding = self.network.embed(image.rgb(), &mut scratch);
        scratches().push(scratch);
        check_embedding(&self.card, embedding)
    }
}
