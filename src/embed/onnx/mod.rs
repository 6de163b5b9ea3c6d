//! Converts an ONNX graph of the MobileNet family to layers for the native kernels.
//!
//! The family is a chain: the input of each node is the output of the node before it. Only an `Add`
//! has a second input, the output of an earlier node. Three kinds of nodes become part of a
//! convolution. A batch norm changes its weights and bias, `Clip` and `Relu` become its bounds, and
//! `Pad` becomes its padding.
//!
//! Before that, the file is bounded and checked, for both engines.
//!
//! ```text
//! wire            bounds the messages of the file
//! restrict        leaves only the nodes that compute the embedding, and checks them
//!   operators, tensor  check operators, attributes and weights
//! chain         walks the graph, and knows what may follow what
//!   convolution converts a convolution, and folds later nodes into it
//!     padding   reads the padding of convolutions and `Pad` nodes
//!       constants, node   read weights and attributes
//! output        finds the node that outputs the embedding
//! ```

mod chain;
mod constants;
mod convolution;
mod node;
mod operators;
mod output;
mod padding;
mod restrict;
mod tensor;
pub(super) mod wire;

pub(super) use self::chain::layers;
pub(super) use self::output::embedding_output;
pub(super) use self::restrict::restrict;
