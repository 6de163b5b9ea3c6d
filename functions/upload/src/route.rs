//! The only route of the HTTP API.

pub(crate) const METHOD: &str = "POST";
pub(crate) const PATH: &str = "/uploads";
