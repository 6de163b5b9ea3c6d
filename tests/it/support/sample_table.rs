//! Sample photos and a table of them, for comparisons with other programs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fruitvec::batch::pca::FitResult;
use fruitvec::batch::plan::PlanOptions;
use fruitvec::batch::run::Run;
use fruitvec::batch::run_local::run_local;
use fruitvec::config::threads;
use fruitvec::contract::event::Delivery;
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::contract::run::{Job, RunId};
use fruitvec::embed::{self, Embedder};
use fruitvec::image;
use fruitvec::ingest::notification_loop::dispatch;
use fruitvec::ingest::{DeliveryOutcome, Ingest};
use fruitvec::s3::Store;
use fruitvec_embedded_s3::Server;
use fruitvec_sample_photos as sample_photos;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::shared::files_below;
use super::world::{PHOTOS, RESULTS};
use crate::batch::worker_without_photos;

/// A minimal EXIF segment with orientation 6: rotate the image 90° clockwise to display it.
const ROTATED: &[u8] =
    b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

/// A photo, and the label that its row must have.
#[derive(Debug, Clone)]
pub(crate) struct Photo {
    pub(crate) key: String,
    pub(crate) label: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Photo {
    fn new(key: &str, label: Option<&str>, bytes: Vec<u8>) -> Self {
        Self { key: key.to_owned(), label: label.map(str::to_owned), bytes }
    }

    /// The same pixels with [`ROTATED`] in front.
    fn rotated(&self, key: &str, label: Option<&str>) -> Self {
        let (start_of_image, rest) = self.bytes.split_at(2);
        Self::new(key, label, [start_of_image, ROTATED, rest].concat())
    }

    /// Returns width, height and embedding, computed without ingest.
    pub(crate) fn embedded(&self, embedder: &dyn Embedder) -> (u32, u32, Vec<f32>) {
        let input = &embedder.card().input;
        let probed = image::probe(&self.bytes, &Limits::default()).unwrap();
        let image = probed.input_image(input.side, input.fit, input.filter).unwrap();
        (probed.header().width, probed.header().height, embedder.embed(&image).unwrap())
    }

    /// Returns all values of the photo's row except for the times.
    pub(crate) fn expected(&self, embedder: &dyn Embedder) -> Value {
        let (width, height, embedding) = self.embedded(embedder);
        // As float64, so that JSON loses no digit.
        let embedding: Vec<f64> = embedding.into_iter().map(f64::from).collect();
        json!({
            "key": self.key, "label": self.label, "etag": hex::encode(Md5::digest(&self.bytes)),
            "size_bytes": self.bytes.len(), "width": width, "height": height, "embedding": embedding,
        })
    }
}

/// The sample photos, and some with keys that are hard to encode or to sort.
pub(crate) fn photos() -> Vec<Photo> {
    let painted = sample_photos::photos().map(|photo| {
        let (name, bytes) = photo.unwrap();
        let label = name.split('/').next().map(str::to_owned);
        Photo { key: format!("photos/{name}"), label, bytes }
    });
    let mut photos: Vec<_> = painted.collect();
    let again = |number: usize| photos[number].bytes.clone();
    let odd = [
        Photo::new("photos/Apple Red/no. 7 of 9 (a+b) 100%.jpg", Some("Apple Red"), again(0)),
        Photo::new("photos/Pêche de vigne/œil.jpg", Some("Pêche de vigne"), again(21)),
        Photo::new("photos/🍏/🍎.jpg", Some("🍏"), again(42)),
        // Sorts after the emoji in UTF-16, but before it in UTF-8.
        Photo::new("photos/ｶｷ/柿.jpg", Some("ｶｷ"), again(63)),
        Photo::new("uploads/2026-11-23/01KAR3V0Q7.jpg", None, again(84)),
        Photo::new("no folder.jpg", None, again(105)),
        // Stored as 200 × 150 pixels.
        photos[4].rotated("photos/Turned/wide is tall.jpg", Some("Turned")),
    ];
    photos.extend(odd);
    photos
}

/// The bundled model.
pub(crate) fn embedder() -> Arc<dyn Embedder> {
    embed::load(&ModelCard::find(DEFAULT_MODEL, None).unwrap(), None).unwrap()
}

/// An embedded S3, and an ingest with a real model.
pub(crate) struct Table {
    pub(crate) store: Store,
    pub(crate) ingest: Ingest,
    server: Server,
    folder: TempDir,
}

impl Table {
    pub(crate) async fn new(embedder: Arc<dyn Embedder>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), 0).await.unwrap();
        let store = Store::new(server.client());
        for bucket in [PHOTOS, RESULTS] {
            store.client().create_bucket().bucket(bucket).send().await.unwrap();
        }
        let ingest =
            Ingest::new(store.clone(), RESULTS, embedder, Limits::default(), threads(|_| None).unwrap());
        Self { store, ingest, server, folder }
    }

    /// Makes a change, then ingests its notifications. Returns the outcome of each delivery.
    pub(crate) async fn ingest_changes(
        &self,
        change: impl Future<Output = ()>,
    ) -> Vec<(Delivery, DeliveryOutcome)> {
        let notifications = self.server.subscribe(PHOTOS);
        change.await;
        let mut outcomes = Vec::new();
        let on_outcome = |delivery: &Delivery, outcome: &DeliveryOutcome| {
            assert!(!matches!(outcome, DeliveryOutcome::Failed(_)), "{delivery:?}: {outcome:?}");
            outcomes.push((delivery.clone(), outcome.clone()));
        };
        dispatch(notifications, &self.ingest, async {}, on_outcome).await.unwrap();
        outcomes
    }

    pub(crate) async fn put(&self, photo: &Photo) {
        self.store.put(PHOTOS, &photo.key, "image/jpeg", photo.bytes.clone()).await.unwrap();
    }

    /// Puts the photos, and spreads their `last_modified` over five days that start one second
    /// before midnight.
    pub(crate) async fn put_over_days(&self, photos: &[Photo]) {
        for photo in photos {
            self.put(photo).await;
        }
        let midnight = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_454);
        for (number, file) in files_below(&self.folder.path().join(PHOTOS)).iter().enumerate() {
            let seconds = Duration::from_secs(60_000 * (number as u64 % 7));
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_modified(midnight - Duration::from_secs(1) + seconds).unwrap();
        }
    }

    /// Returns the `last_modified` of a photo in seconds since 1970.
    pub(crate) async fn last_modified(&self, photo: &Photo) -> i64 {
        let head = self.store.client().head_object().bucket(PHOTOS).key(&photo.key).send().await;
        head.unwrap().last_modified.unwrap().secs()
    }

    /// Fits a PCA to the current rows.
    pub(crate) async fn fit(&self) -> FitResult {
        let run = Run {
            id: RunId::now(Job::Pca).unwrap(),
            job: Job::Pca,
            store: self.store.clone(),
            photos_bucket: PHOTOS.into(),
            results_bucket: RESULTS.into(),
            card: self.ingest.card().clone(),
        };
        let worker = worker_without_photos(&run);
        run_local(&run, &worker, &PlanOptions::default(), &mut |_| ()).await.unwrap().unwrap()
    }

    /// Returns the folder of the results bucket.
    pub(crate) fn results(&self) -> PathBuf {
        self.folder.path().join(RESULTS)
    }
}
