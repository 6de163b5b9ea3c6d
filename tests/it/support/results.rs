//! The rows and rejects of a results bucket.

use std::collections::BTreeMap;

use fruitvec::s3::{ObjectMeta, Store};
use fruitvec::table::reject::Reject;
use fruitvec::table::{PartReader, Row, Snapshot};

use super::world::RESULTS;

/// Returns the current rows of a model by key.
pub(crate) async fn current_rows(store: &Store, model: &str) -> BTreeMap<String, Row> {
    let mut current = BTreeMap::new();
    for part in Snapshot::take(store, RESULTS, model).await.unwrap().parts {
        let object = part.part.embeddings_key();
        let bytes = store.get(RESULTS, &object).await.unwrap();
        let rows = (0..).zip(PartReader::new(&object, bytes).rows().unwrap());
        for (_, row) in rows.filter(|(number, _)| !part.dead.contains(number)) {
            let other = current.insert(row.photo.key.clone(), row);
            assert!(other.is_none(), "two current rows of a key");
        }
    }
    current
}

/// Returns the rejects of a model by the key of their photo.
pub(crate) async fn rejects(store: &Store, model: &str) -> BTreeMap<String, Reject> {
    let objects = objects(store, &format!("rejects/model={model}/")).await;
    let rejects = objects.iter().map(|(object, bytes)| Reject::parse(object, bytes).unwrap());
    rejects.map(|reject| (reject.photo.key.clone(), reject)).collect()
}

/// Returns the objects below a prefix, by key.
pub(crate) async fn objects(store: &Store, prefix: &str) -> BTreeMap<String, bytes::Bytes> {
    let mut keys = Vec::new();
    let add = |object: ObjectMeta| {
        keys.push(object.key);
        Ok(())
    };
    store.list(RESULTS, prefix, add).await.unwrap();
    let mut objects = BTreeMap::new();
    for key in keys {
        let bytes = store.get(RESULTS, &key).await.unwrap();
        objects.insert(key, bytes);
    }
    objects
}
