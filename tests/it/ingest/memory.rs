//! The peak memory of a batch does not depend on the size of its images.

use fruitvec::contract::limits::Limits;
use fruitvec::ingest::DeliveryOutcome;
use fruitvec::rejection::RejectCode;

use super::png;
use crate::support::process_memory::{alone, reset_peak, resident};
use crate::support::world::{World, photo};

/// Bytes that a batch needs in addition to its images, for requests, threads and the allocator.
const OVERHEAD: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_exceeds_the_budget_is_rejected_before_it_takes_memory() {
    if !alone("ingest::memory::an_image_that_exceeds_the_budget_is_rejected_before_it_takes_memory") {
        return;
    }
    // 64 million pixels of RGB take 183 MiB.
    let limits = Limits { decoded_bytes: 128 << 20, ..Limits::default() };
    let mut world = World::with_limits(limits).await;
    let deep = bytes::Bytes::from(png::black(8_000, 8_000, 16));
    for number in 0..4 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
        world.put(&format!("photos/Kiwi/{number}-deep.png"), deep.clone()).await;
    }
    let batch = world.pending_deliveries();
    reset_peak();
    let before = resident().0;
    let outcomes = world.ingest.ingest(&batch).await;
    let peak = resident().1 - before;
    for pair in outcomes.chunks(2) {
        let [DeliveryOutcome::Embedded { .. }, DeliveryOutcome::Rejected { rejection, .. }] = pair else {
            panic!("{pair:?}")
        };
        assert_eq!(rejection.code, RejectCode::DecodedTooLarge);
    }
    assert!(peak < OVERHEAD, "{} MiB", peak >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_are_decoded_concurrently_share_one_budget() {
    // So large that glibc returns freed memory to the system instead of keeping it for the thread.
    const IMAGE: u64 = 3_400 * 3_400 * 3;
    if !alone("ingest::memory::images_that_are_decoded_concurrently_share_one_budget") {
        return;
    }
    // The budget fits one image but not two, and four threads have an image each.
    let limits = Limits { decoded_bytes: IMAGE + (1 << 20), ..Limits::default() };
    let mut world = World::with_limits(limits).await;
    let large = bytes::Bytes::from(png::black(3_400, 3_400, 8));
    for number in 0..4 {
        world.put(&format!("photos/Kiwi/{number}.png"), large.clone()).await;
    }
    let batch = world.pending_deliveries();
    reset_peak();
    let before = resident().0;
    let outcomes = world.ingest.ingest(&batch).await;
    let peak = resident().1 - before;
    assert!(outcomes.iter().all(|it| matches!(it, DeliveryOutcome::Embedded { .. })), "{outcomes:?}");
    assert!(peak > IMAGE, "no image was decoded: {} MiB", peak >> 20);
    assert!(peak < IMAGE + OVERHEAD, "{} MiB", peak >> 20);
}
