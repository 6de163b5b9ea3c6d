//! The MobileNet family of networks, run by kernels of our own: from the bytes of a picture to the mean of each channel of the last map.
//!
//! A general engine takes a graph node by node, and each node's output goes to memory before the next one reads it. This family is built
//! of few parts, and most of its numbers live only between two of them; so here the parts are put together first.
//!
//! # The way of a network
//!
//! ```text
//! Layer  ──▶  plan (steps)  ──▶  Network  ──▶  embed(picture, scratch)
//! layer.rs    plan.rs, pack.rs   network.rs    block.rs ──▶ stem.rs, pointwise.rs, depthwise.rs, pool.rs ──▶ simd/
//! ```
//!
//! * [`Layer`]s are the network as its author wrote it. Batch norm is folded into weights and bias by then.
//! * **The plan** puts them together to steps. `expand, depthwise, project, add` (an inverted residual block of MobileNetV2) is one step, so are
//!   `depthwise, pointwise` (MobileNetV1) and `stem, depthwise, pointwise` (how both begin). What is left is a 1 × 1
//!   convolution on its own (how MobileNetV2 ends), or a stem. Anything else is [`Unsupported`].
//! * **A step** takes a map and gives a map: [`Scratch`] has two, and steps take turns with them. Bias, clamp (ReLU6) and residual are part of
//!   the kernel that makes the numbers, while they are still in registers.
//!
//! # How numbers lie in memory
//!
//! Sixteen channels of one pixel are a `lanes::Lanes`: a cache line, a register of AVX-512, two of AVX2, four of Arm. A **plane** has the
//! pixels of one such block of channels, row after row without a gap; a **map** has a plane for each block:
//!
//! ```text
//! map of 24 channels:   plane 0: pixel 0 [c0 … c15], pixel 1 [c0 … c15], …     plane 1: pixel 0 [c16 … c23, 8 surplus], …
//! ```
//!
//! It is NHWC inside a block and NCHW between blocks, and that is why: a depthwise convolution slides along a row and finds the next
//! pixel of its channels in the next cache line, whatever the number of channels is; a pointwise tile finds its pixels at fixed distances
//! from one address. Surplus channels are computed along and never read: a kernel stops at the last real input.
//!
//! **Weights** are packed once (`pack`). Of a 1 × 1 convolution (and of the stem) for each block of sixteen outputs, for each input, the sixteen
//! weights of it. Of a depthwise for each block of channels nine times sixteen.
//!
//! # The tiling
//!
//! ```text
//!                      16 outputs    16 outputs        for each input k:
//!               pixel 0  [ sums ]      [ sums ]          load weights[k] of both blocks      2 loads
//!               pixel 1  [ sums ]      [ sums ]          for each pixel:
//!                 …                                        splat its number k                1 load
//!               pixel 13 [ sums ]      [ sums ]            multiply and add, twice           2 × 16 multiply-adds
//! ```
//!
//! * **Pointwise** (`pointwise`): a tile's sums stay in registers while all inputs go by. AVX-512: 14 pixels × 2 blocks are 28 of 32 registers, and
//!   28 multiply-adds come to 16 loads; AVX2: 6 × 1 are 12 of 16. Pixels are split into tiles that are as equal as can be, and each height of a
//!   tile is code of its own. Per input a block's weights are read once for each tile, so high tiles save reading.
//! * **Depthwise** (`depthwise`): nine weights stay in registers while a window slides along a row: three loads for nine multiply-adds.
//! * **Stem** (`stem`): the pointwise again with 27 inputs, read from three rows of the picture where they lie.
//!
//! # Bands
//!
//! The middle of a block is wide: 112 × 112 × 96 numbers are 4.8 MB. So a block makes some rows of its output at a time, a **band** (`block`):
//! it expands the rows that the depthwise needs and has not got, makes the band's rows of the depthwise, and projects them. Rows that two
//! bands read stay in a ring: row r of the map is row (r modulo ring) of the plane. The plan chooses the highest band whose middle
//! stays within `plan::MIDDLE_BYTES`. Where one band is the whole map behind an expand, the ring holds no more than the two planes that are
//! under way, and the next two overwrite them in the first cache.
//!
//! # Paths
//!
//! A kernel is written once, in safe Rust, generic over `simd::Simd`: load, store, splat, multiply-add, clamp. There is one implementation for
//! AVX-512, one for AVX2, and one that is plain arrays, which the compiler makes into what the target has: SSE2, or NEON on arm64. [`Path::best`] is
//! chosen at run time. `unsafe` is in the first two only: their instructions need what a value of their type proves to be
//! there, and their loads and stores take a reference to a `Lanes`, aligned and whole. All indexing is checked, once for each tile and plane.
//!
//! # To change something
//!
//! `cargo nextest run -p fruitvec-kernels` holds every kernel on every path against plain loops (`reference.rs` has them), on odd shapes, and once
//! more under valgrind where there is one; `cargo run --release -p fruitvec-kernels --example profile -- avx512` says what each stage of each step
//! takes. Two things to know: vectors must not go through closures that the standard library calls (`array::map`), which are compiled
//! without the path's features; and a tile's loops must have counts that the compiler knows, or its sums go to memory.

mod block;
#[path = "kernel/depthwise.rs"]
mod depthwise;
mod lanes;
mod layer;
mod network;
#[path = "kernel/pack.rs"]
mod pack;
#[path = "isa.rs"]
mod path;
#[path = "peak_flops.rs"]
mod peak;
mod plan;
#[path = "kernel/pointwise.rs"]
mod pointwise;
#[path = "kernel/pool.rs"]
mod pool;
mod profile;
#[cfg(test)]
mod reference;
mod simd;
#[path = "kernel/stem.rs"]
mod stem;
#[cfg(test)]
mod tests;

pub use layer::{Clamp, Filter, Layer, Padding, Pointwise, Unsupported};
pub use network::{Network, Scratch};
pub use path::Path;
pub use profile::{Spent, Stage};
