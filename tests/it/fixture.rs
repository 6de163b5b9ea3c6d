//! What the tests of ingest and refit stand on: a folder with the embedded S3, and a model small enough to be worked out
//! by hand.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Intercept;
use aws_sdk_s3::config::retry::RetryConfig;
use fruitvec::embed::Embedder;
use fruitvec::error::Result;
use fruitvec::event::{self, Delivery};
use fruitvec::ingest::{Ingest, Outcome};
use fruitvec::local::Server;
use fruitvec::model::{DEFAULT_MODEL, ModelCard};
use fruitvec::photo::Photo;
use fruitvec::pixels::{Filter, Fit, Limits, Square};
use fruitvec::reject::Reject;
use fruitvec::snapshot::Snapshot;
use fruitvec::store::Store;
use fruitvec::table::{Encoded, Row};
use image::{ImageFormat, RgbImage};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedReceiver;

/// The bucket of the photos.
pub(crate) const PHOTOS: &str = "photos";
/// The bucket of what is made of them.
pub(crate) const RESULTS: &str = "results";
/// Threads that embed: several, so that photos meet each other.
const THREADS: usize = 4;
/// The colour that [`Toy`] can't stand.
const POISON: [u8; 3] = [255, 0, 254];

/// A model without a network: means over the square, as many as an embedding has numbers. It panics at a square of
/// [`POISON`], as a decoder with a bug would.
pub(crate) struct Toy(ModelCard);

impl Toy {
    pub(crate) const DIMENSION: usize = 32;
    const SIDE: u32 = 8;

    pub(crate) fn new() -> Self {
        let mut card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
        card.id = "toy".into();
        card.dimension = Self::DIMENSION;
        card.input.side = Self::SIDE;
        card.input.fit = Fit::Stretch;
        card.input.filter = Filter::Bilinear;
        Self(card)
    }
}

impl Embedder for Toy {
    fn card(&self) -> &ModelCard {
        &self.0
    }

    fn engine(&self) -> &str {
        "by hand"
    }

    fn embed(&self, square: &Square) -> Result<Vec<f32>> {
        assert!(!square.rgb().chunks_exact(3).all(|pixel| pixel == POISON), "poison");
        let numbers = square.rgb().chunks_exact(square.rgb().len() / Self::DIMENSION);
        let mean = |some: &[u8]| some.iter().map(|&it| f32::from(it)).sum::<f32>() / some.len() as f32;
        Ok(numbers.map(mean).collect())
    }
}

/// One embedded S3 with both buckets, and the ingest that writes to it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) ingest: Ingest,
    told: UnboundedReceiver<String>,
    // Last: the folder outlives the server.
    pub(crate) data: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), 0).await.unwrap();
        let client = server.client();
        for bucket in [PHOTOS, RESULTS] {
            client.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let told = server.subscribe(PHOTOS);
        let store = Store::new(client.clone());
        let ingest = ingest(&store, limits);
        Self { server, client, store, ingest, told, data }
    }

    /// Its S3, each call seen by this one, and none made twice.
    pub(crate) fn intercepted(&self, by: impl Intercept + 'static) -> Store {
        let config = self.client.config().to_builder().retry_config(RetryConfig::disabled());
        Store::new(Client::from_conf(config.interceptor(by).build()))
    }

    pub(crate) async fn put(&self, key: &str, bytes: impl Into<bytes::Bytes>) {
        self.store.put(PHOTOS, key, "application/octet-stream", bytes).await.unwrap();
    }

    /// A put that S3 dates so.
    pub(crate) async fn put_at(&self, key: &str, bytes: impl Into<bytes::Bytes>, at: OffsetDateTime) {
        self.put(key, bytes).await;
        let file = fs::File::options().write(true).open(self.file(key)).unwrap();
        let seconds = Duration::from_secs(at.unix_timestamp().unsigned_abs());
        file.set_modified(SystemTime::UNIX_EPOCH + seconds).unwrap();
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.client.delete_object().bucket(PHOTOS).key(key).send().await.unwrap();
    }

    /// What S3 has told since it was last asked.
    pub(crate) fn told(&mut self) -> Vec<Delivery> {
        let mut told = Vec::new();
        while let Ok(document) = self.told.try_recv() {
            told.extend(event::deliveries(&document).unwrap());
        }
        told
    }

    /// Ingests, as one batch, what S3 has told since it was last asked.
    pub(crate) async fn ingest_told(&mut self) -> Vec<Outcome> {
        let told = self.told();
        self.ingest.ingest(&told).await
    }

    /// Puts a photo and ingests it alone.
    pub(crate) async fn embed(&mut self, key: &str, bytes: impl Into<bytes::Bytes>) -> Outcome {
        self.put(key, bytes).await;
        let mut outcomes = self.ingest_told().await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.store, RESULTS, &self.ingest.card().id).await.unwrap()
    }

    /// The current rows, by key.
    pub(crate) async fn current(&self) -> BTreeMap<String, Row> {
        let mut current = BTreeMap::new();
        for part in self.snapshot().await.parts {
            let object = part.part.embeddings_key();
            let rows = Encoded::new(&object, self.store.get(RESULTS, &object).await.unwrap()).rows().unwrap();
            for (number, row) in (0..).zip(rows) {
                if !part.dead.contains(&number) {
                    assert!(
                        current.insert(row.photo.key.clone(), row).is_none(),
                        "two current rows of a key"
                    );
                }
            }
        }
        current
    }

    /// The reject of a photo, from the place where the contract has it.
    pub(crate) async fn reject(&self, photo: &Photo) -> Reject {
        let (date, id) = (photo.date(), photo.id());
        let key = format!("rejects/model=toy/date={date}/{id}.json");
        Reject::parse(&key, &self.store.get(RESULTS, &key).await.unwrap()).unwrap()
    }

    /// Keys and bytes of the results below a prefix.
    pub(crate) async fn results(&self, prefix: &str) -> BTreeMap<String, bytes::Bytes> {
        let mut keys = Vec::new();
        let note = |object: fruitvec::store::Listed| {
            keys.push(object.key);
            Ok(())
        };
        self.store.list(RESULTS, prefix, note).await.unwrap();
        let mut objects = BTreeMap::new();
        for key in keys {
            let bytes = self.store.get(RESULTS, &key).await.unwrap();
            objects.insert(key, bytes);
        }
        objects
    }

    /// The file of a photo, whose key must be one that a file system can hold as it is.
    pub(crate) fn file(&self, key: &str) -> PathBuf {
        self.data.path().join(PHOTOS).join(key)
    }
}

/// An ingest with the toy.
pub(crate) fn ingest(store: &Store, limits: Limits) -> Ingest {
    Ingest::new(store.clone(), RESULTS, Arc::new(Toy::new()), limits, THREADS)
}

/// A picture of noise: no two numbers give the same.
pub(crate) fn picture(number: u32) -> RgbImage {
    let mut state = u64::from(number) + 1;
    RgbImage::from_fn(16, 16, |_, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [.., r, g, b] = state.to_le_bytes();
        image::Rgb([r, g, b])
    })
}

/// A good photo: a PNG of [`picture`].
pub(crate) fn photo(number: u32) -> Vec<u8> {
    encoded(&picture(number), ImageFormat::Png)
}

/// A photo that [`Toy`] panics at.
pub(crate) fn poison() -> Vec<u8> {
    encoded(&RgbImage::from_pixel(4, 4, image::Rgb(POISON)), ImageFormat::Png)
}

pub(crate) fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
