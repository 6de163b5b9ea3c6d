//! An invocation ends in time, whatever its photos do: what is done is kept, the rest is handed back, nothing is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fruitvec::embed::Embedder;
use fruitvec::error::{Disposition, Error, Result};
use fruitvec::event::Delivery;
use fruitvec::ingest::{Ingest, Outcome};
use fruitvec::model::ModelCard;
use fruitvec::pixels::{Limits, Square};
use image::ImageFormat;

use crate::fixture::{RESULTS, Toy, World, encoded, photo};

const SECOND: Duration = Duration::from_secs(1);

/// Takes its time over each photo, and more than anyone has over a black one.
struct Slow {
    toy: Toy,
    photo: Duration,
}

impl Embedder for Slow {
    fn card(&self) -> &ModelCard {
        self.toy.card()
    }

    fn engine(&self) -> &str {
        self.toy.engine()
    }

    fn embed(&self, square: &Square) -> Result<Vec<f32>> {
        let black = square.rgb().iter().all(|&sample| sample == 0);
        std::thread::sleep(if black { 3 * SECOND } else { self.photo });
        self.toy.embed(square)
    }
}

fn slow(world: &World, photo: Duration, threads: usize) -> Ingest {
    let embedder = Arc::new(Slow { toy: Toy::new(), photo });
    Ingest::new(world.store.clone(), RESULTS, embedder, Limits::default(), threads)
}

fn black() -> Vec<u8> {
    encoded(&image::RgbImage::new(4, 4), ImageFormat::Png)
}

/// Ingests with so much time, and sees that it was enough.
async fn in_time(ingest: &Ingest, batch: &[Delivery], time: Duration) -> Vec<Outcome> {
    let start = Instant::now();
    let outcomes = ingest.ingest_until(batch, start + time).await;
    assert!(start.elapsed() < time, "{:?}", start.elapsed());
    assert_eq!(outcomes.len(), batch.len());
    outcomes
}

fn late(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Embedded { .. } => false,
        Outcome::Failed(error) if matches!(**error, Error::OutOfTime(_)) => {
            assert_eq!(error.disposition(), Disposition::Retry);
            true
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_batch_ends_in_time_and_its_rest_is_done_by_the_next() {
    const PHOTOS: usize = 40;
    let mut world = World::start().await;
    for number in 0..PHOTOS {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number as u32)).await;
    }
    let mut left = world.told();
    // All of them take longer than one invocation has.
    let ingest = slow(&world, Duration::from_millis(60), 1);
    let mut rounds = 0;
    while !left.is_empty() {
        rounds += 1;
        let outcomes = in_time(&ingest, &left, 2 * SECOND).await;
        let late: Vec<_> = outcomes.iter().map(late).collect();
        assert!(late.contains(&false), "nothing was done in round {rounds}");
        left = left.into_iter().zip(late).filter_map(|(delivery, late)| late.then_some(delivery)).collect();
        assert_eq!(world.snapshot().await.rows() as usize, PHOTOS - left.len());
    }
    assert!(rounds > 1, "there was time for all");
    assert_eq!(world.current().await.len(), PHOTOS);
    assert_eq!(world.results("rejects/").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_hangs_costs_only_itself() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/hangs.png", black()).await;
    for number in 0..6 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    let batch = world.told();
    let outcomes = in_time(&slow(&world, Duration::ZERO, 2), &batch, 2 * SECOND).await;
    assert_eq!(
        outcomes.iter().map(late).collect::<Vec<_>>(),
        [true, false, false, false, false, false, false]
    );
    let Outcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(error.to_string().contains("broken off"), "{error}");
    assert_eq!(world.current().await.len(), 6);
}

/// Photos would be given up that nothing is wrong with.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_photo_that_was_too_slow_others_are_begun_all_the_same() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/slow.png", black()).await;
    let ingest = slow(&world, Duration::ZERO, 1);
    // It is measured, for here nobody breaks it off.
    let told = world.told();
    assert!(!late(&ingest.ingest(&told).await[0]));
    world.put("photos/Kiwi/1.png", photo(1)).await;
    let outcomes = in_time(&ingest, &world.told(), 2 * SECOND).await;
    assert!(!late(&outcomes[0]), "two such photos take six seconds, and an invocation has two");
}
