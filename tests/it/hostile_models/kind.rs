//! A kind of hostile file, and the process that loads one.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fruitvec::contract::model_card::DEFAULT_MODEL;
use prost::Message;
use ring::digest::{SHA256, digest};
use tract_onnx::pb::{GraphProto, ModelProto};

use super::network::{DIMENSION, SIDE, network};

/// A hostile file with part of the error that it must cause.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) file: Vec<u8>,
    pub(crate) words: &'static str,
}

/// A kind whose file is a good network with a changed model.
pub(super) fn model(name: &'static str, words: &'static str, change: impl FnOnce(&mut ModelProto)) -> Kind {
    let mut model = network();
    change(&mut model);
    Kind { name, file: model.encode_to_vec(), words }
}

/// A kind whose file is a good network with a changed graph.
pub(super) fn graph(name: &'static str, words: &'static str, change: impl FnOnce(&mut GraphProto)) -> Kind {
    model(name, words, |model| change(model.graph.as_mut().unwrap()))
}

/// The address space of a process that loads a model, in KiB. The program itself takes some of it.
const ADDRESS_SPACE: &str = "6000000";

/// Loads a file in a process, and returns its exit code and its standard error.
///
/// A process that is killed by a signal has no exit code.
pub(super) fn load(file: &[u8], engine: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hostile.onnx"), file).unwrap();
    fs::write(folder.path().join("hostile.toml"), card(file)).unwrap();
    let output = command(folder.path(), engine).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn command(folder: &Path, engine: &str) -> Command {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -v {ADDRESS_SPACE}; exec \"$@\"");
    command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_fruitvec")]);
    command.args(["models", "verify", "hostile"]).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FRUITVEC_")) {
        command.env_remove(name);
    }
    command.env("FRUITVEC_MODELS_DIR", folder).env("FRUITVEC_ENGINE", engine);
    // The message of a panic is enough.
    command.env("RUST_BACKTRACE", "0");
    command
}

/// A card for a file: that of the bundled model, for another network.
fn card(file: &[u8]) -> String {
    let card = include_str!("../../../models/fruit-mobilenetv2-035-128.toml");
    let sha256 = hex::encode(digest(&SHA256, file));
    let lines = card.replace(DEFAULT_MODEL, "hostile");
    let lines = lines.lines().map(|line| match line.split(" = ").next().unwrap() {
        "sha256" => format!("sha256 = \"{sha256}\""),
        "size_bytes" => format!("size_bytes = {}", file.len()),
        "side" => format!("side = {SIDE}"),
        "dimension" => format!("dimension = {DIMENSION}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
