//! Converts an ONNX graph of the MobileNet family to layers for the native kernels.
//!
//! The family is a chain: the input of each node is the output of the node before it. Only an `Add`
//! has a second input, the output of an earlier node. Three kinds of nodes become part of a
//! convolution. A batch norm changes its weights and bias, `Clip` and `Relu` become its bounds, and
//! `Pad` becomes its padding.
//!
//! ```text
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
mod output;
mod padding;

pub(super) use self::chain::layers;
pub(super) use self::output::embedding_output;
