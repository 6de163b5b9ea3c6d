//! Tests of JPEGs.

mod arithmetic;
mod damaged;
pub(super) mod flat;
mod limits;
mod restarts;
