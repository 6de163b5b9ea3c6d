//! Failures that are not the photo's fault are retried or stop the batch, but never reject a photo.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fruitvec::contract::event::{Change, Delivery};
use fruitvec::contract::limits::Limits;
use fruitvec::error::{Disposition, Error};
use fruitvec::ingest::DeliveryOutcome;
use fruitvec::s3::Store;
use fruitvec_embedded_s3::{Credentials, client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::world::{PHOTOS, RESULTS, World, encode, ingest, photo};

/// A proxy between client and server that injects faults.
struct FaultProxy {
    address: SocketAddr,
    faults: Arc<Faults>,
}

struct Faults {
    /// A connection is cut once it has received more than this many bytes from the server.
    cut_after: AtomicU64,
    /// Number of further connections that get a 503 instead of reaching the server.
    refused: AtomicU64,
    /// Bytes received from the server on all connections.
    received: AtomicU64,
}

impl FaultProxy {
    async fn to(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = world.server.endpoint().trim_start_matches("http://").to_owned();
        let faults = Arc::new(Faults {
            cut_after: AtomicU64::new(u64::MAX),
            refused: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        let proxy = Self { address, faults: Arc::clone(&faults) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, faults) = (server.clone(), Arc::clone(&faults));
                // Errors are expected, because connections are cut on purpose.
                tokio::spawn(async move { _ = faults.relay(stream, &server).await });
            }
        });
        proxy
    }

    fn store(&self, world: &World) -> Store {
        Store::new(client(&format!("http://{}", self.address), world.server.credentials()))
    }
}

impl Faults {
    /// Relays one connection to the server.
    async fn relay(&self, mut client: TcpStream, server: &str) -> io::Result<()> {
        let refused = self.refused.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if refused.is_ok() {
            // The request must be read, or closing the socket would reset the connection.
            _ = client.read(&mut [0; 64 << 10]).await?;
            let response = b"HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            return client.write_all(response).await;
        }
        let mut server = TcpStream::connect(server).await?;
        let (mut client_read, mut client_write) = client.split();
        let (mut server_read, mut server_write) = server.split();
        let responses = async {
            let (mut buffer, mut received) = (vec![0; 16 << 10], 0);
            loop {
                let read = server_read.read(&mut buffer).await?;
                received += read as u64;
                self.received.fetch_add(read as u64, Ordering::Relaxed);
                if read == 0 || received > self.cut_after.load(Ordering::Relaxed) {
                    return Ok(());
                }
                client_write.write_all(&buffer[..read]).await?;
            }
        };
        tokio::select! {
            ended = responses => ended,
            ended = tokio::io::copy(&mut client_read, &mut server_write) => ended.map(drop),
        }
    }
}

/// A creation event.
fn created(key: &str) -> Delivery {
    let at = time::OffsetDateTime::now_utc();
    Delivery { bucket: PHOTOS.into(), key: key.into(), change: Change::Created, at, attempts: 1 }
}

#[track_caller]
fn failure(outcome: &DeliveryOutcome) -> &Error {
    let DeliveryOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
    error
}

/// The beginning of a photo looks like a truncated photo. A reject for it would lose the photo.
#[tokio::test]
async fn a_body_that_is_cut_off_is_retried_and_not_rejected() {
    let mut world = World::start().await;
    let large =
        image::RgbImage::from_fn(400, 400, |x, y| image::Rgb([x as u8, (x * y) as u8, (y * y) as u8]));
    let large = encode(&large, image::ImageFormat::Bmp);
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put("photos/Kiwi/large.bmp", large).await;
    world.put("photos/Kiwi/1.png", photo(1)).await;
    let batch = world.pending_deliveries();
    let proxy = FaultProxy::to(&world).await;
    proxy.faults.cut_after.store(200_000, Ordering::Relaxed);
    let ingest = ingest(&proxy.store(&world), Limits::default());

    let outcomes = ingest.ingest(&batch).await;
    let [DeliveryOutcome::Embedded { .. }, cut, DeliveryOutcome::Embedded { .. }] = outcomes.as_slice()
    else {
        panic!("{outcomes:?}")
    };
    let error = failure(cut);
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    assert!(error.to_string().contains("photos/Kiwi/large.bmp"), "{error}");
    assert_eq!(world.result_objects("rejects/").await.len(), 0);

    proxy.faults.cut_after.store(u64::MAX, Ordering::Relaxed);
    let again = ingest.ingest(&batch[1..2]).await;
    assert!(matches!(again[0], DeliveryOutcome::Embedded { .. }), "{again:?}");
    assert_eq!(world.snapshot().await.rows(), 3);
}

#[tokio::test]
async fn a_photo_is_retried_when_s3_stays_too_busy() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    let batch = world.pending_deliveries();
    let proxy = FaultProxy::to(&world).await;
    let ingest = ingest(&proxy.store(&world), Limits::default());

    // The SDK makes three attempts.
    proxy.faults.refused.store(3, Ordering::Relaxed);
    let outcomes = ingest.ingest(&batch).await;
    assert_eq!(failure(&outcomes[0]).disposition(), Disposition::Retry);
    let outcomes = ingest.ingest(&batch).await;
    assert!(matches!(outcomes[0], DeliveryOutcome::Embedded { .. }), "{outcomes:?}");
}

#[tokio::test]
async fn the_body_of_a_photo_over_the_byte_limit_is_not_fetched() {
    const SIZE: u64 = 64 << 20;
    let world = World::start().await;
    let key = "photos/Kiwi/large.jpg";
    std::fs::create_dir_all(world.photo_file(key).parent().unwrap()).unwrap();
    std::fs::File::create(world.photo_file(key)).unwrap().set_len(SIZE).unwrap();
    let proxy = FaultProxy::to(&world).await;
    let outcomes = ingest(&proxy.store(&world), Limits::default()).ingest(&[created(key)]).await;
    let DeliveryOutcome::Rejected { photo, rejection, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!((photo.size_bytes, rejection.code.as_str()), (SIZE, "too_many_bytes"));
    // Socket buffers hold a few megabytes that ingest never reads.
    let received = proxy.faults.received.load(Ordering::Relaxed);
    assert!(received < SIZE / 4, "{received} bytes were fetched");
}

#[tokio::test]
async fn a_photo_is_retried_when_s3_is_down() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    let batch = world.pending_deliveries();
    let World { server, ingest, data: _data, .. } = world;
    drop(server);
    let outcomes = ingest.ingest(&batch).await;
    let error = failure(&outcomes[0]);
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
}

#[tokio::test]
async fn a_missing_results_bucket_is_fatal() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    world.put("photos/Kiwi/bad.png", "no photo").await;
    world.client.delete_bucket().bucket(RESULTS).send().await.unwrap();
    for outcome in world.ingest_pending().await {
        let error = failure(&outcome);
        assert_eq!(error.disposition(), Disposition::Fatal, "{error}");
        assert!(error.to_string().contains(&format!("s3://{RESULTS}/")), "{error}");
    }
}

/// A 403 may concern a single object, or a role that is being changed. If it persists, the delivery
/// ends in the dead-letter queue.
#[tokio::test]
async fn a_photo_is_retried_when_credentials_are_rejected() {
    let mut world = World::start().await;
    world.put("photos/Kiwi/0.png", photo(0)).await;
    let batch = world.pending_deliveries();
    let wrong = Credentials { secret_access_key: "wrong".into(), ..world.server.credentials().clone() };
    let store = Store::new(client(&world.server.endpoint(), &wrong));
    let outcomes = ingest(&store, Limits::default()).ingest(&batch).await;
    let error = failure(&outcomes[0]);
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
}
