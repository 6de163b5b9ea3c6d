//! Tests of the engines on graphs like those that exporters write.

mod engines;
mod graph;
mod networks;
mod unsupported;
