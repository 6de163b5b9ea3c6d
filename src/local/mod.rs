//! What a laptop has in place of AWS.

pub mod painter;
