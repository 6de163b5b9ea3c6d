//! Unusual keys on their way from the event to the row.

use fruitvec::ingest::DeliveryOutcome;

use crate::support::world::{World, photo};

/// Keys and their labels.
const KEYS: [(&str, Option<&str>); 14] = [
    ("photos/Apple Braeburn/12.jpg", Some("Apple Braeburn")),
    ("photos/Kiwi+Lime/a+b.jpg", Some("Kiwi+Lime")),
    ("photos/100%/50%25.jpg", Some("100%")),
    ("photos/Pêche de vigne/été.jpg", Some("Pêche de vigne")),
    ("photos/🍓/🍎🍏.jpg", Some("🍓")),
    ("photos/a//b.jpg", None),
    ("photos//Kiwi/c.jpg", Some("Kiwi")),
    ("/photos/Kiwi/d.jpg", Some("Kiwi")),
    ("photos/Kiwi/x", Some("Kiwi")),
    ("photos/Kiwi/x/y", Some("x")),
    ("photos/Kiwi/& =?#\"'<>*.jpg", Some("Kiwi")),
    ("no folder.jpg", None),
    ("photos/none.jpg", None),
    ("uploads/2026-11-23/01JDC.jpg", None),
];

#[tokio::test]
async fn every_key_is_the_same_in_the_table_as_in_s3() {
    let mut world = World::start().await;
    for (number, (key, _)) in (0..).zip(KEYS) {
        world.put(key, photo(number)).await;
    }
    let outcomes = world.ingest_pending().await;
    assert!(outcomes.iter().all(|it| matches!(it, DeliveryOutcome::Embedded { .. })), "{outcomes:?}");
    let current = world.current_rows().await;
    assert_eq!(current.len(), KEYS.len());
    for (key, label) in KEYS {
        let row = &current[key];
        assert_eq!((row.photo.key.as_str(), row.photo.label()), (key, label));
    }
    assert_eq!(world.result_objects("embeddings/").await.len(), 1);
}

#[tokio::test]
async fn photos_with_keys_that_need_encoding_are_removed() {
    let mut world = World::start().await;
    for (number, (key, _)) in (0..).zip(KEYS) {
        world.put(key, photo(number)).await;
    }
    world.ingest_pending().await;
    assert_eq!(world.snapshot().await.rows(), KEYS.len() as u64);
    for (key, _) in KEYS {
        world.delete(key).await;
    }
    assert!(world.ingest_pending().await.iter().all(|it| matches!(it, DeliveryOutcome::Removed)));
    assert_eq!(world.snapshot().await.rows(), 0);
}

#[tokio::test]
async fn an_empty_object_that_represents_a_folder_is_ignored() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/", "").await;
    world.put("photos/Kiwi/1.png", photo(1)).await;
    let outcomes = world.ingest_pending().await;
    assert!(
        matches!(outcomes.as_slice(), [DeliveryOutcome::Ignored, DeliveryOutcome::Embedded { .. }]),
        "{outcomes:?}"
    );
    assert_eq!(world.result_objects("rejects/").await.len(), 0);
}
