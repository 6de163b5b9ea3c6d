//! The layer kernels and the packed weights that they read.
//!
//! A kernel imports only `pack`.

pub(crate) mod depthwise;
pub(crate) mod pack;
pub(crate) mod pointwise;
pub(crate) mod pool;
pub(crate) mod stem;
