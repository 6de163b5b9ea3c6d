//! Chooses the engine that runs a model, and loads the model.

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

pub use fruitvec_kernels::Isa;
use prost::Message;
use tract_onnx::pb::ModelProto;

use super::embedder::Embedder;
use super::guard::guarded;
use super::native::Native;
use super::tract::Tract;
use super::{model_file, onnx};
use crate::contract::model_card::ModelCard;
use crate::error::Result;
use crate::image::InputImage;

/// An engine that runs networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The kernels of this project, for one instruction set or for the fastest that the machine
    /// supports.
    Native(Option<Isa>),
    /// tract.
    Tract,
}

/// Parses `native`, `native-avx512`, `native-avx2`, `native-portable` or `tract`.
impl FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, Self::Err> {
        match (name, name.strip_prefix("native-").map(str::parse)) {
            ("tract", _) => Ok(Self::Tract),
            ("native", _) => Ok(Self::Native(None)),
            (_, Some(Ok(isa))) => Ok(Self::Native(Some(isa))),
            _ => Err(format!(
                "there is no engine {name:?}; \
                 expected native, native-avx512, native-avx2, native-portable or tract"
            )),
        }
    }
}

/// Loads a model: finds its file, verifies and compiles it, and embeds one image as a check.
///
/// The native kernels run the model if they support its whole network, otherwise tract does.
///
/// # Errors
/// [`Error::Model`](crate::error::Error::Model) if the file is missing or is not the card's, or the
/// embedding does not match the card. Also if the network is beyond the limits in
/// `models/README.md`, or loading it panics or does not end.
pub fn load(card: &ModelCard, models_dir: Option<&Path>) -> Result<Arc<dyn Embedder>> {
    load_with(card, models_dir, None)
}

/// Loads a model like [`load`], on this engine if one is given.
///
/// # Errors
/// The errors of [`load`]. [`Error::Model`](crate::error::Error::Model) also if the native kernels
/// are requested but don't support the network, or the machine lacks the instruction set.
pub fn load_with(
    card: &ModelCard,
    models_dir: Option<&Path>,
    engine: Option<Engine>,
) -> Result<Arc<dyn Embedder>> {
    let file = model_file::read(card, models_dir)?;
    let owned = card.clone();
    guarded(card, move || load_file(&owned, file, engine))
}

/// Loads a model whose file is already read.
fn load_file(
    card: &ModelCard,
    file: Cow<'static, [u8]>,
    engine: Option<Engine>,
) -> Result<Arc<dyn Embedder>> {
    onnx::wire::check(&file).map_err(|reason| card.error(reason))?;
    // tract can read a file, too, but would copy it first.
    let proto = ModelProto::decode(&file[..]).map_err(|cause| card.error(cause.to_string()))?;
    // The graph has copies of the weights. A Lambda function has too little memory for both.
    drop(file);
    load_graph(card, proto, engine)
}

/// Loads a model whose file is already parsed.
pub(super) fn load_graph(
    card: &ModelCard,
    proto: ModelProto,
    engine: Option<Engine>,
) -> Result<Arc<dyn Embedder>> {
    let output = onnx::embedding_output(card, &proto).map_err(|reason| card.error(reason))?;
    let proto = onnx::restrict(proto, &output).map_err(|reason| card.error(reason))?;
    let tract = || Tract::optimise(card, &proto, &output).map(|tract| Arc::new(tract) as Arc<dyn Embedder>);
    let native = |isa| Native::compile(card, &proto, &output, isa);
    let embedder: Arc<dyn Embedder> = match engine {
        Some(Engine::Tract) => tract()?,
        Some(Engine::Native(isa)) => {
            let native = native(isa.unwrap_or_else(Isa::best)).map_err(|reason| {
                card.error(format!(
                    "the native kernels can't run it: {reason}; choose tract, or leave the engine unset"
                ))
            })?;
            Arc::new(native)
        }
        None => match native(Isa::best()) {
            Ok(native) => Arc::new(native),
            Err(reason) => {
                tracing::info!(model = card.id, why = reason, "the native kernels can't run it; using tract");
                tract()?
            }
        },
    };
    embed_grey(&*embedder)?;
    tracing::info!(model = card.id, engine = embedder.engine(), "model loaded");
    Ok(embedder)
}

/// Embeds a grey image, to find out at load time whether the network matches the card.
fn embed_grey(embedder: &dyn Embedder) -> Result<()> {
    let card = embedder.card();
    let side = card.input.side;
    let grey = InputImage::new(side, vec![128; 3 * side as usize * side as usize]);
    let grey = grey.ok_or_else(|| card.error("input.side: too large for an image"))?;
    embedder.embed(&grey).map_err(|cause| card.error(format!("embedding a grey image: {cause}")))?;
    Ok(())
}
