//! Turns a panic in a decoder into a rejection of the photo.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fruitvec_core::rejection::{RejectCode, Rejection};

/// Runs a step that parses untrusted bytes, and turns a panic into a rejection.
///
/// A photo that makes a decoder panic thus fails alone, without the rest of its batch.
///
/// # Errors
/// The step's rejection, or `Panicked` with the panic's message.
pub fn catch_panic<T>(step: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    // Unwind safety: the step only reads borrowed data, so a panic leaves no half-updated state.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|payload| {
        let message = format!("the decoder panicked: {}; export the image again", panic_message(&*payload));
        Err(Rejection::new(RejectCode::Panicked, message))
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    // `panic!` with arguments carries a `String`; with a bare literal it carries a `&str`.
    let formatted = payload.downcast_ref::<String>().map(String::as_str);
    formatted.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
