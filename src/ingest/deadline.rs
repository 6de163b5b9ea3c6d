//! The end of an invocation: no photo is begun that may not be done by then, and what is not done is handed back in time.
//!
//! A Lambda function that runs out of time is killed, and its whole batch comes again: what was slow once is slow again, until the
//! queue gives up on photos that nothing is wrong with. So a batch ends by itself, before that: what was not begun, and what hangs,
//! fails alone, and the part of the others is written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// What a photo takes until one has been measured: about what the largest takes on half a core.
const PHOTO: Duration = Duration::from_secs(1);
/// What writing a part takes until one has been written: with a new connection.
const WRITE: Duration = Duration::from_millis(500);
/// Kept for the answer and the log when everything is written.
const ANSWER: Duration = Duration::from_millis(200);

/// How long photos and parts take, as far as they were measured. One slow photo counts at once, and is forgotten slowly.
#[derive(Debug)]
pub(crate) struct Pace {
    photo: Slowest,
    write: Slowest,
}

impl Pace {
    /// Before anything was measured.
    pub(crate) fn new() -> Self {
        Self { photo: Slowest::new(PHOTO), write: Slowest::new(WRITE) }
    }

    /// A photo took so long to fetch, decode and embed, not counting what it waited for its turn.
    pub(crate) fn photo_took(&self, time: Duration) {
        self.photo.note(time);
    }

    /// A part took so long to write.
    pub(crate) fn write_took(&self, time: Duration) {
        self.write.note(time);
    }
}

/// The greatest of some durations, of which older ones count less and less.
#[derive(Debug)]
struct Slowest(AtomicU64);

impl Slowest {
    fn new(start: Duration) -> Self {
        Self(AtomicU64::new(microseconds(start)))
    }

    /// Of two that are noted at once one may be lost: it is an estimate.
    fn note(&self, time: Duration) {
        let (known, time) = (self.0.load(Ordering::Relaxed), microseconds(time));
        self.0.store(time.max(known - known / 8 + time / 8), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

fn microseconds(time: Duration) -> u64 {
    // So that sums have room.
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

/// When a batch ends, if it does.
#[derive(Debug)]
pub(crate) struct Deadline<'a> {
    pace: &'a Pace,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    /// How much there was when the batch began.
    whole: Duration,
}

impl<'a> Deadline<'a> {
    /// All the time in the world.
    pub(crate) fn none(pace: &'a Pace) -> Self {
        Self { pace, end: None }
    }

    /// The batch that begins now ends then. One that is over before it began is none: stand-ins for Lambda tell of no time, or of 1970.
    pub(crate) fn at(pace: &'a Pace, at: Instant) -> Self {
        let whole = at.saturating_duration_since(Instant::now());
        Self { pace, end: (!whole.is_zero()).then_some(End { at, whole }) }
    }

    /// Whether there is time to begin a photo: for two of them, and for the part.
    ///
    /// # Errors
    /// [`Error::OutOfTime`] when there is not.
    pub(crate) fn begin(&self) -> Result<()> {
        let Some(end) = self.end else { return Ok(()) };
        let (left, photos) = (end.at.saturating_duration_since(Instant::now()), 2 * self.pace.photo.get());
        // Half of the time suffices always: else a photo that took too long once would be the last that was ever begun.
        if left >= (photos + self.for_part()).min(end.whole / 2) {
            return Ok(());
        }
        Err(Error::OutOfTime(format!(
            "it was not begun: {} ms are left, and two photos take {} ms",
            left.as_millis(),
            photos.as_millis()
        )))
    }

    /// The photo's work, unless it is not done when the part must be written.
    ///
    /// # Errors
    /// What the work returns, or [`Error::OutOfTime`].
    pub(crate) async fn photo<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.until(self.for_part(), work).await
    }

    /// The writing of a part, unless it is not done when the invocation must answer.
    ///
    /// # Errors
    /// What the work returns, or [`Error::OutOfTime`].
    pub(crate) async fn part<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.until(ANSWER, work).await
    }

    fn for_part(&self) -> Duration {
        self.pace.write.get() + ANSWER
    }

    async fn until<T>(&self, kept: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(end) = self.end else { return work.await };
        let stop = end.at.checked_sub(kept.min(end.whole / 4)).unwrap_or(end.at);
        tokio::time::timeout_at(stop.into(), work).await.unwrap_or_else(|_| {
            let kept = kept.as_millis();
            Err(Error::OutOfTime(format!(
                "it was broken off {kept} ms before the end: it may be slow, or hang"
            )))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn in_time(deadline: &Deadline<'_>) -> bool {
        match deadline.begin() {
            Ok(()) => true,
            Err(Error::OutOfTime(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// A batch that began when it had so long, and has so long left.
    fn deadline(pace: &Pace, whole: Duration, left: Duration) -> Deadline<'_> {
        Deadline { pace, end: Some(End { at: Instant::now() + left, whole }) }
    }

    #[test]
    fn a_photo_is_begun_while_two_photos_and_the_part_have_time() {
        let pace = Pace { photo: Slowest::new(3 * SECOND), write: Slowest::new(SECOND) };
        assert!(in_time(&deadline(&pace, 60 * SECOND, 8 * SECOND)));
        let late = deadline(&pace, 60 * SECOND, 7 * SECOND);
        assert!(!in_time(&late));
        let says = late.begin().unwrap_err().to_string();
        assert!(says.contains("not begun") && says.contains("two photos take 6000 ms"), "{says}");
    }

    #[test]
    fn without_a_deadline_there_is_always_time() {
        let pace = Pace { photo: Slowest::new(Duration::MAX), write: Slowest::new(Duration::MAX) };
        assert!(in_time(&Deadline::none(&pace)));
        assert!(in_time(&Deadline::at(&pace, Instant::now())), "a stand-in that tells of no time");
    }

    /// Else nothing would be begun any more, so nothing measured, so nothing begun.
    #[test]
    fn a_photo_that_took_longer_than_an_invocation_does_not_end_all_work() {
        let pace = Pace::new();
        pace.photo_took(100 * SECOND);
        assert!(in_time(&Deadline::at(&pace, Instant::now() + 60 * SECOND)));
        assert!(!in_time(&deadline(&pace, 60 * SECOND, 29 * SECOND)));
    }

    #[test]
    fn one_slow_photo_counts_at_once_and_is_forgotten_slowly() {
        let slowest = Slowest::new(SECOND);
        slowest.note(8 * SECOND);
        assert_eq!(slowest.get(), 8 * SECOND);
        slowest.note(Duration::ZERO);
        assert_eq!(slowest.get(), 7 * SECOND);
        (0..100).for_each(|_| slowest.note(SECOND / 10));
        assert!(slowest.get() < SECOND / 9, "{:?}", slowest.get());
    }

    #[tokio::test]
    async fn work_that_hangs_is_broken_off_when_the_part_must_be_written() {
        let pace = Pace::new();
        let start = Instant::now();
        let deadline = Deadline::at(&pace, start + SECOND / 2);
        let hangs = deadline.photo(std::future::pending::<Result<()>>()).await;
        assert!(matches!(hangs, Err(Error::OutOfTime(_))), "{hangs:?}");
        assert!(start.elapsed() < SECOND / 2, "{:?}", start.elapsed());
        assert_eq!(deadline.photo(async { Ok(1) }).await.unwrap(), 1, "what is done is taken");
    }
}
