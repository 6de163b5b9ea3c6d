//! A folder with the embedded S3, and an ingest whose embeddings can be computed by hand.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Intercept;
use aws_sdk_s3::config::retry::RetryConfig;
use fruitvec::contract::event::{self, Delivery};
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{DEFAULT_MODEL, Filter, ModelCard, ResizeMode};
use fruitvec::contract::photo::Photo;
use fruitvec::embed::Embedder;
use fruitvec::error::Result;
use fruitvec::image::InputImage;
use fruitvec::ingest::{DeliveryOutcome, Ingest};
use fruitvec::s3::Store;
use fruitvec::table::reject::Reject;
use fruitvec::table::{Row, Snapshot};
use fruitvec_embedded_s3::Server;
use image::{ImageFormat, RgbImage};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::results;

/// The bucket of the photos.
pub(crate) const PHOTOS: &str = "photos";
/// The bucket of the results.
pub(crate) const RESULTS: &str = "results";
/// Several, so that photos are embedded concurrently.
const THREADS: usize = 4;
/// The colour that makes [`ToyEmbedder`] panic.
const PANIC_COLOUR: [u8; 3] = [255, 0, 254];

/// A model without a network. Each number of an embedding is the mean of some samples.
///
/// It panics at an image of [`PANIC_COLOUR`], like a decoder with a bug.
pub(crate) struct ToyEmbedder(ModelCard);

impl ToyEmbedder {
    pub(crate) const DIMENSION: usize = 32;
    const SIDE: u32 = 8;

    pub(crate) fn new() -> Self {
        let mut card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
        card.id = "toy".into();
        card.dimension = Self::DIMENSION;
        card.input.side = Self::SIDE;
        card.input.fit = ResizeMode::Stretch;
        card.input.filter = Filter::Bilinear;
        Self(card)
    }
}

impl Embedder for ToyEmbedder {
    fn card(&self) -> &ModelCard {
        &self.0
    }

    fn engine(&self) -> &str {
        "by hand"
    }

    fn embed(&self, image: &InputImage) -> Result<Vec<f32>> {
        assert!(!image.rgb().chunks_exact(3).all(|pixel| pixel == PANIC_COLOUR), "poison");
        let groups = image.rgb().chunks_exact(image.rgb().len() / Self::DIMENSION);
        let mean =
            |samples: &[u8]| samples.iter().map(|&it| f32::from(it)).sum::<f32>() / samples.len() as f32;
        Ok(groups.map(mean).collect())
    }
}

/// An embedded S3 with both buckets, and an ingest that writes to it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) ingest: Ingest,
    notifications: UnboundedReceiver<String>,
    // Fields drop in order, and the server must stop before its folder is deleted.
    pub(crate) data: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), 0).await.unwrap();
        let client = server.client();
        for bucket in [PHOTOS, RESULTS] {
            client.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let notifications = server.subscribe(PHOTOS);
        let store = Store::new(client.clone());
        let ingest = ingest(&store, limits);
        Self { server, client, store, ingest, notifications, data }
    }

    /// Returns a store whose calls pass through an interceptor and are never retried.
    pub(crate) fn intercepted(&self, by: impl Intercept + 'static) -> Store {
        let config = self.client.config().to_builder().retry_config(RetryConfig::disabled());
        Store::new(Client::from_conf(config.interceptor(by).build()))
    }

    pub(crate) async fn put(&self, key: &str, bytes: impl Into<bytes::Bytes>) {
        self.store.put(PHOTOS, key, "application/octet-stream", bytes).await.unwrap();
    }

    /// Puts a photo, then sets its `last_modified`.
    pub(crate) async fn put_dated(&self, key: &str, bytes: impl Into<bytes::Bytes>, at: OffsetDateTime) {
        self.put(key, bytes).await;
        let file = fs::File::options().write(true).open(self.photo_file(key)).unwrap();
        let seconds = Duration::from_secs(at.unix_timestamp().unsigned_abs());
        file.set_modified(SystemTime::UNIX_EPOCH + seconds).unwrap();
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.client.delete_object().bucket(PHOTOS).key(key).send().await.unwrap();
    }

    /// Takes the deliveries that have arrived since the last call.
    pub(crate) fn pending_deliveries(&mut self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while let Ok(document) = self.notifications.try_recv() {
            deliveries.extend(event::deliveries(&document).unwrap());
        }
        deliveries
    }

    /// Ingests the pending deliveries as one batch.
    pub(crate) async fn ingest_pending(&mut self) -> Vec<DeliveryOutcome> {
        let deliveries = self.pending_deliveries();
        self.ingest.ingest(&deliveries).await
    }

    /// Puts a photo and ingests it alone.
    pub(crate) async fn put_and_ingest(
        &mut self,
        key: &str,
        bytes: impl Into<bytes::Bytes>,
    ) -> DeliveryOutcome {
        self.put(key, bytes).await;
        let mut outcomes = self.ingest_pending().await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.store, RESULTS, &self.ingest.card().id).await.unwrap()
    }

    /// Returns the current rows by key.
    pub(crate) async fn current_rows(&self) -> BTreeMap<String, Row> {
        results::current_rows(&self.store, &self.ingest.card().id).await
    }

    /// Reads the reject of a photo from the key that the contract defines.
    pub(crate) async fn reject(&self, photo: &Photo) -> Reject {
        let (date, id) = (photo.date(), photo.id());
        let key = format!("rejects/model=toy/date={date}/{id}.json");
        Reject::parse(&key, &self.store.get(RESULTS, &key).await.unwrap()).unwrap()
    }

    /// Returns the objects of the results bucket below a prefix, by key.
    pub(crate) async fn result_objects(&self, prefix: &str) -> BTreeMap<String, bytes::Bytes> {
        results::objects(&self.store, prefix).await
    }

    /// Returns the file of a photo, whose key must need no encoding as a path.
    pub(crate) fn photo_file(&self, key: &str) -> PathBuf {
        self.data.path().join(PHOTOS).join(key)
    }
}

/// An ingest with the [`ToyEmbedder`].
pub(crate) fn ingest(store: &Store, limits: Limits) -> Ingest {
    Ingest::new(store.clone(), RESULTS, Arc::new(ToyEmbedder::new()), limits, THREADS)
}

/// An image of noise that is different for each seed.
pub(crate) fn noise_image(seed: u32) -> RgbImage {
    let mut state = u64::from(seed) + 1;
    RgbImage::from_fn(16, 16, |_, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [.., r, g, b] = state.to_le_bytes();
        image::Rgb([r, g, b])
    })
}

/// A valid photo: [`noise_image`] as PNG.
pub(crate) fn photo(seed: u32) -> Vec<u8> {
    encode(&noise_image(seed), ImageFormat::Png)
}

/// A photo that makes [`ToyEmbedder`] panic.
pub(crate) fn panicking_photo() -> Vec<u8> {
    encode(&RgbImage::from_pixel(4, 4, image::Rgb(PANIC_COLOUR)), ImageFormat::Png)
}

pub(crate) fn encode(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
