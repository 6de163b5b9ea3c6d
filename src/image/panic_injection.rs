//! A decoder that panics, for tests of whole programs. Debug builds only; no bytes that a person sends make a decoder panic as far as we
//! know, and what we know of would be mended.

use crate::config::{TEST_POISON, from_environment};

/// Panics over a file that ends in the words of [`TEST_POISON`], where that is set. Decoders never look behind a picture's end.
#[expect(clippy::panic, reason = "it is what this is for")]
pub(super) fn taste(bytes: &[u8]) {
    if from_environment(TEST_POISON).is_some_and(|words| bytes.ends_with(words.as_bytes())) {
        panic!("the file is poisoned, as {TEST_POISON} asks");
    }
}
