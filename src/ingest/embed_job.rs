//! The CPU-bound work on one photo: decoding, resizing and embedding.

use std::sync::Arc;
use std::time::Instant;

use super::claim::Work;
use super::memory_budget::MemoryBudget;
use super::outcome::StageTimings;
use crate::contract::limits::Limits;
use crate::contract::model_card::ModelInput;
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::image::{self, InputImage};
use crate::rejection::{RejectCode, Rejection};
use bytes::Bytes;

/// An embedding, with the width and height of the photo.
pub(super) type Embedded = (Vec<f32>, (u32, u32));

/// The work on one photo, which runs on one blocking thread.
pub(super) struct EmbedJob {
    pub(super) embedder: Arc<dyn Embedder>,
    pub(super) limits: Limits,
    pub(super) memory: MemoryBudget,
    /// Whether the app uploaded the photo, which limits its format.
    pub(super) is_upload: bool,
    /// The timings of the earlier stages, to which the job adds its own.
    pub(super) timings: StageTimings,
}

impl EmbedJob {
    /// Embeds a photo. Returns the timings even if it fails.
    pub(super) fn run(mut self, bytes: Bytes, work: &Work) -> (Result<Embedded>, StageTimings) {
        let embedded = self.decode(bytes, work).and_then(|(input, size)| {
            let start = Instant::now();
            let embedding = self.embedder.embed(&input);
            self.timings.embed += start.elapsed();
            Ok((embedding?, size))
        });
        (embedded, self.timings)
    }

    /// Returns the network's input, and the photo's width and height. Returns all memory to the
    /// budget.
    fn decode(&mut self, bytes: Bytes, work: &Work) -> Result<(InputImage, (u32, u32))> {
        let &ModelInput { side, fit, filter, .. } = &self.embedder.card().input;
        let start = Instant::now();
        let probed = image::probe(bytes, &self.limits);
        self.timings.decode += start.elapsed();
        let probed = probed?;
        if self.is_upload {
            probed.check_upload_format()?;
        }
        let size = (probed.header().width, probed.header().height);
        work.wait_for_memory(self.memory.acquire_pixels(probed.memory(side, fit)?))?;
        let start = Instant::now();
        let probed = probed.stopped_by(work.watch());
        let input = probed.input_image(side, fit, filter);
        self.timings.decode += start.elapsed();
        // The bytes are freed before the memory that accounts for them is released, and all of it
        // before the network runs, which needs none of it.
        drop(probed);
        work.release_memory()?;
        Ok((input?, size))
    }
}

/// Runs work on a blocking thread, and turns its panic into a rejection of the photo.
pub(super) async fn catch_panic<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failure| {
        if !failure.is_panic() {
            return Err(Error::Internal(format!("the embedding thread was aborted: {failure}")));
        }
        // The panic hook has written the panic's message, which is for developers, to stderr.
        let message = "embedding panicked; export the image again, and report it";
        Err(Rejection::new(RejectCode::Panicked, message).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_rejects_the_photo() {
        let error = catch_panic(|| -> Result<()> { panic!("a bug") }).await.unwrap_err();
        let Error::Reject(rejection) = error else { panic!("{error}") };
        assert_eq!(rejection.code, RejectCode::Panicked);
        assert_eq!(rejection.message, "embedding panicked; export the image again, and report it");
    }

    #[tokio::test]
    async fn a_result_passes_through() {
        assert_eq!(catch_panic(|| Ok(7)).await.unwrap(), 7);
        let failed = catch_panic(|| -> Result<()> { Err(Error::Internal("a bug".into())) }).await;
        assert!(matches!(failed, Err(Error::Internal(_))));
    }
}
