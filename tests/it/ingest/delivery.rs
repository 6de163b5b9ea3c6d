//! Deliveries arrive at least once and in any order, and the table must be right after each.

use fruitvec::contract::event::{Change, Delivery};
use fruitvec::contract::photo::Photo;
use fruitvec::ingest::DeliveryOutcome;
use fruitvec::rejection::RejectCode;
use fruitvec::table::removal::Removal;
use time::OffsetDateTime;
use time::macros::{date, datetime};

use crate::support::world::{PHOTOS, ToyEmbedder, World, photo};

const KEY: &str = "photos/Kiwi/1.png";

/// A removal event.
fn removed(key: &str, at: OffsetDateTime) -> Delivery {
    Delivery { bucket: PHOTOS.into(), key: key.into(), change: Change::Removed, at, attempts: 1 }
}

/// Returns the photo and the key of its part, and whether the part existed already.
fn embedded(outcome: &DeliveryOutcome) -> (&Photo, String, bool) {
    let DeliveryOutcome::Embedded { photo, part, already, .. } = outcome else { panic!("{outcome:?}") };
    (photo, part.embeddings_key(), *already)
}

#[tokio::test]
async fn a_redelivered_batch_writes_nothing() {
    let mut world = World::start().await;
    for number in 0..5 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    world.put("photos/Kiwi/bad.png", "no photo").await;
    let mut batch = world.pending_deliveries();
    let first = world.ingest.ingest(&batch).await;
    assert!(first[..5].iter().all(|outcome| !embedded(outcome).2));
    let written = world.result_objects("embeddings/").await;
    assert_eq!(written.len(), 1);

    batch.reverse();
    let second = world.ingest.ingest(&batch).await;
    assert!(second[1..].iter().all(|outcome| embedded(outcome).2), "{second:?}");
    assert_eq!(world.result_objects("embeddings/").await, written);
    assert_eq!(world.result_objects("rejects/").await.len(), 1);
    assert_eq!(world.snapshot().await.rows(), 5);
}

#[tokio::test]
async fn a_delivery_that_is_twice_in_a_batch_has_one_row() {
    let mut world = World::start().await;
    world.put(KEY, photo(1)).await;
    let deliveries = world.pending_deliveries();
    let outcomes = world.ingest.ingest(&[deliveries.clone(), deliveries].concat()).await;
    assert_eq!(outcomes.len(), 2);
    assert_eq!(embedded(&outcomes[0]), embedded(&outcomes[1]));
    let parts = world.snapshot().await.parts;
    assert_eq!(parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn photos_of_two_days_go_into_two_parts() {
    let mut world = World::start().await;
    let days = [datetime!(2026-11-22 23:59:59 UTC), datetime!(2026-11-23 00:00:00 UTC)];
    for number in 0..4 {
        let at = days[number as usize % 2];
        world.put_dated(&format!("photos/Kiwi/{number}.png"), photo(number), at).await;
    }
    let outcomes = world.ingest_pending().await;
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
async fn a_photo_overwritten_before_it_is_read_is_embedded_in_its_new_version() {
    let mut world = World::start().await;
    world.put(KEY, photo(1)).await;
    let first_event = world.pending_deliveries();
    world.put(KEY, photo(2)).await;
    let outcomes = world.ingest.ingest(&first_event).await;
    let head = world.client.head_object().bucket(PHOTOS).key(KEY).send().await.unwrap();
    assert_eq!(embedded(&outcomes[0]).0.etag, head.e_tag().unwrap().trim_matches('"'));

    // The event of the overwrite leads to the same row.
    let late = world.ingest_pending().await;
    assert!(embedded(&late[0]).2);
    assert_eq!(world.current_rows().await[KEY].photo.etag, head.e_tag().unwrap().trim_matches('"'));
}

#[tokio::test]
async fn only_the_newer_row_of_an_overwritten_photo_is_current() {
    let mut world = World::start().await;
    world.put_dated(KEY, photo(1), datetime!(2026-11-22 10:00 UTC)).await;
    world.ingest_pending().await;
    world.put_dated(KEY, photo(2), datetime!(2026-11-23 10:00 UTC)).await;
    let outcomes = world.ingest_pending().await;
    let (newer, part, _) = embedded(&outcomes[0]);
    let snapshot = world.snapshot().await;
    let dead: Vec<_> = snapshot.parts.iter().map(|part| part.dead.clone()).collect();
    assert_eq!(dead, [vec![0], vec![]]);
    assert_eq!(snapshot.parts[1].part.embeddings_key(), part);
    assert_eq!(&world.current_rows().await[KEY].photo, newer);
}

#[tokio::test]
async fn a_photo_put_again_unchanged_has_one_current_row() {
    let mut world = World::start().await;
    for hour in [datetime!(2026-11-23 10:00 UTC), datetime!(2026-11-23 11:00 UTC)] {
        world.put_dated(KEY, photo(1), hour).await;
        let outcomes = world.ingest_pending().await;
        assert!(!embedded(&outcomes[0]).2);
        assert_eq!(world.current_rows().await[KEY].photo.last_modified, hour);
    }
    assert_eq!(world.snapshot().await.parts.len(), 2);
}

/// The photo id is the same before and after. If part names depended on photo ids alone, the new
/// row would be mistaken for the old one.
#[tokio::test]
async fn a_photo_deleted_and_put_again_unchanged_is_current_again() {
    let mut world = World::start().await;
    world.put_dated(KEY, photo(1), datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_pending().await;
    world.delete(KEY).await;
    world.pending_deliveries();
    let outcomes = world.ingest.ingest(&[removed(KEY, datetime!(2026-11-23 11:00 UTC))]).await;
    assert!(matches!(outcomes[0], DeliveryOutcome::Removed), "{outcomes:?}");
    assert_eq!(world.snapshot().await.rows(), 0);

    world.put_dated(KEY, photo(1), datetime!(2026-11-23 12:00 UTC)).await;
    let outcomes = world.ingest_pending().await;
    assert!(!embedded(&outcomes[0]).2);
    assert_eq!(world.current_rows().await.len(), 1);

    // A late redelivery of the removal changes nothing, because the photo exists.
    let late = world.ingest.ingest(&[removed(KEY, datetime!(2026-11-23 11:00 UTC))]).await;
    assert!(matches!(late[0], DeliveryOutcome::StillThere), "{late:?}");
    assert_eq!(world.current_rows().await.len(), 1);
}

#[tokio::test]
async fn a_photo_deleted_before_it_is_read_is_gone() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put(KEY, photo(1)).await;
    let created = world.pending_deliveries();
    world.delete(KEY).await;
    let outcomes = world.ingest.ingest(&created).await;
    assert!(
        matches!(outcomes.as_slice(), [DeliveryOutcome::Embedded { .. }, DeliveryOutcome::Gone]),
        "{outcomes:?}"
    );
    let removal = world.ingest_pending().await;
    assert!(matches!(removal.as_slice(), [DeliveryOutcome::Removed]), "{removal:?}");
    assert_eq!(world.current_rows().await.into_keys().collect::<Vec<_>>(), ["photos/Kiwi/0.png"]);
    assert_eq!(world.result_objects("rejects/").await.len(), 0);
}

#[tokio::test]
async fn a_removal_event_of_a_photo_that_exists_removes_nothing() {
    let mut world = World::start().await;
    world.put_and_ingest(KEY, photo(1)).await;
    let outcomes = world.ingest.ingest(&[removed(KEY, OffsetDateTime::now_utc())]).await;
    assert!(matches!(outcomes[0], DeliveryOutcome::StillThere), "{outcomes:?}");
    assert_eq!(world.result_objects("removals/").await.len(), 0);
    assert_eq!(world.current_rows().await.len(), 1);
}

#[tokio::test]
async fn the_latest_of_several_removals_wins_in_any_order() {
    let mut world = World::start().await;
    world.put_dated(KEY, photo(1), datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_pending().await;
    world.delete(KEY).await;
    world.pending_deliveries();
    let [early, middle, late] =
        [datetime!(2026-11-23 09:00 UTC), datetime!(2026-11-23 10:30 UTC), datetime!(2026-11-23 11:00 UTC)];
    for (at, up_to) in [(early, early), (late, late), (middle, late)] {
        world.ingest.ingest(&[removed(KEY, at)]).await;
        let removals = world.result_objects("removals/").await;
        assert_eq!(removals.len(), 1);
        let (object, bytes) = removals.iter().next().unwrap();
        let removal = Removal::parse(object, bytes).unwrap();
        assert_eq!(removal, Removal { bucket: PHOTOS.into(), key: KEY.into(), up_to, except_photo_id: None });
        assert_eq!(world.snapshot().await.rows(), u64::from(up_to == early));
    }
    // Within one batch they become one removal, up to the latest time.
    let both = world.ingest.ingest(&[removed("x", late), removed("x", early)]).await;
    assert!(matches!(both.as_slice(), [DeliveryOutcome::Removed, DeliveryOutcome::Removed]), "{both:?}");
    let removals = world.result_objects("removals/").await;
    let found = removals.iter().map(|(object, bytes)| Removal::parse(object, bytes).unwrap());
    assert!(found.filter(|it| it.key == "x").all(|it| it.up_to == late));
}

#[tokio::test]
async fn a_valid_photo_overwritten_by_a_bad_one_has_no_current_row() {
    let mut world = World::start().await;
    world.put_dated(KEY, photo(1), datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_pending().await;
    world.put_dated(KEY, "no photo", datetime!(2026-11-23 11:00 UTC)).await;
    world.ingest_pending().await;
    let snapshot = world.snapshot().await;
    assert_eq!((snapshot.rows(), snapshot.parts[0].dead.as_slice()), (0, [0].as_slice()));
    assert_eq!(snapshot.rejected[&RejectCode::NotAnImage], 1);
}

#[tokio::test]
async fn a_bad_photo_overwritten_by_a_valid_one_has_a_current_row() {
    let mut world = World::start().await;
    world.put_dated(KEY, "no photo", datetime!(2026-11-23 10:00 UTC)).await;
    world.ingest_pending().await;
    world.put_dated(KEY, photo(1), datetime!(2026-11-23 11:00 UTC)).await;
    world.ingest_pending().await;
    let snapshot = world.snapshot().await;
    assert_eq!((snapshot.rows(), snapshot.rejected.len()), (1, 0));
}

#[tokio::test]
async fn a_row_has_a_value_in_each_column_of_the_contract() {
    let mut world = World::start().await;
    let at = datetime!(2026-11-23 10:00 UTC);
    world.put_dated(KEY, photo(1), at).await;
    let before = OffsetDateTime::now_utc();
    world.ingest_pending().await;
    let row = world.current_rows().await.remove(KEY).unwrap();
    assert_eq!((row.photo.bucket.as_str(), row.photo.size_bytes), (PHOTOS, photo(1).len() as u64));
    assert_eq!((row.photo.last_modified, row.width, row.height), (at, 16, 16));
    assert_eq!(row.made_by, concat!("fruitvec ", env!("CARGO_PKG_VERSION"), " by hand icc"));
    assert_eq!(row.embedding.len(), ToyEmbedder::DIMENSION);
    let since = row.embedded_at - before;
    // Stored times are truncated, so the row may appear slightly older.
    assert!(since > -time::Duration::milliseconds(1) && since < time::Duration::minutes(1), "{since}");
}
