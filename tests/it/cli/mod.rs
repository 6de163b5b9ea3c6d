//! The `fruitvec` program, run as a process.

mod batch;
mod demo;
mod models;
mod serve;
