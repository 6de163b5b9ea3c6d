//! The view that Athena is given, run by `DuckDB`, beside our own current rows.

use fruitvec::model::ModelCard;
use fruitvec::partition::{Part, Partition, removal_key};
use fruitvec::photo::Photo;
use fruitvec::reject::{Reject, RejectCode};
use fruitvec::removal::Removal;
use fruitvec::snapshot::Snapshot;
use fruitvec::table::{self, Encoded, Row, micros};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::lines;
use super::script::run;
use crate::fixture::{PHOTOS, RESULTS, World};

/// Two seconds before a midnight, so that what is overwritten can lie in another partition.
const START: i64 = 1_767_225_598;

/// A photo's version, and what became of it when.
#[derive(Clone, Copy)]
struct Version<'a> {
    bucket: &'a str,
    key: &'a str,
    etag: &'a str,
    /// Seconds since [`START`].
    modified: i64,
    /// Microseconds since [`START`].
    made: i64,
}

impl Version<'_> {
    fn photo(self) -> Photo {
        Photo {
            bucket: self.bucket.to_owned(),
            key: self.key.to_owned(),
            etag: self.etag.to_owned(),
            size_bytes: 1000 + self.modified.unsigned_abs(),
            last_modified: at(self.modified * 1_000_000),
        }
    }

    /// Its row. The embedding tells it from all others.
    fn row(self, dimension: usize) -> Row {
        let photo = self.photo();
        let digits = photo.id().to_string().into_bytes();
        let number = |place: usize| f32::from(digits[place % digits.len()]) + self.made as f32 / 1000.0;
        let embedding = (0..dimension).map(number).collect();
        Row { photo, width: 4, height: 3, embedding, embedded_at: at(self.made), made_by: "by hand".into() }
    }
}

fn at(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(START).unwrap() + Duration::microseconds(micros)
}

/// One model's table in a world.
struct Table<'a> {
    world: &'a World,
    card: ModelCard,
}

impl<'a> Table<'a> {
    fn new(world: &'a World, model: &str) -> Self {
        let card = ModelCard { id: model.to_owned(), ..world.ingest.card().clone() };
        Self { world, card }
    }

    /// Writes versions of one day as a part.
    async fn part(&self, versions: &[Version<'_>]) {
        let mut rows: Vec<_> = versions.iter().map(|version| version.row(self.card.dimension)).collect();
        let partition = Partition { model: self.card.id.clone(), date: rows[0].photo.date() };
        let part = Part { partition, name: table::part_name(&rows) };
        let bytes = table::encode(&mut rows, &self.card).unwrap();
        let kind = "application/vnd.apache.parquet";
        self.world.store.put(RESULTS, &part.embeddings_key(), kind, bytes).await.unwrap();
    }

    async fn reject(&self, version: Version<'_>) {
        let photo = version.photo();
        let reject = Reject {
            photo_id: photo.id().to_string(),
            photo,
            code: RejectCode::Truncated,
            message: "it ends before its last pixel".into(),
            rejected_at: at(version.made),
            made_by: "by hand".into(),
        };
        reject.record(&self.world.store, RESULTS, &self.card.id).await.unwrap();
    }

    async fn removal(&self, bucket: &str, key: &str, up_to: i64) {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let removal = Removal { bucket, key, up_to: at(up_to * 1_000_000), spares: None };
        removal.record(&self.world.store, RESULTS).await.unwrap();
    }

    /// A removal up to the same time that hides all but one version.
    async fn sparing(&self, spared: Version<'_>, up_to: i64) {
        let Photo { bucket, key, .. } = spared.photo();
        let spares = Some(spared.photo().id().to_string());
        let removal = Removal { bucket, key, up_to: at(up_to * 1_000_000), spares };
        let name = removal_key(&removal.bucket, &removal.key);
        let body = serde_json::to_vec(&removal).unwrap();
        self.world.store.put(RESULTS, &name, "application/json", body).await.unwrap();
    }

    /// The current rows, as the library has them.
    async fn current(&self) -> Vec<Row> {
        let mut current = Vec::new();
        for part in Snapshot::take(&self.world.store, RESULTS, &self.card.id).await.unwrap().parts {
            let object = part.part.embeddings_key();
            let bytes = self.world.store.get(RESULTS, &object).await.unwrap();
            let rows = (0..).zip(Encoded::new(&object, bytes).rows().unwrap());
            current.extend(rows.filter(|(number, _)| !part.dead.contains(number)).map(|(_, row)| row));
        }
        current
    }

    async fn expected(&self) -> Vec<Value> {
        let rows = self.current().await;
        rows.iter().map(|row| expected(&self.card.id, row)).collect()
    }
}

fn expected(model: &str, row: &Row) -> Value {
    let Row { photo, .. } = row;
    // As float64, so that no digit is lost.
    let embedding: Vec<f64> = row.embedding.iter().copied().map(f64::from).collect();
    json!({
        "model": model, "date": photo.date().to_string(), "photo_id": photo.id().to_string(), "bucket": photo.bucket,
        "key": photo.key, "etag": photo.etag, "label": photo.label(), "size_bytes": photo.size_bytes,
        "last_modified": micros(photo.last_modified), "width": row.width, "height": row.height,
        "embedding": embedding, "embedded_at": micros(row.embedded_at), "made_by": row.made_by,
    })
}

/// Each case by hand; returns the keys of which a row must hold, with its `ETag`.
async fn cases(table: &Table<'_>) -> Vec<(&'static str, &'static str)> {
    let version = |key, etag, modified, made| Version { bucket: PHOTOS, key, etag, modified, made };
    // Overwritten, on the other side of midnight; the newer one came first.
    table
        .part(&[version("photos/Apple/over.jpg", "b", 3, 10), version("photos/Apple/still.jpg", "a", 3, 10)])
        .await;
    table.part(&[version("photos/Apple/over.jpg", "a", 0, 20)]).await;
    // Rejected after it was good, and good after it was rejected.
    table
        .part(&[
            version("photos/Apple/spoilt.jpg", "a", 0, 10),
            version("photos/Apple/mended.jpg", "b", 1, 10),
        ])
        .await;
    table.reject(version("photos/Apple/spoilt.jpg", "b", 3, 5)).await;
    table.reject(version("photos/Apple/mended.jpg", "a", 0, 90)).await;
    // Removed at its very second, later, and before it was put again.
    table
        .part(&[version("uploads/gone.jpg", "a", 1, 10), version("uploads/long gone.jpg", "a", 1, 10)])
        .await;
    table
        .part(&[version("uploads/put again.jpg", "a", 3, 10), version("uploads/à côté +%.jpg", "a", 3, 10)])
        .await;
    table.removal(PHOTOS, "uploads/gone.jpg", 1).await;
    table.removal(PHOTOS, "uploads/long gone.jpg", 4).await;
    table.removal(PHOTOS, "uploads/put again.jpg", 2).await;
    // An older version is back, since the newer one was deleted for good.
    table.part(&[version("uploads/back.jpg", "a", 1, 10)]).await;
    table.part(&[version("uploads/back.jpg", "b", 3, 10)]).await;
    table.sparing(version("uploads/back.jpg", "a", 1, 10), 3).await;
    // Stored twice: embedded again in other company, and the very same row in a compacted part.
    table.part(&[version("photos/Apple/still.jpg", "a", 3, 30)]).await;
    table
        .part(&[version("uploads/put again.jpg", "a", 3, 10), version("photos/Apple/over.jpg", "b", 3, 10)])
        .await;
    // In the same second: the one made later, were it by a microsecond; made at the same time, too, the greater id.
    table.part(&[version("tie/made.jpg", "a", 1, 7), version("tie/id.jpg", "a", 1, 7)]).await;
    table.part(&[version("tie/made.jpg", "b", 1, 8), version("tie/id.jpg", "b", 1, 7)]).await;
    // Row and reject of the same second, either way, and of the same photo at the same time.
    table.part(&[version("tie/row.jpg", "a", 1, 8), version("tie/reject.jpg", "a", 1, 7)]).await;
    table.reject(version("tie/row.jpg", "b", 1, 7)).await;
    table.reject(version("tie/reject.jpg", "b", 1, 8)).await;
    table.part(&[version("tie/both.jpg", "a", 1, 7)]).await;
    table.reject(version("tie/both.jpg", "a", 1, 7)).await;
    // The same key in another bucket is another photo.
    table
        .part(&[Version { bucket: "others", key: "uploads/gone.jpg", etag: "a", modified: 1, made: 10 }])
        .await;
    let greater = ["a", "b"].into_iter().max_by_key(|etag| version("tie/id.jpg", etag, 1, 7).photo().id());
    vec![
        ("photos/Apple/mended.jpg", "b"),
        ("photos/Apple/over.jpg", "b"),
        ("photos/Apple/still.jpg", "a"),
        ("tie/id.jpg", greater.unwrap()),
        ("tie/made.jpg", "b"),
        ("tie/row.jpg", "a"),
        ("uploads/back.jpg", "a"),
        ("uploads/gone.jpg", "a"),
        ("uploads/put again.jpg", "a"),
        ("uploads/à côté +%.jpg", "a"),
    ]
}

/// Many claims on few keys at few times, so that everything meets everything.
async fn chance(table: &Table<'_>) {
    let mut state = 20_261_124_u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let keys: Vec<_> = (0..60).map(|number| format!("photos/chance/{number}.jpg")).collect();
    for _ in 0..400 {
        let key = &keys[below(60) as usize];
        let etag = ["a", "b", "c"][below(3) as usize];
        let version = Version {
            bucket: PHOTOS,
            key,
            etag,
            modified: below(5).cast_signed(),
            made: below(4).cast_signed(),
        };
        let company = Version { key: &keys[below(60) as usize], ..version };
        match below(9) {
            0 => table.removal(PHOTOS, key, version.modified).await,
            8 => table.sparing(version, company.modified + 1).await,
            1 | 2 => table.reject(version).await,
            3 | 4 if company.key != key => table.part(&[version, company]).await,
            _ => table.part(&[version]).await,
        }
    }
}

#[tokio::test]
#[ignore = "needs Python: tests/run installs it"]
async fn needs_python_the_view_of_athena_gives_the_current_rows() {
    let world = World::start().await;
    let (by_hand, by_chance) = (Table::new(&world, "toy"), Table::new(&world, "chance"));
    let held = cases(&by_hand).await;
    let found: Vec<_> =
        by_hand.current().await.into_iter().map(|row| (row.photo.key, row.photo.etag)).collect();
    let mut found: Vec<_> = found.iter().map(|(key, etag)| (key.as_str(), etag.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, held);
    chance(&by_chance).await;
    // A photo that another model has embedded, too, holds for each.
    let still = Version { bucket: PHOTOS, key: "photos/Apple/still.jpg", etag: "a", modified: 3, made: 90 };
    by_chance.part(&[still]).await;

    let mut rows = by_hand.expected().await;
    let more = by_chance.expected().await;
    assert!((10..60).contains(&more.len()), "{} rows hold: chance decides nothing", more.len());
    rows.extend(more);
    let folder = tempfile::tempdir().unwrap();
    let expected = lines(folder.path(), &rows);
    run("view.py", &[world.data.path().join(RESULTS).as_ref(), expected.as_ref()]);
}
