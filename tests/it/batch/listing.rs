//! The parallel listing of the photos bucket.

use fruitvec::s3::Store;
use fruitvec::s3::parallel_list::Listing;

use crate::support::world::{PHOTOS, World};

async fn listed(store: &Store) -> Vec<String> {
    let mut listing = Listing::of(store, PHOTOS);
    let mut keys = Vec::new();
    while let Some(object) = listing.next().await.unwrap() {
        keys.push(object.key);
    }
    keys
}

#[tokio::test]
async fn keys_come_in_byte_order_across_folders() {
    let world = World::start().await;
    assert_eq!(listed(&world.store).await, [""; 0]);
    let mut keys = Vec::new();
    for label in 0..30 {
        keys.extend((0..7).map(|number| format!("photos/Label {label}/{number}.jpg")));
    }
    let odd = [
        "a.jpg",
        "photos!",
        "photos.jpg",
        "photos/!.jpg",
        "photos/Label 1!/1.jpg",
        "photos/Label 10.jpg",
        "photos/Label 1/0/deep.jpg",
        "photos/Äpfel/1.jpg",
        "photos0",
        "uploads/2026-11-23/1.jpg",
        "uploads/2026-11-24/1.jpg",
        "uploads/x.jpg",
        "zoo/a/b/c.jpg",
    ];
    keys.extend(odd.map(str::to_owned));
    for key in &keys {
        world.put(key, "photo").await;
    }
    keys.sort_unstable();
    assert_eq!(listed(&world.store).await, keys);
}

#[tokio::test]
async fn empty_objects_that_represent_folders_are_left_out() {
    let world = World::start().await;
    world.put("photos/", "").await;
    world.put("photos/Kiwi/", "").await;
    world.put("photos/Kiwi/empty.jpg", "").await;
    assert_eq!(listed(&world.store).await, ["photos/Kiwi/empty.jpg"]);
}

#[tokio::test]
async fn a_folder_of_many_pages_is_listed_completely() {
    let world = World::start().await;
    let folder = world.photo_file("photos/Kiwi");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..3500 {
        std::fs::write(folder.join(format!("{number:05}.jpg")), "photo").unwrap();
    }
    let keys = listed(&world.store).await;
    assert_eq!(keys.len(), 3500);
    assert!(keys.is_sorted());
    // A reader may stop early. Dropping the listing must not wait for the remaining pages.
    let mut listing = Listing::of(&world.store, PHOTOS);
    assert_eq!(listing.next().await.unwrap().unwrap().key, "photos/Kiwi/00000.jpg");
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let world = World::start().await;
    let error = Listing::of(&world.store, "nowhere").next().await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
}
