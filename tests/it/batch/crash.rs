//! Compactions that crash at any of their S3 calls, and are run again, never lose a row.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use fruitvec::batch::pca::FitOptions;
use fruitvec::batch::plan::PlanOptions;
use fruitvec::contract::run::Job;
use fruitvec::s3::Store;

use super::{confirmed, current_photos, day, key, part, redeliver, run_job, run_job_on, without_grace};
use crate::support::world::{PHOTOS, RESULTS, World, photo};

/// The moment at which a call crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before the request is sent.
    BeforeRequest,
    /// After S3 executed the request, before the response is read.
    AfterRequest,
}

/// Fails the n-th S3 call and all later ones.
#[derive(Debug)]
struct Crash {
    calls: Arc<AtomicUsize>,
    at: usize,
    moment: Moment,
}

impl Crash {
    fn check(&self, call: usize, moment: Moment) -> Result<(), BoxError> {
        let crashed = call > self.at || (call == self.at && moment == self.moment);
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
        self.check(call, Moment::BeforeRequest)
    }

    fn read_after_transmit(
        &self,
        _: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Among concurrent calls, any whose response comes after the n-th request may crash.
        self.check(self.calls.load(Ordering::SeqCst), Moment::AfterRequest)
    }
}

/// Returns a store that crashes, and the number of calls it has made.
fn crashing_store(world: &World, at: usize, moment: Moment) -> (Store, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let crash = Crash { calls: Arc::clone(&calls), at, moment };
    (world.intercepted(crash), calls)
}

/// Copies a folder with the modification times of its files.
fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
            let modified: SystemTime = source.metadata().unwrap().modified().unwrap();
            std::fs::File::options().write(true).open(&target).unwrap().set_modified(modified).unwrap();
        }
    }
}

/// Copies a world with its photos and results.
async fn copy_of(world: &World) -> World {
    let copy = World::start().await;
    for bucket in [PHOTOS, RESULTS] {
        copy_folder(&world.data.path().join(bucket), &copy.data.path().join(bucket));
    }
    copy
}

async fn fit(world: &World) {
    super::fit(world, FitOptions { components: 3, ..FitOptions::default() }).await.unwrap();
}

/// Crashes a compaction at each of its calls in turn, each time on a fresh copy of `original`, and
/// runs it again to the end.
async fn crash_everywhere(original: &World, options: &PlanOptions, parts_left: usize) {
    let expected = current_photos(original).await;
    let mut crashes = 0;
    for moment in [Moment::BeforeRequest, Moment::AfterRequest] {
        for at in 1.. {
            let world = copy_of(original).await;
            let (store, calls) = crashing_store(&world, at, moment);
            let result = run_job_on(&store, Job::Compact, options).await;
            let finished = calls.load(Ordering::SeqCst) < at;
            assert_eq!(current_photos(&world).await, expected, "{moment:?} call {at}");
            if finished {
                result.unwrap();
                break;
            }
            crashes += 1;
            for _ in 0..3 {
                run_job(&world, Job::Compact, &without_grace()).await.unwrap();
                assert_eq!(current_photos(&world).await, expected, "run again after {moment:?} call {at}");
            }
            let left = world.result_objects("embeddings/").await;
            assert_eq!(left.len(), parts_left, "{moment:?} call {at}: {:?}", left.keys());
            let sidecars =
                world.result_objects("moments/").await.len() + world.result_objects("reduced/").await.len();
            assert_eq!(sidecars, 0, "{moment:?} call {at}");
        }
    }
    assert!(crashes > 20, "{crashes}");
}

/// The parts {a, b} and {b}, with moments and projections.
async fn world_with_duplicate_rows() -> World {
    let mut world = World::start().await;
    part(&mut world, 0..40).await;
    fit(&world).await;
    redeliver(&world, 2).await;
    world
}

/// A single part with a superseded row and a removed one, and a reject of a deleted photo.
async fn world_with_a_single_part() -> World {
    let mut world = World::start().await;
    part(&mut world, 0..4).await;
    world.put_dated(&key(9), photo(9)[..90].to_vec(), day()).await;
    world.ingest_pending().await;
    world.put_dated(&key(1), photo(100), day() + time::Duration::days(1)).await;
    world.delete(&key(2)).await;
    world.delete(&key(9)).await;
    world.ingest_pending().await;
    world
}

#[tokio::test]
async fn a_compaction_of_duplicate_rows_may_crash_at_any_call() {
    let world = world_with_duplicate_rows().await;
    crash_everywhere(&world, &confirmed(), 1).await;
    // The second run deletes the superseded parts, and may crash as well.
    run_job(&world, Job::Compact, &confirmed()).await.unwrap();
    crash_everywhere(&world, &without_grace(), 1).await;
}

#[tokio::test]
async fn a_compaction_of_a_single_part_may_crash_at_any_call() {
    let world = world_with_a_single_part().await;
    crash_everywhere(&world, &confirmed(), 2).await;
    run_job(&world, Job::Compact, &confirmed()).await.unwrap();
    crash_everywhere(&world, &without_grace(), 2).await;
}

#[tokio::test]
async fn two_concurrent_compactions_lose_nothing() {
    for world in [world_with_duplicate_rows().await, world_with_a_single_part().await] {
        let expected = current_photos(&world).await;
        for _ in 0..4 {
            let options = without_grace();
            let (first, second) = tokio::join!(
                run_job(&world, Job::Compact, &options),
                run_job(&world, Job::Compact, &options)
            );
            // The only acceptable error: one run deleted a part that the other still had to read.
            for result in [first, second] {
                if let Err(error) = result {
                    let message = error.to_string();
                    assert!(message.contains("is gone"), "{message}");
                }
            }
            assert_eq!(current_photos(&world).await, expected);
        }
        run_job(&world, Job::Compact, &without_grace()).await.unwrap();
        assert_eq!(current_photos(&world).await, expected);
    }
}
