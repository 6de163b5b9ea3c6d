//! What runs a network, and how one is chosen for a model.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

pub use fruitvec_kernels::Path as Kernels;
use prost::Message;
use tract_onnx::pb::ModelProto;

use super::{Embedder, Native, Tract, onnx};
use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::pixels::Square;
use crate::reject::{RejectCode, Rejection};

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
    // tract's own reader would copy the file first.
    let proto = ModelProto::decode(&file[..]).map_err(|cause| card.error(cause.to_string()))?;
    // The file is in the graph now; a Lambda's memory is small.
    drop(file);
    of_graph(card, &proto, engine)
}

/// [`load_with`], once the file is read.
pub(super) fn of_graph(
    card: &ModelCard,
    proto: &ModelProto,
    engine: Option<Engine>,
) -> Result<Arc<dyn Embedder>> {
    let embedding = onnx::embedding(card, proto).map_err(|why| card.error(why))?;
    let by_tract =
        || Tract::optimise(card, proto, &embedding).map(|tract| Arc::new(tract) as Arc<dyn Embedder>);
    let native = |kernels| Native::compile(card, proto, &embedding, kernels);
    let embedder: Arc<dyn Embedder> = match engine {
        Some(Engine::Tract) => by_tract()?,
        Some(Engine::Native(kernels)) => {
            let forced = native(kernels.unwrap_or_else(Kernels::best));
            Arc::new(forced.map_err(|why| {
                card.error(format!(
                    "our kernels can't run it: {why}; leave the engine open, or ask for tract"
                ))
            })?)
        }
        None => match native(Kernels::best()) {
            Ok(native) => Arc::new(native),
            Err(why) => {
                tracing::info!(model = card.id, why, "our kernels can't run it: it goes to tract");
                by_tract()?
            }
        },
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
pub(super) fn settled(card: &ModelCard, embedding: Vec<f32>) -> Result<Vec<f32>> {
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

/// The error of a square that is not of the card's side.
pub(super) fn wrong_side(card: &ModelCard, square: &Square) -> Error {
    let (found, wanted) = (square.side(), card.input.side);
    Error::Internal(format!("{}: a square of {found} pixels, the model wants {wanted}", card.id))
}
