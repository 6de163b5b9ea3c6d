//! Provides the embedded S3 with both buckets, the photos of `tests/photos`, and the event files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fruitvec::config::{MODEL, MODELS_DIR, RESULTS_BUCKET, THREADS};
use fruitvec::contract::model_card::DEFAULT_MODEL;
use fruitvec::s3::client::{ObjectMeta, Store};
use fruitvec::table::Snapshot;
use fruitvec::table::{PartReader, Row};
use fruitvec_embedded_s3::{REGION, Server};
use tempfile::TempDir;

use crate::runtime::Function;

/// The bucket that the event files name.
pub(crate) const PHOTOS: &str = "fruits-photos";
/// The bucket of the results.
pub(crate) const RESULTS: &str = "fruits-results";
/// The suffix of a file that makes the decoder panic.
pub(crate) const POISON: &str = "poison";
/// The suffix of a file that makes the decoder hang.
pub(crate) const HANG: &str = "hang";

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) store: Store,
    // Dropped last, because the server uses the folder.
    _data: TempDir,
}

/// Returns the full path of a file in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Returns the content of an event file.
pub(crate) fn event(name: &str) -> String {
    std::fs::read_to_string(repository(&format!("events/{name}.json"))).unwrap()
}

/// Returns a photo of `tests/photos`.
pub(crate) fn photo(name: &str) -> Vec<u8> {
    std::fs::read(repository(&format!("tests/photos/{name}"))).unwrap()
}

impl World {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), 0).await.unwrap();
        let client = server.client();
        for bucket in [PHOTOS, RESULTS] {
            client.create_bucket().bucket(bucket).send().await.unwrap();
        }
        Self { store: Store::new(client), server, _data: data }
    }

    /// Returns the function's environment.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let credentials = self.server.credentials();
        [
            ("AWS_ENDPOINT_URL", self.server.endpoint()),
            ("AWS_REGION", REGION.into()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.clone()),
            (RESULTS_BUCKET, RESULTS.into()),
            (MODEL, DEFAULT_MODEL.into()),
            (MODELS_DIR, repository("models").to_str().unwrap().into()),
            (THREADS, "2".into()),
            ("FRUITVEC_TEST_POISON", POISON.into()),
            ("FRUITVEC_TEST_HANG", HANG.into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub(crate) fn function(&self) -> Function {
        Function::start(&self.environment())
    }

    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.store.put(PHOTOS, key, "application/octet-stream", bytes).await.unwrap();
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.store.delete(PHOTOS, &[key.to_owned()]).await.unwrap();
    }

    /// Returns the current rows by key.
    pub(crate) async fn current(&self) -> BTreeMap<String, Row> {
        let mut current = BTreeMap::new();
        for part in Snapshot::take(&self.store, RESULTS, DEFAULT_MODEL).await.unwrap().parts {
            let object = part.part.embeddings_key();
            let bytes = self.store.get(RESULTS, &object).await.unwrap();
            let rows = PartReader::new(&object, bytes).rows().unwrap();
            let rows = (0..).zip(rows).filter(|(number, _)| !part.dead.contains(number));
            current.extend(rows.map(|(_, row)| (row.photo.key.clone(), row)));
        }
        current
    }

    /// Returns the keys of the results below a prefix.
    pub(crate) async fn results(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let note = |object: ObjectMeta| {
            keys.push(object.key);
            Ok(())
        };
        self.store.list(RESULTS, prefix, note).await.unwrap();
        keys
    }
}
