//! A compaction that ends at any of its calls, and is run again: never a row less.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use fruitvec::fits::Asked;
use fruitvec::plan::Wishes;
use fruitvec::run::Job;
use fruitvec::store::Store;

use super::{confirmed, current, driven, driven_by, key, part, redeliver, without_grace};
use crate::fixture::{RESULTS, World, photo};

/// When a call ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Before it is sent.
    Before,
    /// After it was done, before the answer is read.
    After,
}

/// From its n-th call on, S3 is out of reach.
#[derive(Debug)]
struct Crash {
    calls: Arc<AtomicUsize>,
    at: usize,
    end: End,
}

impl Crash {
    fn check(&self, call: usize, end: End) -> Result<(), BoxError> {
        let crashed = call > self.at || (call == self.at && end == self.end);
        if crashed { Err("crashed".into()) } else { Ok(()) }
    }
}

impl Intercept for Crash {
    fn name(&self) -> &'static str {
        "Crash"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.at && self.end == End::After { Ok(()) } else { self.check(call, End::Before) }
    }

    fn read_after_transmit(
        &self,
        _: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Calls at once: whichever is answered last is the one that crashes.
        self.check(self.calls.load(Ordering::SeqCst), End::After)
    }
}

/// A store that crashes, and how many calls it has seen.
fn crashing(world: &World, at: usize, end: End) -> (Store, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let crash = Crash { calls: Arc::clone(&calls), at, end };
    (world.intercepted(crash), calls)
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
            let modified: SystemTime = source.metadata().unwrap().modified().unwrap();
            std::fs::File::options().write(true).open(&target).unwrap().set_modified(modified).unwrap();
        }
    }
}

/// Another world with the same photos and results.
async fn twin(world: &World) -> World {
    let twin = World::start().await;
    for bucket in [crate::fixture::PHOTOS, RESULTS] {
        copy(&world.data.path().join(bucket), &twin.data.path().join(bucket));
    }
    twin
}

async fn refit(world: &World) {
    super::refit(world, Asked { components: 3, ..Asked::default() }).await.unwrap();
}

/// Ends a compaction of this world at every call in turn; then it is run again to its end.
async fn crash_everywhere(scene: &World, wishes: &Wishes, parts_left: usize) {
    let expected = current(scene).await;
    let mut ends = 0;
    for end in [End::Before, End::After] {
        for at in 1.. {
            let world = twin(scene).await;
            let (store, calls) = crashing(&world, at, end);
            let ended = driven_by(&store, Job::Compact, wishes).await;
            let through = calls.load(Ordering::SeqCst) < at;
            assert_eq!(current(&world).await, expected, "{end:?} call {at}");
            if through {
                ended.unwrap();
                break;
            }
            ends += 1;
            for _ in 0..3 {
                driven(&world, Job::Compact, &without_grace()).await.unwrap();
                assert_eq!(current(&world).await, expected, "run again after it ended {end:?} call {at}");
            }
            let left = world.results("embeddings/").await;
            assert_eq!(left.len(), parts_left, "{end:?} call {at}: {:?}", left.keys());
            let beside = world.results("moments/").await.len() + world.results("reduced/").await.len();
            assert_eq!(beside, 0, "{end:?} call {at}");
        }
    }
    assert!(ends > 20, "{ends}");
}

/// {a, b} and {b}, with moments and projections.
async fn stored_twice() -> World {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    refit(&world).await;
    redeliver(&world, 2).await;
    world
}

/// One part, of whose rows one is superseded and one removed, and a reject that is gone.
async fn single() -> World {
    let mut world = World::start().await;
    part(&mut world, 0..4).await;
    world.put_at(&key(9), photo(9)[..90].to_vec(), super::day()).await;
    world.ingest_told().await;
    world.put_at(&key(1), photo(100), super::day() + time::Duration::days(1)).await;
    world.delete(&key(2)).await;
    world.delete(&key(9)).await;
    world.ingest_told().await;
    world
}

#[tokio::test]
async fn compacting_rows_that_are_stored_twice_may_end_anywhere() {
    let world = stored_twice().await;
    crash_everywhere(&world, &confirmed(), 1).await;
    // And so may the run that deletes.
    driven(&world, Job::Compact, &confirmed()).await.unwrap();
    crash_everywhere(&world, &without_grace(), 1).await;
}

#[tokio::test]
async fn compacting_a_single_part_may_end_anywhere() {
    let world = single().await;
    crash_everywhere(&world, &confirmed(), 2).await;
    driven(&world, Job::Compact, &confirmed()).await.unwrap();
    crash_everywhere(&world, &without_grace(), 2).await;
}

#[tokio::test]
async fn two_compactions_at_once_lose_nothing() {
    for scene in [stored_twice().await, single().await] {
        let expected = current(&scene).await;
        for _ in 0..4 {
            let wishes = without_grace();
            let (first, second) =
                tokio::join!(driven(&scene, Job::Compact, &wishes), driven(&scene, Job::Compact, &wishes));
            // One may find that the other has deleted what it was to read; nothing else.
            for run in [first, second] {
                if let Err(error) = run {
                    let words = error.to_string();
                    assert!(words.contains("is gone"), "{words}");
                }
            }
            assert_eq!(current(&scene).await, expected);
        }
        driven(&scene, Job::Compact, &without_grace()).await.unwrap();
        assert_eq!(current(&scene).await, expected);
    }
}
