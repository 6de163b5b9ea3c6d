//! Files that cannot be embedded are rejected, alone or within a batch of valid photos.

use std::time::Duration;

use fruitvec::contract::limits::Limits;
use fruitvec::ingest::DeliveryOutcome;
use fruitvec::rejection::RejectCode;
use fruitvec_sample_photos::{Kind, paint};
use image::ImageFormat;

use super::png;
use crate::support::world::{World, encode, noise_image, panicking_photo, photo};

/// Few enough bytes for a test to exceed them, but enough for all other cases.
const LIMITS: Limits =
    Limits { bytes: 64 << 10, pixels: 64_000_000, decoded_bytes: 128 << 20, time: Duration::MAX };

/// A file that cannot be embedded, with the code and some words of its reject.
struct BadFile {
    name: &'static str,
    bytes: Vec<u8>,
    code: RejectCode,
    words: &'static [&'static str],
}

impl BadFile {
    fn key(&self) -> String {
        format!("photos/Kiwi/{}", self.name)
    }
}

fn bad_files() -> Vec<BadFile> {
    use RejectCode::{
        Corrupt, DecodedTooLarge, Empty, NotAnImage, Panicked, TooManyBytes, TooManyPixels, Truncated,
        UnsupportedFormat,
    };
    let jpeg = encode(&paint(Kind::Kiwi, 0, 48), ImageFormat::Jpeg);
    let mut corrupt = photo(1);
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xFF;
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08mdat".to_vec();
    let bad = |name, bytes, code, words| BadFile { name, bytes, code, words };
    vec![
        bad("empty.jpg", Vec::new(), Empty, &["0 bytes"]),
        bad("text.jpg", b"Dear customer, your fruit is on its way.\n".to_vec(), NotAnImage, &["text"]),
        bad("half.jpg", jpeg[..jpeg.len() / 2].to_vec(), Truncated, &[]),
        bad("half.png", photo(2)[..300].to_vec(), Truncated, &[]),
        bad("corrupt.png", corrupt, Corrupt, &[]),
        bad("bomb.png", png::head(60_000, 60_000, 8), TooManyPixels, &["60000×60000", "64000000"]),
        bad(
            "large.png",
            [png::head(8_000, 8_000, 16), photo(3)[33..].to_vec()].concat(),
            DecodedTooLarge,
            &["8000×8000", "134217728"],
        ),
        bad("long.jpg", vec![0xFF; (64 << 10) + 1], TooManyBytes, &["65537 bytes", "65536"]),
        bad("phone.heic", heic, UnsupportedFormat, &["HEIC", "JPEG"]),
        bad("poison.png", panicking_photo(), Panicked, &["embedding panicked;", "report it"]),
    ]
}

async fn assert_rejected(world: &World, bad: &BadFile, outcome: &DeliveryOutcome) {
    let DeliveryOutcome::Rejected { photo, rejection, .. } = outcome else {
        panic!("{}: {outcome:?}", bad.name)
    };
    assert_eq!(rejection.code, bad.code, "{}: {rejection}", bad.name);
    let reject = world.reject(photo).await;
    assert_eq!(reject.code, bad.code);
    assert_eq!(&reject.photo, photo);
    assert_eq!(reject.photo.size_bytes, bad.bytes.len() as u64);
    assert_eq!(reject.photo_id, photo.id().to_string());
    assert_eq!(reject.message, rejection.message);
    for words in bad.words {
        assert!(reject.message.contains(words), "{}: {}", bad.name, reject.message);
    }
}

#[tokio::test]
async fn each_bad_file_alone_gets_a_reject_with_its_code() {
    let mut world = World::with_limits(LIMITS).await;
    for bad in bad_files() {
        let outcome = world.put_and_ingest(&bad.key(), bad.bytes.clone()).await;
        assert_rejected(&world, &bad, &outcome).await;
    }
    assert_eq!(world.result_objects("embeddings/").await.len(), 0);
    let rejected = world.snapshot().await.rejected;
    assert_eq!(rejected.values().sum::<u64>(), bad_files().len() as u64);
    assert_eq!(rejected[&RejectCode::Truncated], 2);
}

#[tokio::test]
async fn a_bad_file_does_not_affect_the_valid_photos_of_its_batch() {
    use DeliveryOutcome::Embedded;
    let mut world = World::with_limits(LIMITS).await;
    for (number, bad) in (0..).zip(bad_files()) {
        world.put(&format!("photos/Kiwi/{number}-before.png"), photo(2 * number)).await;
        world.put(&bad.key(), bad.bytes.clone()).await;
        world.put(&format!("photos/Kiwi/{number}-after.png"), photo(2 * number + 1)).await;
        let outcomes = world.ingest_pending().await;
        let [Embedded { part: before, .. }, rejected, Embedded { part: after, .. }] = outcomes.as_slice()
        else {
            panic!("{}: {outcomes:?}", bad.name)
        };
        assert_eq!(before, after, "one part");
        assert_rejected(&world, &bad, rejected).await;
    }
    assert_eq!(world.current_rows().await.len(), 2 * bad_files().len());
}

#[tokio::test]
async fn all_bad_files_in_one_batch_do_not_affect_the_valid_photos() {
    let mut world = World::with_limits(LIMITS).await;
    for bad in bad_files() {
        world.put(&bad.key(), bad.bytes.clone()).await;
    }
    for number in 0..5 {
        world.put(&format!("photos/Kiwi/{number}.png"), photo(number)).await;
    }
    let outcomes = world.ingest_pending().await;
    for (bad, outcome) in bad_files().iter().zip(&outcomes) {
        assert_rejected(&world, bad, outcome).await;
    }
    assert_eq!(world.current_rows().await.len(), 5);
}

/// Only the formats that the upload function presigns reach a decoder, whatever the name says.
#[tokio::test]
async fn under_uploads_only_jpeg_png_and_webp_are_decoded() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let mut world = World::start().await;
    for (number, format) in [Jpeg, Png, WebP, Bmp, Gif, Tiff].into_iter().enumerate() {
        world.put(&format!("uploads/2026-11-28/{number}.jpg"), encode(&noise_image(7), format)).await;
    }
    let outcomes = world.ingest_pending().await;
    let (decoded, others) = outcomes.split_at(3);
    assert!(decoded.iter().all(|it| matches!(it, DeliveryOutcome::Embedded { .. })), "{decoded:?}");
    for (outcome, name) in others.iter().zip(["BMP", "GIF", "TIFF"]) {
        let DeliveryOutcome::Rejected { rejection, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
        assert!(rejection.message.contains(&format!("{name} under uploads/")), "{rejection}");
    }
}

#[tokio::test]
async fn the_content_decides_the_format_whatever_the_name() {
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
        world.put(&format!("photos/Kiwi/{name}"), encode(&noise_image(7), format)).await;
    }
    let outcomes = world.ingest_pending().await;
    assert!(outcomes.iter().all(|it| matches!(it, DeliveryOutcome::Embedded { .. })), "{outcomes:?}");
    let current = world.current_rows().await;
    for lossless in ["webp.jpg", "bmp", "tiff.txt"] {
        let expected = &current["photos/Kiwi/png.jpg"].embedding;
        assert_eq!(&current[&format!("photos/Kiwi/{lossless}")].embedding, expected, "{lossless}");
    }
    assert!(current.values().all(|row| (row.width, row.height) == (16, 16)));
}

#[tokio::test]
async fn an_image_of_one_pixel_is_embedded() {
    let mut world = World::start().await;
    let pixel = image::RgbImage::from_pixel(1, 1, image::Rgb([10, 20, 30]));
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put("photos/Kiwi/pixel.png", encode(&pixel, ImageFormat::Png)).await;
    world.put("photos/Kiwi/1.png", photo(1)).await;
    assert!(world.ingest_pending().await.iter().all(|it| matches!(it, DeliveryOutcome::Embedded { .. })));
    let row = &world.current_rows().await["photos/Kiwi/pixel.png"];
    assert_eq!((row.width, row.height), (1, 1));
    // Each number is the mean of six samples, which are two copies of the pixel.
    assert!(row.embedding.iter().all(|&number| number == 20.0), "{:?}", row.embedding);
}
