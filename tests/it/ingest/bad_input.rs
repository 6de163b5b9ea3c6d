//! Files that are no photos, or hardly: each has its verdict, alone and in the middle of a good batch.

use fruitvec::ingest::Outcome;
use fruitvec::local::painter::{Kind, paint};
use fruitvec::pixels::Limits;
use fruitvec::reject::RejectCode;
use image::ImageFormat;

use super::png;
use crate::fixture::{World, encoded, photo, picture, poison};

/// Small enough that a test can go beyond it, large enough for every other case.
const LIMITS: Limits = Limits { bytes: 64 << 10, pixels: 64_000_000, decoded_bytes: 256 << 20 };

/// A file that can't be embedded, the code it gets, and words that its message must hold.
struct Bad {
    name: &'static str,
    bytes: Vec<u8>,
    code: RejectCode,
    says: &'static [&'static str],
}

fn bad() -> Vec<Bad> {
    use RejectCode::{
        Corrupt, DecodedTooLarge, Empty, NotAnImage, Panicked, TooManyBytes, TooManyPixels, Truncated,
        UnsupportedFormat,
    };
    let jpeg = encoded(&paint(Kind::Kiwi, 0, 48), ImageFormat::Jpeg);
    let mut corrupt = photo(1);
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xFF;
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08mdat".to_vec();
    let bad = |name, bytes, code, says| Bad { name, bytes, code, says };
    vec![
        bad("empty.jpg", Vec::new(), Empty, &["0 bytes"]),
        bad("text.jpg", b"Dear customer, your fruit is on its way.\n".to_vec(), NotAnImage, &["text"]),
        bad("half.jpg", jpeg[..jpeg.len() / 2].to_vec(), Truncated, &[]),
        bad("half.png", photo(2)[..300].to_vec(), Truncated, &[]),
        bad("corrupt.png", corrupt, Corrupt, &[]),
        bad(
            "bomb.png",
            png::head(60_000, 60_000, 8, png::Colour::Rgb),
            TooManyPixels,
            &["60000×60000", "64000000"],
        ),
        bad(
            "deep.png",
            [png::head(8_000, 8_000, 16, png::Colour::Rgb), photo(3)[33..].to_vec()].concat(),
            DecodedTooLarge,
            &["8000×8000", "8-bit"],
        ),
        bad("long.jpg", vec![0xFF; (64 << 10) + 1], TooManyBytes, &["65537 bytes", "65536"]),
        bad("phone.heic", heic, UnsupportedFormat, &["HEIC", "JPEG"]),
        bad("poison.png", poison(), Panicked, &["panicked", "poison"]),
    ]
}

async fn assert_rejected(world: &World, bad: &Bad, outcome: &Outcome) {
    let Outcome::Rejected { photo, rejection, .. } = outcome else { panic!("{}: {outcome:?}", bad.name) };
    assert_eq!(rejection.code, bad.code, "{}: {rejection}", bad.name);
    let reject = world.reject(photo).await;
    assert_eq!(reject.code, bad.code);
    assert_eq!(&reject.photo, photo);
    assert_eq!(reject.photo.size_bytes, bad.bytes.len() as u64);
    assert_eq!(reject.photo_id, photo.id().to_string());
    assert_eq!(reject.message, rejection.message);
    for words in bad.says {
        assert!(reject.message.contains(words), "{}: {}", bad.name, reject.message);
    }
}

#[tokio::test]
async fn each_bad_file_alone_gets_a_reject_with_its_code() {
    let mut world = World::with(LIMITS).await;
    for bad in bad() {
        let outcome = world.embed(&format!("photos/Kiwi/{}", bad.name), bad.bytes.clone()).await;
        assert_rejected(&world, &bad, &outcome).await;
    }
    assert_eq!(world.results("embeddings/").await.len(), 0);
    let rejected = world.snapshot().await.rejected;
    assert_eq!(rejected.values().sum::<u64>(), bad().len() as u64);
    assert_eq!(rejected[&RejectCode::Truncated], 2);
}

#[tokio::test]
async fn a_bad_file_does_not_cost_the_good_ones_of_its_batch() {
    let mut world = World::with(LIMITS).await;
    for (number, bad) in (0..).zip(bad()) {
        world.put(&format!("photos/Kiwi/{number}-before.png"), photo(2 * number)).await;
        world.put(&format!("photos/Kiwi/{}", bad.name), bad.bytes.clone()).await;
        world.put(&format!("photos/Kiwi/{number}-after.png"), photo(2 * number + 1)).await;
        let outcomes = world.ingest_told().await;
        let [Outcome::Embedded { part: before, .. }, rejected, Outcome::Embedded { part: after, .. }] =
            outcomes.as_slice()
        else {
            panic!("{}: {outcomes:?}", bad.name)
        };
        assert_eq!(before, after, "one part");
        assert_rejected(&world, &bad, rejected).await;
    }
    assert_eq!(world.current().await.len(), 2 * bad().len());
}

#[tokio::test]
async fn all_bad_files_in_one_batch_leave_the_good_ones_alone() {
    let mut world = World::with(LIMITS).await;
    for bad in bad() {
        world.put(&format!("photos/Kiwi/{}", bad.name), bad.bytes.clone()).await;
    }
    for number in 0..5 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    let outcomes = world.ingest_told().await;
    for (bad, outcome) in bad().iter().zip(&outcomes) {
        assert_rejected(&world, bad, outcome).await;
    }
    assert_eq!(world.current().await.len(), 5);
}

#[tokio::test]
async fn every_format_is_embedded_by_its_content_whatever_its_name() {
    let mut world = World::start().await;
    let formats = [
        ("gif.png", ImageFormat::Gif),
        ("webp.jpg", ImageFormat::WebP),
        ("bmp", ImageFormat::Bmp),
        ("tiff.txt", ImageFormat::Tiff),
        ("png.jpg", ImageFormat::Png),
        ("jpeg.png", ImageFormat::Jpeg),
    ];
    for (name, format) in formats {
        world.put(&format!("photos/Kiwi/{name}"), encoded(&picture(7), format)).await;
    }
    let outcomes = world.ingest_told().await;
    assert!(outcomes.iter().all(|it| matches!(it, Outcome::Embedded { .. })), "{outcomes:?}");
    let current = world.current().await;
    for name in ["webp.jpg", "bmp", "tiff.txt"] {
        let exact = &current["photos/Kiwi/png.jpg"].embedding;
        assert_eq!(&current[&format!("photos/Kiwi/{name}")].embedding, exact, "{name}");
    }
    assert!(current.values().all(|row| (row.width, row.height) == (16, 16)));
}

#[tokio::test]
async fn a_picture_of_one_pixel_is_a_picture() {
    let mut world = World::start().await;
    let pixel = image::RgbImage::from_pixel(1, 1, image::Rgb([10, 20, 30]));
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put("photos/Kiwi/pixel.png", encoded(&pixel, ImageFormat::Png)).await;
    world.put("photos/Kiwi/1.png", photo(1)).await;
    assert!(world.ingest_told().await.iter().all(|it| matches!(it, Outcome::Embedded { .. })));
    let row = &world.current().await["photos/Kiwi/pixel.png"];
    assert_eq!((row.width, row.height), (1, 1));
    // Every mean over the toy's groups of six samples is that of the one pixel.
    assert!(row.embedding.iter().all(|&number| number == 20.0), "{:?}", row.embedding);
}
