//! Makes the decoder panic on request, for tests of whole programs. Debug builds only.
//!
//! No known file makes a decoder panic, and a decoder that panics would be fixed. So tests have to
//! inject the panic.

use fruitvec_core::config::{TEST_POISON, from_environment};

/// Panics if [`TEST_POISON`] is set and the file ends with its value.
#[expect(clippy::panic, reason = "the purpose of this function")]
pub(crate) fn maybe_panic(bytes: &[u8]) {
    // Decoders ignore bytes after the end of an image, so a test can append the value to any photo.
    if from_environment(TEST_POISON).is_some_and(|poison| bytes.ends_with(poison.as_bytes())) {
        panic!("the file ends with the value of {TEST_POISON}");
    }
}
