//! Makes the decoder panic or hang on request, for tests of whole programs. Debug builds only.
//!
//! No known file makes a decoder panic or hang, and a decoder that does would be fixed. So tests
//! have to inject the fault.

use fruitvec_core::config::{TEST_HANG, TEST_POISON, from_environment};

/// Panics if the file ends with the value of [`TEST_POISON`], and never returns if it ends with
/// that of [`TEST_HANG`].
#[expect(clippy::panic, reason = "the purpose of this function")]
pub(crate) fn maybe_fail(bytes: &[u8]) {
    // Decoders ignore bytes after the end of an image, so a test can append the value to any photo.
    let ends_with = |variable| from_environment(variable).is_some_and(|end| bytes.ends_with(end.as_bytes()));
    if ends_with(TEST_POISON) {
        panic!("the file ends with the value of {TEST_POISON}");
    }
    if ends_with(TEST_HANG) {
        loop {
            std::thread::park();
        }
    }
}
