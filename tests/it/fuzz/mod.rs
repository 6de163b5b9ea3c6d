//! Fuzzing of every parser of bytes that others wrote: see docs/fuzzing.md.

mod boundaries;
mod edits;
mod images;
mod models;
mod parts;
mod records;
mod target;
