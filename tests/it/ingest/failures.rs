//! What is not the photo's fault: it is tried again, or stops everything, but never becomes a reject.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fruitvec::error::{Disposition, Error};
use fruitvec::event::{Change, Delivery};
use fruitvec::ingest::Outcome;
use fruitvec::local::{Credentials, client};
use fruitvec::pixels::Limits;
use fruitvec::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{PHOTOS, RESULTS, World, encoded, ingest, photo};

/// Stands between client and server, and breaks what it is told to break.
struct Wire {
    address: SocketAddr,
    faults: Arc<Faults>,
}

struct Faults {
    /// A connection that has brought more than so many bytes is cut.
    cut_after: AtomicU64,
    /// Requests that are answered 503 before they reach the server.
    refused: AtomicU64,
    /// Bytes that came from the server, on all connections.
    brought: AtomicU64,
}

impl Wire {
    async fn to(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = world.server.endpoint().trim_start_matches("http://").to_owned();
        let faults = Arc::new(Faults {
            cut_after: AtomicU64::new(u64::MAX),
            refused: AtomicU64::new(0),
            brought: AtomicU64::new(0),
        });
        let wire = Self { address, faults: Arc::clone(&faults) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, faults) = (server.clone(), Arc::clone(&faults));
                // A cut connection is what this is for.
                tokio::spawn(async move { _ = faults.carry(stream, &server).await });
            }
        });
        wire
    }

    fn store(&self, world: &World) -> Store {
        Store::new(client(&format!("http://{}", self.address), world.server.credentials()))
    }
}

impl Faults {
    async fn carry(&self, mut near: TcpStream, server: &str) -> io::Result<()> {
        let refused = self.refused.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if refused.is_ok() {
            // What it asks does not matter.
            _ = near.read(&mut [0; 64 << 10]).await?;
            let answer = b"HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            return near.write_all(answer).await;
        }
        let mut far = TcpStream::connect(server).await?;
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        let down = async {
            let (mut buffer, mut brought) = (vec![0; 16 << 10], 0);
            loop {
                let read = far_read.read(&mut buffer).await?;
                brought += read as u64;
                self.brought.fetch_add(read as u64, Ordering::Relaxed);
                if read == 0 || brought > self.cut_after.load(Ordering::Relaxed) {
                    return Ok(());
                }
                near_write.write_all(&buffer[..read]).await?;
            }
        };
        tokio::select! {
            ended = down => ended,
            ended = tokio::io::copy(&mut near_read, &mut far_write) => ended.map(drop),
        }
    }
}

fn created(key: &str) -> Delivery {
    let at = time::OffsetDateTime::now_utc();
    Delivery { bucket: PHOTOS.into(), key: key.into(), change: Change::Created, at }
}

#[track_caller]
fn failure(outcome: &Outcome) -> &Error {
    let Outcome::Failed(error) = outcome else { panic!("{outcome:?}") };
    error
}

/// A photo of which a client sees only the beginning looks like a truncated one. Rejected for that, it would be lost.
#[tokio::test]
async fn a_body_cut_off_half_way_is_tried_again_and_no_reject() {
    let mut world = World::start().await;
    let large =
        image::RgbImage::from_fn(400, 400, |x, y| image::Rgb([x as u8, (x * y) as u8, (y * y) as u8]));
    let large = encoded(&large, image::ImageFormat::Bmp);
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put("photos/Kiwi/large.bmp", large).await;
    world.put("photos/Kiwi/1.png", photo(1)).await;
    let batch = world.told();
    let wire = Wire::to(&world).await;
    wire.faults.cut_after.store(200_000, Ordering::Relaxed);
    let ingest = ingest(&wire.store(&world), Limits::default());

    let outcomes = ingest.ingest(&batch).await;
    let [Outcome::Embedded { .. }, cut, Outcome::Embedded { .. }] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    let error = failure(cut);
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    assert!(error.to_string().contains("photos/Kiwi/large.bmp"), "{error}");
    assert_eq!(world.results("rejects/").await.len(), 0);

    wire.faults.cut_after.store(u64::MAX, Ordering::Relaxed);
    let again = ingest.ingest(&batch[1..2]).await;
    assert!(matches!(again[0], Outcome::Embedded { .. }), "{again:?}");
    assert_eq!(world.snapshot().await.rows(), 3);
}

#[tokio::test]
async fn an_s3_that_is_too_busy_for_long_is_tried_again_later() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    let batch = world.told();
    let wire = Wire::to(&world).await;
    let ingest = ingest(&wire.store(&world), Limits::default());

    // The SDK tries three times by itself.
    wire.faults.refused.store(3, Ordering::Relaxed);
    let outcomes = ingest.ingest(&batch).await;
    assert_eq!(failure(&outcomes[0]).disposition(), Disposition::Retry);
    let outcomes = ingest.ingest(&batch).await;
    assert!(matches!(outcomes[0], Outcome::Embedded { .. }), "{outcomes:?}");
}

#[tokio::test]
async fn of_a_photo_over_the_byte_limit_the_body_is_not_fetched() {
    const SIZE: u64 = 64 << 20;
    let world = World::start().await;
    let key = "photos/Kiwi/large.jpg";
    std::fs::create_dir_all(world.file(key).parent().unwrap()).unwrap();
    std::fs::File::create(world.file(key)).unwrap().set_len(SIZE).unwrap();
    let wire = Wire::to(&world).await;
    let outcomes = ingest(&wire.store(&world), Limits::default()).ingest(&[created(key)]).await;
    let Outcome::Rejected { photo, rejection, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!((photo.size_bytes, rejection.code.as_str()), (SIZE, "too_many_bytes"));
    // Sockets hold a few megabytes that nobody asked for.
    let brought = wire.faults.brought.load(Ordering::Relaxed);
    assert!(brought < SIZE / 4, "{brought} bytes were fetched");
}

#[tokio::test]
async fn an_s3_that_is_down_is_tried_again_later() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    let batch = world.told();
    let World { server, ingest, data: _data, .. } = world;
    drop(server);
    let outcomes = ingest.ingest(&batch).await;
    let error = failure(&outcomes[0]);
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
}

#[tokio::test]
async fn a_results_bucket_that_is_missing_stops_everything() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put("photos/Kiwi/bad.png", "no photo").await;
    world.client.delete_bucket().bucket(RESULTS).send().await.unwrap();
    for outcome in world.ingest_told().await {
        let error = failure(&outcome);
        assert_eq!(error.disposition(), Disposition::Fatal, "{error}");
        assert!(error.to_string().contains(&format!("s3://{RESULTS}/")), "{error}");
    }
}

/// A 403 can be one object's, or a role's that is just being changed: the queue gives up on it in the end.
#[tokio::test]
async fn credentials_that_are_refused_are_tried_again_later() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    let batch = world.told();
    let wrong = Credentials { secret_access_key: "wrong".into(), ..world.server.credentials().clone() };
    let store = Store::new(client(&world.server.endpoint(), &wrong));
    let outcomes = ingest(&store, Limits::default()).ingest(&batch).await;
    let error = failure(&outcomes[0]);
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
}
