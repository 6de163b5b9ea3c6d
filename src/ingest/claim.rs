//! The thread and the memory that one photo holds, and the time that it may hold them.
//!
//! When a photo's time is over, its caller takes back what the photo holds, and the next photo
//! starts. A blocking thread can't be stopped from outside, so it is left to itself. Most decoders
//! notice soon that they should stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::blocking::block_on;
use crate::error::{Error, Result};
use crate::image::Watch;

/// What one photo holds. Its thread and its caller share it.
pub(super) struct Claim {
    state: Mutex<State>,
    /// Tells the caller when the photo's time is over.
    clock: watch::Sender<Clock>,
    /// Asks the decoder to stop.
    watch: Watch,
    /// Counts the threads that were left to themselves and still work.
    abandoned: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
enum Clock {
    /// The photo waits for a thread or for memory.
    Stopped,
    /// The photo is worked on, and its time is over then. `None` is too far away to represent.
    Running(Option<Instant>),
}

struct State {
    /// The rest of the photo's time when the clock last stopped.
    left: Duration,
    phase: Phase,
    thread: Option<OwnedSemaphorePermit>,
    memory: Vec<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No thread works on the photo: not yet, or not any more.
    Idle,
    /// A thread works on the photo.
    Working,
    /// The caller ended the claim before a thread started.
    Ended,
    /// The caller ended the claim while a thread worked.
    Abandoned,
}

impl Claim {
    /// Creates a claim of a photo whose body has its memory, and that may take `time`.
    ///
    /// `abandoned` counts the threads that work after their claim has ended.
    pub(super) fn new(time: Duration, body: OwnedSemaphorePermit, abandoned: Arc<AtomicUsize>) -> Self {
        let state = State { left: time, phase: Phase::Idle, thread: None, memory: vec![body] };
        Self {
            state: Mutex::new(state),
            clock: watch::Sender::new(Clock::Stopped),
            watch: Watch::default(),
            abandoned,
        }
    }

    /// Starts the work on a thread, and the clock.
    ///
    /// # Errors
    /// [`Error::OutOfTime`] if the claim has ended.
    pub(super) fn start(self: &Arc<Self>, thread: OwnedSemaphorePermit) -> Result<Work> {
        let mut state = self.state();
        if state.phase != Phase::Idle {
            return Err(ended());
        }
        state.phase = Phase::Working;
        state.thread = Some(thread);
        self.run_clock(&state);
        drop(state);
        Ok(Work(Arc::clone(self)))
    }

    /// Waits until the photo's time is over. Never returns if the work ends before.
    pub(super) async fn time_is_over(&self) {
        let mut clock = self.clock.subscribe();
        loop {
            let now = *clock.borrow_and_update();
            let Clock::Running(Some(end)) = now else {
                // The sender lives as long as `self`, so this is no error.
                _ = clock.changed().await;
                continue;
            };
            tokio::select! {
                _ = clock.changed() => {}
                () = tokio::time::sleep_until(end.into()) => return,
            }
        }
    }

    /// Takes back everything that the photo holds.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.phase = match state.phase {
            Phase::Working => {
                self.abandoned.fetch_add(1, Ordering::Relaxed);
                Phase::Abandoned
            }
            Phase::Idle => Phase::Ended,
            ended => ended,
        };
        state.thread = None;
        state.memory.clear();
        self.watch.stop();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic can happen while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_clock(&self, state: &State) {
        self.clock.send_replace(Clock::Running(Instant::now().checked_add(state.left)));
    }
}

/// Ends a claim when it is dropped, with the future that waits for the photo.
pub(super) struct EndOnDrop(pub(super) Arc<Claim>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The work of a thread on a photo. Dropping it releases the thread and the memory.
pub(super) struct Work(Arc<Claim>);

impl Work {
    /// Returns the flag that asks the decoder to stop.
    pub(super) fn watch(&self) -> Watch {
        self.0.watch.clone()
    }

    /// Waits for memory. The clock stands still meanwhile, because other photos hold the memory.
    ///
    /// # Errors
    /// The error of `memory`, or [`Error::OutOfTime`] if the claim has ended.
    pub(super) fn wait_for_memory(
        &self,
        memory: impl Future<Output = Result<OwnedSemaphorePermit>>,
    ) -> Result<()> {
        let claim = &*self.0;
        let Clock::Running(end) = claim.clock.send_replace(Clock::Stopped) else {
            return Err(Error::Internal("a photo waits for memory twice".into()));
        };
        if let Some(end) = end {
            claim.state().left = end.saturating_duration_since(Instant::now());
        }
        let permit = block_on(memory)?;
        let mut state = claim.state();
        check(state.phase)?;
        state.memory.push(permit);
        claim.run_clock(&state);
        Ok(())
    }

    /// Releases the memory, and keeps the thread.
    ///
    /// # Errors
    /// [`Error::OutOfTime`] if the claim has ended: more work would be in vain.
    pub(super) fn release_memory(&self) -> Result<()> {
        let mut state = self.0.state();
        state.memory.clear();
        check(state.phase)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.phase == Phase::Abandoned {
            self.0.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
        state.phase = Phase::Idle;
        state.thread = None;
        state.memory.clear();
        self.0.clock.send_replace(Clock::Stopped);
    }
}

fn check(phase: Phase) -> Result<()> {
    if phase == Phase::Working { Ok(()) } else { Err(ended()) }
}

fn ended() -> Error {
    Error::OutOfTime("the caller no longer waits for the photo".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::sync::Semaphore;

    /// One thread, and memory for one photo.
    struct Resources {
        thread: Arc<Semaphore>,
        memory: Arc<Semaphore>,
        abandoned: Arc<AtomicUsize>,
    }

    impl Resources {
        fn new() -> Self {
            let one = || Arc::new(Semaphore::new(1));
            Self { thread: one(), memory: one(), abandoned: Arc::default() }
        }

        fn claim(&self, time: Duration) -> Arc<Claim> {
            let body = Arc::clone(&self.memory).try_acquire_owned().unwrap();
            Arc::new(Claim::new(time, body, Arc::clone(&self.abandoned)))
        }

        fn start(&self, claim: &Arc<Claim>) -> Result<Work> {
            claim.start(Arc::clone(&self.thread).try_acquire_owned().unwrap())
        }

        /// The free threads, the free memory, and the abandoned threads.
        fn free(&self) -> (usize, usize, usize) {
            let abandoned = self.abandoned.load(Ordering::Relaxed);
            (self.thread.available_permits(), self.memory.available_permits(), abandoned)
        }
    }

    #[test]
    fn finished_work_releases_everything() {
        let resources = Resources::new();
        let claim = resources.claim(Duration::MAX);
        let work = resources.start(&claim).unwrap();
        assert_eq!(resources.free(), (0, 0, 0));
        assert!(!work.watch().is_stopped());
        work.release_memory().unwrap();
        assert_eq!(resources.free(), (0, 1, 0));
        drop(work);
        drop(EndOnDrop(claim));
        assert_eq!(resources.free(), (1, 1, 0));
    }

    #[test]
    fn a_claim_that_ends_releases_everything_while_its_thread_works_on() {
        let resources = Resources::new();
        let claim = resources.claim(Duration::MAX);
        let work = resources.start(&claim).unwrap();
        drop(EndOnDrop(Arc::clone(&claim)));
        assert_eq!(resources.free(), (1, 1, 1));
        assert!(work.watch().is_stopped());
        // The thread notices when the decoder returns.
        assert!(matches!(work.release_memory(), Err(Error::OutOfTime(_))));
        drop(work);
        assert_eq!(resources.free(), (1, 1, 0));
    }

    #[test]
    fn work_does_not_start_after_the_claim_has_ended() {
        let resources = Resources::new();
        let claim = resources.claim(Duration::MAX);
        claim.end();
        assert!(matches!(resources.start(&claim), Err(Error::OutOfTime(_))));
        assert_eq!(resources.free(), (1, 1, 0));
    }

    #[tokio::test]
    async fn the_time_is_over_only_while_a_thread_works() {
        let resources = Resources::new();
        let claim = resources.claim(Duration::ZERO);
        assert!(claim.time_is_over().now_or_never().is_none());
        let work = resources.start(&claim).unwrap();
        claim.time_is_over().await;
        drop(work);
        assert!(claim.time_is_over().now_or_never().is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_clock_stands_still_while_a_photo_waits_for_memory() {
        let resources = Resources::new();
        let claim = resources.claim(Duration::ZERO);
        let work = resources.start(&claim).unwrap();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let waiting = tokio::task::spawn_blocking(move || {
            let result = work.wait_for_memory(async { receiver.await.map_err(|_| ended()) });
            (work, result)
        });
        let mut clock = claim.clock.subscribe();
        clock.wait_for(|clock| matches!(clock, Clock::Stopped)).await.unwrap();
        let pixels = Arc::new(Semaphore::new(1));
        assert!(sender.send(Arc::clone(&pixels).try_acquire_owned().unwrap()).is_ok());
        let (work, result) = waiting.await.unwrap();
        result.unwrap();
        claim.time_is_over().await;
        claim.end();
        assert_eq!(pixels.available_permits(), 1);
        drop(work);
    }
}
