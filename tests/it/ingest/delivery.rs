//! What is promised of deliveries: at least once, in any order, and never a wrong row.

use fruitvec::event::{Change, Delivery};
use fruitvec::ingest::Outcome;
use fruitvec::photo::Photo;
use fruitvec::reject::RejectCode;
use fruitvec::removal::Removal;
use time::macros::{date, datetime};

use crate::fixture::{PHOTOS, World, photo};

const KEY: &str = "photos/Kiwi/1.png";

fn removed(key: &str, at: time::OffsetDateTime) -> Delivery {
    Delivery { bucket: PHOTOS.into(), key: key.into(), change: Change::Removed, at }
}

fn embedded(outcome: &Outcome) -> (&Photo, String, bool) {
    let Outcome::Embedded { photo, part, already, .. } = outcome else { panic!("{outcome:?}") };
    (photo, part.embeddings_key(), *already)
}

#[tokio::test]
async fn a_redelivered_batch_writes_nothing() {
    let mut world = World::start().await;
    for number in 0..5 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    world.put("photos/Kiwi/bad.png", "no photo").await;
    let mut batch = world.told();
    let first = world.ingest.ingest(&batch).await;
    assert!(first[..5].iter().all(|outcome| !embedded(outcome).2));
    let written = world.results("embeddings/").await;
    assert_eq!(written.len(), 1);

    batch.reverse();
    let second = world.ingest.ingest(&batch).await;
    assert!(second[1..].iter().all(|outcome| embedded(outcome).2), "{second:?}");
    assert_eq!(world.results("embeddings/").await, written);
    assert_eq!(world.results("rejects/").await.len(), 1);
    assert_eq!(world.snapshot().await.rows(), 5);
}

#[tokio::test]
async fn a_delivery_that_is_twice_in_a_batch_has_one_row() {
    let mut world = World::start().await;
    world.put(KEY, photo(1)).await;
    let told = world.told();
    let outcomes = world.ingest.ingest(&[told.clone(), told].concat()).await;
    assert_eq!(outcomes.len(), 2);
    assert_eq!(embedded(&outcomes[0]), embedded(&outcomes[1]));
    let parts = world.snapshot().await.parts;
    assert_eq!(parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn the_photos_of_two_days_go_into_two_parts() {
    let mut world = World::start().await;
    let days = [datetime!(2026-11-22 23:59:59 UTC), datetime!(2026-11-23 00:00:00 UTC)];
    for number in 0..4 {
        let at = days[number as usize % 2];
        world.put_at(&format!("photos/Kiwi/{number}.png"), photo(number), at).await;
    }
    let outcomes = world.ingest_told().await;
    let parts = world.snapshot().await.parts;
    let found: Vec<_> = parts.iter().map(|part| (part.part.partition.date, part.rows)).collect();
    assert_eq!(found, [(date!(2026 - 11 - 22), 2), (date!(2026 - 11 - 23), 2)]);
    for (number, outcome) in outcomes.iter().enumerate() {
        let (photo, part, _) = embedded(outcome);
        assert_eq!(photo.last_modified, days[number % 2]);
        assert!(part.contains(&format!("/date={}/", photo.date())), "{part}");
    }
}

#[tokio::test]
async fn a_photo_overwritten_before_it_is_read_is_embedded_as_it_is() {
    let mut world = World::start().await;
    world.put(KEY, photo(1)).await;
    let told = world.told();
    world.put(KEY, photo(2)).await;
    let outcomes = world.ingest.ingest(&told).await;
    let head = world.client.head_object().bucket(PHOTOS).key(KEY).send().await.unwrap();
    assert_eq!(embedded(&outcomes[0]).0.etag, head.e_tag().unwrap().trim_matches('"'));

    // The event of the overwrite comes, too: it is the same row.
    let late = world.ingest_told().await;
    assert!(embedded(&late[0]).2);
    assert_eq!(world.current().await[KEY].photo.etag, head.e_tag().unwrap().trim_matches('"'));
}

#[tokio::test]
async fn of_an_overwritten_photo_only_the_newer_row_is_current() {
    let mut world = World::start().await;
    world.put_at(KEY, photo(1), datetime!(2026-11-22 10:00 UTC)).await;
    world.ingest_told().await;
    world.put_at(KEY, photo(2), datetime!(2026-11-23 10:00 UTC)).await;
    let outcomes = world.ingest_told().await;
    let (newer, part, _) = embedded(&outcomes[0]);
    let snapshot = world.snapshot().await;
    let dead: Vec<_> = snapshot.parts.iter().map(|part| part.dead.clone()).collect();
    assert_eq!(dead, [vec![0], vec![]]);
    assert_eq!(snapshot.parts[1].part.embeddings_key(), part);
    assert_eq!(&world.current().await[KEY].photo, newer);
}

#[tokio::test]
async fn a_photo_put_again_unchanged_has_one_current_row() {
    let mut world = World::start().await;
    for hour in [datetime!(2026-11-23 10:00 UTC), datetime!(2026-11-23 11:00 UTC)] {
        world.put_at(KEY, photo(1), hour).await;
        let outcomes = world.ingest_told().await;
        assert!(!embedded(&outcomes[0]).2);
        assert_eq!(world.current().await[KEY].photo.last_modified, hour);
    }
    assert_eq!(world.snapshot().await.parts.len(), 2);
}

/// Part names that were made of photo ids only, which are the same before and after, took the new row for the old one.
#[tokio::test]
async fn a_photo_deleted_and_put_again_unchanged_is_current_again() {
    let mut world = World::start().await;
    world.put_at(KEY, photo(1), datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_told().await;
    world.delete(KEY).await;
    world.told();
    let gone = world.ingest.ingest(&[removed(KEY, datetime!(2026-11-23 11:00 UTC))]).await;
    assert!(matches!(gone[0], Outcome::Removed), "{gone:?}");
    assert_eq!(world.snapshot().await.rows(), 0);

    world.put_at(KEY, photo(1), datetime!(2026-11-23 12:00 UTC)).await;
    let outcomes = world.ingest_told().await;
    assert!(!embedded(&outcomes[0]).2);
    assert_eq!(world.current().await.len(), 1);

    // The removal is delivered again, late: the photo is there, so it changes nothing.
    let late = world.ingest.ingest(&[removed(KEY, datetime!(2026-11-23 11:00 UTC))]).await;
    assert!(matches!(late[0], Outcome::StillThere), "{late:?}");
    assert_eq!(world.current().await.len(), 1);
}

#[tokio::test]
async fn a_photo_deleted_before_it_is_read_is_gone() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put(KEY, photo(1)).await;
    let created = world.told();
    world.delete(KEY).await;
    let outcomes = world.ingest.ingest(&created).await;
    assert!(matches!(outcomes.as_slice(), [Outcome::Embedded { .. }, Outcome::Gone]), "{outcomes:?}");
    let removal = world.ingest_told().await;
    assert!(matches!(removal.as_slice(), [Outcome::Removed]), "{removal:?}");
    assert_eq!(world.current().await.into_keys().collect::<Vec<_>>(), ["photos/Kiwi/0.png"]);
    assert_eq!(world.results("rejects/").await.len(), 0);
}

#[tokio::test]
async fn a_removal_event_of_a_photo_that_is_there_removes_nothing() {
    let mut world = World::start().await;
    world.embed(KEY, photo(1)).await;
    let outcomes = world.ingest.ingest(&[removed(KEY, time::OffsetDateTime::now_utc())]).await;
    assert!(matches!(outcomes[0], Outcome::StillThere), "{outcomes:?}");
    assert_eq!(world.results("removals/").await.len(), 0);
    assert_eq!(world.current().await.len(), 1);
}

#[tokio::test]
async fn of_removals_out_of_order_the_later_stays() {
    let mut world = World::start().await;
    world.put_at(KEY, photo(1), datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_told().await;
    world.delete(KEY).await;
    world.told();
    let [early, middle, late] =
        [datetime!(2026-11-23 09:00 UTC), datetime!(2026-11-23 10:30 UTC), datetime!(2026-11-23 11:00 UTC)];
    for (at, kept) in [(early, early), (late, late), (middle, late)] {
        world.ingest.ingest(&[removed(KEY, at)]).await;
        let removals = world.results("removals/").await;
        assert_eq!(removals.len(), 1);
        let (object, bytes) = removals.iter().next().unwrap();
        let removal = Removal::parse(object, bytes).unwrap();
        assert_eq!(removal, Removal { bucket: PHOTOS.into(), key: KEY.into(), up_to: kept, spares: None });
        assert_eq!(world.snapshot().await.rows(), u64::from(kept == early));
    }
    // In one batch they are one thing to do, which reaches as far as the last of them.
    let both = world.ingest.ingest(&[removed("x", late), removed("x", early)]).await;
    assert!(matches!(both.as_slice(), [Outcome::Removed, Outcome::Removed]), "{both:?}");
    let removals = world.results("removals/").await;
    let found = removals.iter().map(|(object, bytes)| Removal::parse(object, bytes).unwrap());
    assert!(found.filter(|it| it.key == "x").all(|it| it.up_to == late));
}

#[tokio::test]
async fn a_good_photo_overwritten_by_a_bad_one_has_no_current_row() {
    let mut world = World::start().await;
    world.put_at(KEY, photo(1), datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_told().await;
    world.put_at(KEY, "no photo", datetime!(2026-11-23 11:00 UTC)).await;
    world.ingest_told().await;
    let snapshot = world.snapshot().await;
    assert_eq!((snapshot.rows(), snapshot.parts[0].dead.as_slice()), (0, [0].as_slice()));
    assert_eq!(snapshot.rejected[&RejectCode::NotAnImage], 1);
}

#[tokio::test]
async fn a_bad_photo_overwritten_by_a_good_one_has_a_current_row() {
    let mut world = World::start().await;
    world.put_at(KEY, "no photo", datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_told().await;
    world.put_at(KEY, photo(1), datetime!(2026-11-23 11:00 UTC)).await;
    world.ingest_told().await;
    let snapshot = world.snapshot().await;
    assert_eq!((snapshot.rows(), snapshot.rejected.len()), (1, 0));
}

#[tokio::test]
async fn the_row_says_all_that_the_contract_has_columns_for() {
    let mut world = World::start().await;
    let at = datetime!(2026-11-23 10:00 UTC);
    world.put_at(KEY, photo(1), at).await;
    let before = time::OffsetDateTime::now_utc();
    world.ingest_told().await;
    let row = world.current().await.remove(KEY).unwrap();
    assert_eq!((row.photo.bucket.as_str(), row.photo.size_bytes), (PHOTOS, photo(1).len() as u64));
    assert_eq!((row.photo.last_modified, row.width, row.height), (at, 16, 16));
    assert_eq!(row.made_by, concat!("fruitvec ", env!("CARGO_PKG_VERSION"), " by hand"));
    assert_eq!(row.embedding.len(), crate::fixture::Toy::DIMENSION);
    let since = row.embedded_at - before;
    assert!(since > -time::Duration::milliseconds(1) && since < time::Duration::minutes(1), "{since}");
}
