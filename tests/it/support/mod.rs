//! Support for the tests: servers with buckets, sample photos, the program and memory figures.

pub(crate) mod process_memory;
pub(crate) mod program;
pub(crate) mod results;
pub(crate) mod sample_table;
pub(crate) mod shared;
pub(crate) mod world;
