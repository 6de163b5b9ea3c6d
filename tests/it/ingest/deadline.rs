//! An invocation ends before its deadline. Finished photos are kept, and the others are retried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fruitvec::contract::event::Delivery;
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::embed::Embedder;
use fruitvec::error::{Disposition, Error, Result};
use fruitvec::image::InputImage;
use fruitvec::ingest::{DeliveryOutcome, Ingest};
use image::ImageFormat;

use crate::support::world::{RESULTS, ToyEmbedder, World, encode, photo};

const SECOND: Duration = Duration::from_secs(1);

/// Takes a fixed time for each photo, and five seconds for a black one.
struct SlowEmbedder {
    toy: ToyEmbedder,
    time: Duration,
}

impl Embedder for SlowEmbedder {
    fn card(&self) -> &ModelCard {
        self.toy.card()
    }

    fn engine(&self) -> &str {
        self.toy.engine()
    }

    fn embed(&self, image: &InputImage) -> Result<Vec<f32>> {
        let is_black = image.rgb().iter().all(|&sample| sample == 0);
        std::thread::sleep(if is_black { 5 * SECOND } else { self.time });
        self.toy.embed(image)
    }
}

fn slow_ingest(world: &World, time: Duration, threads: usize) -> Ingest {
    let embedder = Arc::new(SlowEmbedder { toy: ToyEmbedder::new(), time });
    Ingest::new(world.store.clone(), RESULTS, embedder, Limits::default(), threads)
}

fn black_photo() -> Vec<u8> {
    encode(&image::RgbImage::new(4, 4), ImageFormat::Png)
}

/// Ingests a batch with a deadline, and checks that it was met.
async fn ingest_within(ingest: &Ingest, batch: &[Delivery], time: Duration) -> Vec<DeliveryOutcome> {
    let start = Instant::now();
    let outcomes = ingest.ingest_until(batch, start + time).await;
    assert!(start.elapsed() < time, "{:?}", start.elapsed());
    assert_eq!(outcomes.len(), batch.len());
    outcomes
}

/// Returns whether a photo ran out of time. All other photos must be embedded.
fn ran_out_of_time(outcome: &DeliveryOutcome) -> bool {
    match outcome {
        DeliveryOutcome::Embedded { .. } => false,
        DeliveryOutcome::Failed(error) if matches!(**error, Error::OutOfTime(_)) => {
            assert_eq!(error.disposition(), Disposition::Retry);
            true
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_batch_ends_in_time_and_the_next_ones_finish_it() {
    const PHOTOS: usize = 40;
    let mut world = World::start().await;
    for number in 0..PHOTOS {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number as u32)).await;
    }
    let mut left = world.pending_deliveries();
    // All photos take 2.4 seconds, and each round has two.
    let ingest = slow_ingest(&world, Duration::from_millis(60), 1);
    let mut rounds = 0;
    while !left.is_empty() {
        rounds += 1;
        let outcomes = ingest_within(&ingest, &left, 2 * SECOND).await;
        let late: Vec<_> = outcomes.iter().map(ran_out_of_time).collect();
        assert!(late.contains(&false), "no photo was embedded in round {rounds}");
        left = left.into_iter().zip(late).filter_map(|(delivery, late)| late.then_some(delivery)).collect();
        assert_eq!(world.snapshot().await.rows() as usize, PHOTOS - left.len());
    }
    assert!(rounds > 1, "one round was enough");
    assert_eq!(world.current_rows().await.len(), PHOTOS);
    assert_eq!(world.result_objects("rejects/").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_hangs_does_not_delay_the_others() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/hangs.png", black_photo()).await;
    for number in 0..6 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    let batch = world.pending_deliveries();
    // After a third of this time, the other photos still have twice what they need to be started.
    let outcomes = ingest_within(&slow_ingest(&world, Duration::ZERO, 1), &batch, 9 * SECOND).await;
    assert_eq!(
        outcomes.iter().map(ran_out_of_time).collect::<Vec<_>>(),
        [true, false, false, false, false, false, false]
    );
    let DeliveryOutcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(error.to_string().contains("more than 3 s"), "{error}");
    assert_eq!(world.current_rows().await.len(), 6);
}

/// Otherwise one slow photo would make the ingest give up photos that are not slow.
#[tokio::test(flavor = "multi_thread")]
async fn photos_are_still_started_after_one_that_was_too_slow() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/slow.png", black_photo()).await;
    let ingest = slow_ingest(&world, Duration::ZERO, 1);
    // Without a deadline, the slow photo finishes and enters the latency estimate.
    let slow = world.pending_deliveries();
    assert!(!ran_out_of_time(&ingest.ingest(&slow).await[0]));
    world.put("photos/Kiwi/1.png", photo(1)).await;
    let outcomes = ingest_within(&ingest, &world.pending_deliveries(), 2 * SECOND).await;
    // Two photos as slow as the first would take ten seconds, and the batch has two.
    assert!(!ran_out_of_time(&outcomes[0]), "the photo was not started");
}
