//! The end of an invocation's time, and the estimates that decide which photos still fit into it.
//!
//! Lambda kills a function that runs out of time, and the queue redelivers the whole batch. Without
//! a deadline, a batch that was too slow once would be too slow again, and intact photos would end
//! up in the dead-letter queue. Therefore a batch ends before its invocation does. Only the photos
//! that were not started or did not finish fail. The rows of the others are written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The estimate for a photo before the first measurement. On half a core, the largest photo takes
/// about this long.
const INITIAL_PHOTO: Duration = Duration::from_secs(1);
/// The estimate for writing a part before the first measurement. The first write also connects.
const INITIAL_WRITE: Duration = Duration::from_millis(500);
/// Reserved for the response and the log flush.
const RESPONSE: Duration = Duration::from_millis(200);

/// Estimates of how long the next photo and the next part take, from measurements.
///
/// A slow photo raises the estimate immediately. Faster ones lower it gradually.
#[derive(Debug)]
pub(crate) struct LatencyEstimate {
    photo: DecayingMax,
    write: DecayingMax,
}

impl LatencyEstimate {
    pub(crate) fn new() -> Self {
        Self { photo: DecayingMax::new(INITIAL_PHOTO), write: DecayingMax::new(INITIAL_WRITE) }
    }

    /// Records the time to fetch, decode and embed a photo, excluding time spent waiting for a
    /// thread.
    pub(crate) fn record_photo(&self, time: Duration) {
        self.photo.record(time);
    }

    /// Records the time to encode and write a part.
    pub(crate) fn record_write(&self, time: Duration) {
        self.write.record(time);
    }
}

/// The maximum of recorded durations, which decays with each smaller one. In microseconds.
#[derive(Debug)]
struct DecayingMax(AtomicU64);

impl DecayingMax {
    fn new(start: Duration) -> Self {
        Self(AtomicU64::new(microseconds(start)))
    }

    fn record(&self, time: Duration) {
        // Not a compare-and-swap: of two concurrent measurements one may be lost, which an estimate
        // can afford.
        let (maximum, time) = (self.0.load(Ordering::Relaxed), microseconds(time));
        self.0.store(time.max(maximum - maximum / 8 + time / 8), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

fn microseconds(time: Duration) -> u64 {
    // Half of the range, which leaves room for sums.
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

/// The time at which a batch must end, if it has one.
#[derive(Debug)]
pub(crate) struct Deadline<'a> {
    latency: &'a LatencyEstimate,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    /// The time from the start of the batch to its end.
    total: Duration,
}

impl<'a> Deadline<'a> {
    /// Creates a deadline that never passes.
    pub(crate) fn none(latency: &'a LatencyEstimate) -> Self {
        Self { latency, end: None }
    }

    /// Creates a deadline for a batch that starts now. A time in the past counts as no deadline.
    ///
    /// Some emulators of Lambda report the current time or 1970 as the deadline.
    pub(crate) fn at(latency: &'a LatencyEstimate, at: Instant) -> Self {
        let total = at.saturating_duration_since(Instant::now());
        Self { latency, end: (!total.is_zero()).then_some(End { at, total }) }
    }

    /// Checks that enough time is left to start a photo: enough for two photos and the part.
    ///
    /// Two, because a photo may first wait for the one ahead of it on its thread.
    ///
    /// # Errors
    /// [`Error::OutOfTime`].
    pub(crate) fn check_time_left(&self) -> Result<()> {
        let Some(end) = self.end else { return Ok(()) };
        let left = end.at.saturating_duration_since(Instant::now());
        let two_photos = 2 * self.latency.photo.get();
        // Half of the total time is always enough. Otherwise, one photo that took longer than an
        // invocation would keep all later photos from being started, and the estimate would never
        // fall.
        if left >= (two_photos + self.time_to_write()).min(end.total / 2) {
            return Ok(());
        }
        let (left, two_photos) = (left.as_millis(), two_photos.as_millis());
        Err(Error::OutOfTime(format!("not started: {left} ms are left, and two photos take {two_photos} ms")))
    }

    /// Runs the work on one photo until it is time to write the part.
    ///
    /// # Errors
    /// The error of the work, or [`Error::OutOfTime`].
    pub(crate) async fn limit_photo<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.limit(self.time_to_write(), work).await
    }

    /// Runs the writing of a part until it is time to respond.
    ///
    /// # Errors
    /// The error of the work, or [`Error::OutOfTime`].
    pub(crate) async fn limit_write<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.limit(RESPONSE, work).await
    }

    /// Returns the time that one photo may take: `limit`, or less if the whole batch has little.
    ///
    /// A photo that never finished before the batch ends would be retried without end. A third of
    /// the time leaves enough for the other photos.
    pub(crate) fn photo_time(&self, limit: Duration) -> Duration {
        self.end.map_or(limit, |end| limit.min(end.total / 3))
    }

    fn time_to_write(&self) -> Duration {
        self.latency.write.get() + RESPONSE
    }

    /// Runs work until `reserved` is left before the end.
    async fn limit<T>(&self, reserved: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(end) = self.end else { return work.await };
        // At most a quarter of the total time is reserved, so that a slow write in the past leaves
        // time for photos.
        let stop = end.at.checked_sub(reserved.min(end.total / 4)).unwrap_or(end.at);
        tokio::time::timeout_at(stop.into(), work).await.unwrap_or_else(|_| {
            let reserved = reserved.as_millis();
            Err(Error::OutOfTime(format!(
                "stopped {reserved} ms before the end, because it is slow or hangs"
            )))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn can_start(deadline: &Deadline<'_>) -> bool {
        match deadline.check_time_left() {
            Ok(()) => true,
            Err(Error::OutOfTime(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the deadline of a batch that had `total` at its start and has `left` now.
    fn deadline(latency: &LatencyEstimate, total: Duration, left: Duration) -> Deadline<'_> {
        Deadline { latency, end: Some(End { at: Instant::now() + left, total }) }
    }

    fn latency(photo: Duration, write: Duration) -> LatencyEstimate {
        LatencyEstimate { photo: DecayingMax::new(photo), write: DecayingMax::new(write) }
    }

    #[test]
    fn a_photo_is_started_while_time_for_two_photos_and_the_part_is_left() {
        let latency = latency(3 * SECOND, SECOND);
        assert!(can_start(&deadline(&latency, 60 * SECOND, 8 * SECOND)));
        let late = deadline(&latency, 60 * SECOND, 7 * SECOND);
        assert!(!can_start(&late));
        let error = late.check_time_left().unwrap_err().to_string();
        assert!(error.contains("not started") && error.contains("two photos take 6000 ms"), "{error}");
    }

    #[test]
    fn without_a_deadline_a_photo_can_always_be_started() {
        let latency = latency(Duration::MAX, Duration::MAX);
        assert!(can_start(&Deadline::none(&latency)));
        assert!(can_start(&Deadline::at(&latency, Instant::now())), "an emulator without deadlines");
    }

    #[test]
    fn a_photo_gets_its_limit_or_a_third_of_the_batch() {
        let latency = LatencyEstimate::new();
        assert_eq!(Deadline::none(&latency).photo_time(20 * SECOND), 20 * SECOND);
        assert_eq!(deadline(&latency, 90 * SECOND, 5 * SECOND).photo_time(20 * SECOND), 20 * SECOND);
        assert_eq!(deadline(&latency, 30 * SECOND, 30 * SECOND).photo_time(20 * SECOND), 10 * SECOND);
    }

    /// Otherwise nothing would be started, so nothing measured, so nothing started.
    #[test]
    fn a_photo_that_took_longer_than_an_invocation_does_not_block_all_others() {
        let latency = LatencyEstimate::new();
        latency.record_photo(100 * SECOND);
        assert!(can_start(&Deadline::at(&latency, Instant::now() + 60 * SECOND)));
        assert!(!can_start(&deadline(&latency, 60 * SECOND, 29 * SECOND)));
    }

    #[test]
    fn a_slow_photo_raises_the_estimate_immediately_and_fast_ones_lower_it_gradually() {
        let maximum = DecayingMax::new(SECOND);
        maximum.record(8 * SECOND);
        assert_eq!(maximum.get(), 8 * SECOND);
        maximum.record(Duration::ZERO);
        assert_eq!(maximum.get(), 7 * SECOND);
        (0..100).for_each(|_| maximum.record(SECOND / 10));
        assert!(maximum.get() < SECOND / 9, "{:?}", maximum.get());
    }

    #[tokio::test]
    async fn hanging_work_is_stopped_in_time_to_write_the_part() {
        let latency = LatencyEstimate::new();
        let start = Instant::now();
        let deadline = Deadline::at(&latency, start + SECOND / 2);
        let hanging = deadline.limit_photo(std::future::pending::<Result<()>>()).await;
        assert!(matches!(hanging, Err(Error::OutOfTime(_))), "{hanging:?}");
        assert!(start.elapsed() < SECOND / 2, "{:?}", start.elapsed());
        assert_eq!(deadline.limit_photo(async { Ok(1) }).await.unwrap(), 1, "finished work is accepted");
    }
}
