//! Tests that write TIFFs.

pub(super) mod builder;
mod colours;
mod layouts;
mod refusals;
