//! Fits over the same rows, however they are split into parts and runs.

mod incremental;
mod row_splits;
