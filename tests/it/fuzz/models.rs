//! The loader of models: an edited network is loaded or refused.

use std::fs;

use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::embed::{self, Engine};
use fruitvec::error::Error;
use prost::Message;
use ring::digest::{SHA256, digest};

use super::target::Target;
use crate::hostile_models::{DIMENSION, SIDE, kinds, network};

/// The largest hostile file to edit. Larger ones only make the cases slower.
const MAX_BYTES: usize = 1 << 16;

#[test]
fn edited_models_are_loaded_or_refused() {
    let mut seeds = vec![network().encode_to_vec(); 8];
    seeds.extend(kinds().into_iter().map(|kind| kind.file).filter(|file| file.len() <= MAX_BYTES));
    let folder = tempfile::tempdir().unwrap();
    let mut card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    card.file.name = "edited.onnx".into();
    (card.input.side, card.dimension) = (SIDE, DIMENSION);
    Target { name: "model", cases: 200, seeds, repair: |_| () }.run(|bytes| {
        fs::write(folder.path().join("edited.onnx"), bytes).unwrap();
        let sha256 = hex::encode(digest(&SHA256, bytes));
        let file = fruitvec::contract::model_card::ModelFile { sha256, ..card.file.clone() };
        let card = ModelCard { file, ..card.clone() };
        for engine in [Engine::Native(None), Engine::Tract] {
            if let Err(error) = embed::load_with(&card, Some(folder.path()), Some(engine)) {
                assert!(matches!(error, Error::Model { .. }), "{error}");
                let message = error.to_string();
                assert!(!message.contains("did not end") && message.len() < 2_000, "{message}");
            }
        }
    });
}
