//! Stops a decoder from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that stops the decoding of a photo.
///
/// Clones share the flag. The decoder looks at it each time it needs more of the file, and after
/// each row. A HEIC, JPEG or TIFF is not stopped.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<AtomicBool>);

impl Watch {
    /// Makes the decoder return `TooSlow` soon.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether [`Watch::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
