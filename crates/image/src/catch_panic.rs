//! Turns a panic in a decoder into a rejection of the photo.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fruitvec_core::rejection::{RejectCode, Rejection};

/// Runs a step that parses untrusted bytes, and turns a panic into a rejection.
///
/// A photo that makes a decoder panic thus fails alone, without the rest of its batch. The panic's
/// message, which is for developers, is in the log: the panic hook has written it to stderr.
///
/// # Errors
/// The step's rejection, or `Panicked`.
pub fn catch_panic<T>(step: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    // Unwind safety: the step only reads borrowed data, so a panic leaves no half-updated state.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
        let message = "the decoder panicked; export the image again, and report it";
        Err(Rejection::new(RejectCode::Panicked, message))
    })
}
