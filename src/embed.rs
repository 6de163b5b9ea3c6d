//! Pixels to embedding: networks of the MobileNet family by kernels of our own, any other by tract.

mod native;
mod onnx;
mod tract;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

pub use fruitvec_kernels::Path as Kernels;
use tract_onnx::pb::{ModelProto, NodeProto};
use tract_onnx::prelude::{Framework, TractResult};
use tract_onnx::tract_core::internal::format_err;

pub use self::native::Native;
pub use self::tract::Tract;
use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::pixels::Square;
use crate::reject::{RejectCode, Rejection};

/// Turns the square that its card asks for into an embedding. One instance serves many threads.
pub trait Embedder: Send + Sync {
    /// The card of the model.
    fn card(&self) -> &ModelCard;

    /// Who computes, for the column `made_by`: `native avx512`, `tract 0.23`.
    fn engine(&self) -> &str;

    /// `card().dimension` finite numbers.
    ///
    /// # Errors
    /// [`Error::Internal`] when the square is not of the card's side or the engine fails, which is not the photo's fault;
    /// [`Error::Reject`] when a number is not finite.
    fn embed(&self, square: &Square) -> Result<Vec<f32>>;
}

/// What runs a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Kernels of our own: those named, or the fastest that the machine has.
    Native(Option<Kernels>),
    /// tract.
    Tract,
}

/// `native`, `native-avx512`, `native-avx2`, `native-portable` or `tract`.
impl FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, Self::Err> {
        match (name, name.strip_prefix("native-").map(str::parse)) {
            ("tract", _) => Ok(Self::Tract),
            ("native", _) => Ok(Self::Native(None)),
            (_, Some(Ok(kernels))) => Ok(Self::Native(Some(kernels))),
            _ => Err(format!(
                "there is no engine {name:?}; there are native, native-avx512, native-avx2, native-portable and tract"
            )),
        }
    }
}

/// The embedder of a card, its file found, verified, compiled and probed: by kernels of our own where they have all of the network,
/// else by tract.
///
/// # Errors
/// [`Error::Model`] when the file is missing or not the card's, or does not give what the card says.
pub fn load(card: &ModelCard, models_dir: Option<&Path>) -> Result<Arc<dyn Embedder>> {
    load_with(card, models_dir, None)
}

/// [`load`], by this engine if one is given.
///
/// # Errors
/// As [`load`]; and [`Error::Model`] when our kernels are asked for and don't have all of the network, or the machine not all of them.
pub fn load_with(
    card: &ModelCard,
    models_dir: Option<&Path>,
    engine: Option<Engine>,
) -> Result<Arc<dyn Embedder>> {
    let file = card.read(models_dir)?;
    let proto = tract_onnx::onnx().proto_model_for_read(&mut &file[..]);
    let proto = proto.map_err(|cause| card.error(format!("{cause:#}")))?;
    // The file is in the graph now; a Lambda's memory is small.
    drop(file);
    of_graph(card, &proto, engine)
}

/// [`load_with`], once the file is read.
fn of_graph(card: &ModelCard, proto: &ModelProto, engine: Option<Engine>) -> Result<Arc<dyn Embedder>> {
    let embedding = embedding_node(card, proto).map_err(|cause| card.error(format!("{cause:#}")))?;
    let kernels = match engine {
        Some(Engine::Native(kernels)) => kernels,
        _ => None,
    };
    let native = match engine {
        Some(Engine::Tract) => None,
        _ => Some(Native::compile(card, proto, &embedding, kernels.unwrap_or_else(Kernels::best))),
    };
    let embedder: Arc<dyn Embedder> = match native {
        Some(Ok(native)) => Arc::new(native),
        Some(Err(why)) if engine.is_some() => {
            return Err(card
                .error(format!("our kernels can't run it: {why}; leave the engine open, or ask for tract")));
        }
        other => {
            if let Some(Err(why)) = other {
                tracing::info!(model = card.id, why, "our kernels can't run it: it goes to tract");
            }
            Arc::new(Tract::optimise(card, proto, &embedding)?)
        }
    };
    probe(&*embedder)?;
    tracing::info!(model = card.id, engine = embedder.engine(), "model loaded");
    Ok(embedder)
}

/// Embeds one grey square, to see that the network does what the card says.
fn probe(embedder: &dyn Embedder) -> Result<()> {
    let card = embedder.card();
    let side = card.input.side;
    let grey = Square::new(side, vec![128; 3 * side as usize * side as usize]);
    let grey = grey.ok_or_else(|| card.error("input.side: no such square"))?;
    embedder.embed(&grey).map_err(|cause| card.error(format!("embedding a grey square: {cause}")))?;
    Ok(())
}

/// What an engine gave, if it is as many numbers as the card says, all of them finite.
fn settled(card: &ModelCard, embedding: Vec<f32>) -> Result<Vec<f32>> {
    let (found, said) = (embedding.len(), card.dimension);
    if found != said {
        return Err(Error::Internal(format!(
            "{}: the graph gives {found} numbers, the card says {said}",
            card.id
        )));
    }
    // One such row would stop every fit from then on, and parts are never modified.
    if !embedding.iter().all(|x| x.is_finite()) {
        let message = "the network gives a number that is not finite; export the picture again";
        return Err(Rejection::new(RejectCode::NotFinite, message).into());
    }
    Ok(embedding)
}

fn wrong_side(card: &ModelCard, square: &Square) -> Error {
    let (found, wanted) = (square.side(), card.input.side);
    Error::Internal(format!("{}: a square of {found} pixels, the model wants {wanted}", card.id))
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

#[cfg(test)]
mod tests;
