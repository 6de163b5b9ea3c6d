//! Kernels for the MobileNet family: from the bytes of a picture to the mean of each channel of the
//! last map.
//!
//! A general engine runs a graph node by node, and each node writes its output to memory before the
//! next one reads it. MobileNets consist of a few patterns, and most numbers in a pattern pass only
//! from one layer to the next. So this crate fuses each pattern first.
//!
//! # Overview
//!
//! ```text
//! Layer  ──▶  plan (steps)  ──▶  Network  ──▶  embed(picture, scratch)
//! layer.rs    plan.rs            network.rs    block.rs ──▶ kernel/ ──▶ simd/
//! ```
//!
//! * [`Layer`]s describe the network as its author wrote it. Batch norm is already folded into
//!   weights and bias.
//! * **The plan** fuses layers into steps. `expand, depthwise, project, add` (an inverted residual
//!   block of MobileNetV2) is one step. So are `depthwise, pointwise` (MobileNetV1) and
//!   `stem, depthwise, pointwise` (the start of both). Two other steps are a 1 × 1 convolution
//!   outside a block (the end of MobileNetV2) and a stem outside a block. Anything else is
//!   [`Unsupported`].
//! * **A step** maps one map to another. [`Scratch`] holds two maps, and steps alternate between
//!   them. The kernel that computes a number also applies bias, clamp (ReLU6) and residual, while
//!   the number is still in a register.
//!
//! # Modules
//!
//! The layers, lowest first. A layer imports only layers listed before it.
//!
//! ```text
//! lanes
//! layer, simd, observer
//! isa, kernel           kernel/: pack, then stem, pointwise, depthwise and pool
//! step, peak_flops
//! scratch
//! plan, block
//! network
//! profile
//! ```
//!
//! # Memory layout
//!
//! Sixteen channels of one pixel form a `lanes::Lanes`: one cache line, one AVX-512 register, two
//! AVX2 registers, or four Arm registers. Sixteen channels are a **channel block**. A **plane**
//! holds the pixels of one channel block, row by row without gaps. A **map** holds one plane per
//! channel block:
//!
//! ```text
//! map of 24 channels:
//!     plane 0: pixel 0 [c0 … c15],             pixel 1 [c0 … c15],             …
//!     plane 1: pixel 0 [c16 … c23, 8 surplus], pixel 1 [c16 … c23, 8 surplus], …
//! ```
//!
//! The layout is NHWC inside a channel block and NCHW between blocks. It suits both convolutions. A
//! depthwise slides along a row, and finds the next pixel of its channels in the next cache line,
//! whatever the number of channels. A pointwise tile finds its pixels at fixed distances from one
//! address. The kernels compute surplus channels, too, but never read them: each kernel stops at
//! the last real input.
//!
//! **Weights** are packed once (`kernel::pack`). For a 1 × 1 convolution and the stem, each block
//! of sixteen outputs has sixteen weights per input. For a depthwise, each channel block has nine
//! times sixteen.
//!
//! # Tiling
//!
//! ```text
//!           16 outputs    16 outputs      for each input k:
//! pixel 0    [ sums ]      [ sums ]        load weights[k] of both blocks     2 loads
//! pixel 1    [ sums ]      [ sums ]        for each pixel:
//!   …                                        splat its number k               1 load
//! pixel 13   [ sums ]      [ sums ]          multiply and add, twice          2 × 16 multiply-adds
//! ```
//!
//! * **Pointwise** (`kernel::pointwise`): a tile's sums stay in registers for all inputs. With
//!   AVX-512, the sums of 14 pixels × 2 blocks take 28 of 32 registers, with 28 multiply-adds per
//!   16 loads. With AVX2, 6 × 1 sums take 12 of 16. The pixels are split into tiles that are as
//!   equal as possible, and each tile height is compiled separately. Each tile reads a block's
//!   weights once, so high tiles read less.
//! * **Depthwise** (`kernel::depthwise`): nine weights stay in registers while a window slides
//!   along a row, with three loads per nine multiply-adds.
//! * **Stem** (`kernel::stem`): the same tiling as the pointwise, with 27 inputs from three rows of
//!   the picture.
//!
//! # Bands
//!
//! The middle of a block is wide: 112 × 112 × 96 numbers take 4.8 MB. So a block computes only some
//! rows of its output at a time, a **band** (`block`). For each band it expands the input rows that
//! the depthwise needs and does not have yet, runs the depthwise, and projects the result. Rows
//! that two bands read stay in a ring: row r of the map is row (r modulo ring) of the plane.
//!
//! The plan chooses the highest band whose middle fits into `plan::MIDDLE_BYTES`. If one band
//! covers the whole map after an expand, the ring has room only for the two planes in progress. The
//! next two overwrite them in the L1 cache.
//!
//! # Instruction sets
//!
//! A kernel is written once, in safe Rust, generic over `simd::Simd`: load, store, splat,
//! multiply-add, clamp. There are implementations for AVX-512, for AVX2, and for plain arrays,
//! which the compiler vectorises for the target (SSE2, or NEON on arm64). [`Isa::best`] chooses one
//! at run time.
//!
//! Only the first two use `unsafe`. A value of their type proves that the machine supports their
//! instructions, and their loads and stores take a reference to a whole, aligned `Lanes`. All
//! indexing is checked, once per tile and plane.
//!
//! # Changing a kernel
//!
//! * `cargo nextest run -p fruitvec-kernels` checks every kernel on every instruction set against
//!   plain loops (`reference.rs`), on odd shapes. It also runs whole networks under valgrind, if
//!   valgrind is installed.
//! * `cargo run --release -p fruitvec-kernels --example profile -- avx512` prints the time of each
//!   stage of each step.
//! * Don't pass vectors through closures that the standard library calls (`array::map`). Those are
//!   compiled without the features of the instruction set.
//! * Loops of a tile need counts that the compiler knows. Otherwise the sums go to memory.

mod block;
mod isa;
mod kernel;
mod lanes;
mod layer;
mod network;
mod observer;
mod peak_flops;
mod plan;
mod profile;
#[cfg(test)]
mod reference;
mod scratch;
mod simd;
mod step;
#[cfg(test)]
mod tests;

pub use isa::Isa;
pub use layer::{Clamp, Filter, Layer, Padding, Pointwise, Unsupported};
pub use network::Network;
pub use observer::Stage;
pub use profile::StageTime;
pub use scratch::Scratch;
