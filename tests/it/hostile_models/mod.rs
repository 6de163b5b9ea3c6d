//! ONNX files that were built to stop the program, each loaded by the program as a process.

mod files;
mod graphs;
mod kind;
mod network;
mod operators;
mod refused;
mod weights;

pub(crate) use self::network::{DIMENSION, SIDE, network};
pub(crate) use self::refused::kinds;
