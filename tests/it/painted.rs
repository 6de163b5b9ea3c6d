//! Painted photos, and a table of them: what the tests that compare it with other programs start from.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fruitvec::config::threads;
use fruitvec::drive::drive;
use fruitvec::embed::{self, Embedder};
use fruitvec::error::Error;
use fruitvec::event::Delivery;
use fruitvec::ingest::{Ingest, Outcome};
use fruitvec::local::{Server, dispatch, painter};
use fruitvec::model::{DEFAULT_MODEL, ModelCard};
use fruitvec::pixels::{self, Limits};
use fruitvec::plan::Wishes;
use fruitvec::refit::Refitted;
use fruitvec::run::{Job, Run, RunId};
use fruitvec::store::Store;
use fruitvec::work::Worker;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The bucket of the photos.
pub(crate) const PHOTOS: &str = "photos";
/// The bucket of the table.
pub(crate) const RESULTS: &str = "results";

/// Orientation 6 in the shortest EXIF there is: turn it a quarter clockwise to see it upright.
const TURNED: &[u8] =
    b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

/// A photo, and what its row must say of its key.
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

    /// The same picture, laid on its side, with the EXIF that says so.
    fn turned(&self, key: &str, label: Option<&str>) -> Self {
        let (start_of_image, rest) = self.bytes.split_at(2);
        Self::new(key, label, [start_of_image, TURNED, rest].concat())
    }

    /// Width, height and embedding, by the shortest way.
    pub(crate) fn embedded(&self, embedder: &dyn Embedder) -> (u32, u32, Vec<f32>) {
        let input = &embedder.card().input;
        let pending = pixels::inspect(&self.bytes, &Limits::default()).unwrap();
        let square = pending.square(input.side, input.fit, input.filter).unwrap();
        (pending.header().width, pending.header().height, embedder.embed(&square).unwrap())
    }

    /// All that other programs must find of it, but for the times. The numbers are written as float64, so that no digit is lost.
    pub(crate) fn expected(&self, embedder: &dyn Embedder) -> Value {
        let (width, height, embedding) = self.embedded(embedder);
        let embedding: Vec<f64> = embedding.into_iter().map(f64::from).collect();
        json!({
            "key": self.key, "label": self.label, "etag": hex::encode(Md5::digest(&self.bytes)),
            "size_bytes": self.bytes.len(), "width": width, "height": height, "embedding": embedding,
        })
    }
}

/// The painter's photos, and some with keys that are hard to write or to sort.
pub(crate) fn photos() -> Vec<Photo> {
    let painted = painter::photos().map(|photo| {
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
        // Behind the emoji where text is sorted as UTF-16, before it in the order of bytes.
        Photo::new("photos/ｶｷ/柿.jpg", Some("ｶｷ"), again(63)),
        Photo::new("uploads/2026-11-23/01KAR3V0Q7.jpg", None, again(84)),
        Photo::new("no folder.jpg", None, again(105)),
        // 200 × 150 as it is stored.
        photos[4].turned("photos/Turned/wide is tall.jpg", Some("Turned")),
    ];
    photos.extend(odd);
    photos
}

/// The bundled model.
pub(crate) fn embedder() -> Arc<dyn Embedder> {
    embed::load(&ModelCard::find(DEFAULT_MODEL, None).unwrap(), None).unwrap()
}

/// A running S3 on a folder of its own, and all that puts embeddings in it.
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

    /// Makes a change, then ingests what S3 tells of it; returns what became of each delivery.
    pub(crate) async fn after(&self, change: impl Future<Output = ()>) -> Vec<(Delivery, Outcome)> {
        let notifications = self.server.subscribe(PHOTOS);
        change.await;
        let mut heard = Vec::new();
        let hear = |delivery: &Delivery, outcome: &Outcome| {
            assert!(!matches!(outcome, Outcome::Failed(_)), "{delivery:?}: {outcome:?}");
            heard.push((delivery.clone(), outcome.clone()));
        };
        dispatch::dispatch(notifications, &self.ingest, async {}, hear).await.unwrap();
        heard
    }

    pub(crate) async fn put(&self, photo: &Photo) {
        self.store.put(PHOTOS, &photo.key, "image/jpeg", photo.bytes.clone()).await.unwrap();
    }

    /// Puts the photos and lets S3 have taken them at different times: five days, from a second before midnight on.
    pub(crate) async fn put_over_days(&self, photos: &[Photo]) {
        for photo in photos {
            self.put(photo).await;
        }
        let midnight = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_454);
        for (number, file) in files(&self.folder.path().join(PHOTOS)).iter().enumerate() {
            let seconds = Duration::from_secs(60_000 * (number as u64 % 7));
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_modified(midnight - Duration::from_secs(1) + seconds).unwrap();
        }
    }

    /// When S3 took this photo, seconds since 1970.
    pub(crate) async fn last_modified(&self, photo: &Photo) -> i64 {
        let head = self.store.client().head_object().bucket(PHOTOS).key(&photo.key).send().await;
        head.unwrap().last_modified.unwrap().secs()
    }

    pub(crate) async fn refit(&self) -> Refitted {
        let card = self.ingest.card();
        let (id, job, store) = (RunId::now(Job::Pca).unwrap(), Job::Pca, self.store.clone());
        let run = Run {
            id,
            job,
            store,
            photos_bucket: PHOTOS.into(),
            results_bucket: RESULTS.into(),
            card: card.clone(),
        };
        let load = Box::new(|| Err(Error::Internal("it needs no model".into())));
        let worker = Worker::new(self.store.clone(), RESULTS, card.clone(), 2, load);
        drive(&run, &worker, &Wishes::default(), &mut |_| ()).await.unwrap().unwrap()
    }

    /// Where the objects of the table are files.
    pub(crate) fn results(&self) -> PathBuf {
        self.folder.path().join(RESULTS)
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
