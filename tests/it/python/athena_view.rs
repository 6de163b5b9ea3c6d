//! The SQL of Athena's view, run by `DuckDB`, must select the same rows as the library.

use fruitvec::contract::layout::{Part, Partition, removal_key};
use fruitvec::contract::model_card::ModelCard;
use fruitvec::contract::photo::Photo;
use fruitvec::rejection::RejectCode;
use fruitvec::table::reject::Reject;
use fruitvec::table::removal::Removal;
use fruitvec::table::{self, PartReader, Row, Snapshot, micros};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::json_lines;
use super::script::run;
use crate::support::world::{PHOTOS, RESULTS, World};

/// Two seconds before midnight, so that versions of a key can be in two partitions.
const START: i64 = 1_767_225_598;

/// A version of a photo, with the time of its row or reject.
#[derive(Clone, Copy)]
struct Version<'a> {
    bucket: &'a str,
    key: &'a str,
    etag: &'a str,
    /// Seconds since [`START`].
    modified: i64,
    /// Microseconds since [`START`] at which it was embedded or rejected.
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

    /// Returns its row, whose embedding differs from all others.
    fn row(self, dimension: usize) -> Row {
        let photo = self.photo();
        let digits = photo.id().to_string().into_bytes();
        let number = |index: usize| f32::from(digits[index % digits.len()]) + self.made as f32 / 1000.0;
        let embedding = (0..dimension).map(number).collect();
        Row { photo, width: 4, height: 3, embedding, embedded_at: at(self.made), made_by: "by hand".into() }
    }
}

fn at(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(START).unwrap() + Duration::microseconds(micros)
}

/// The table of one model.
struct Table<'a> {
    world: &'a World,
    card: ModelCard,
}

impl<'a> Table<'a> {
    fn new(world: &'a World, model: &str) -> Self {
        let card = ModelCard { id: model.to_owned(), ..world.ingest.card().clone() };
        Self { world, card }
    }

    /// Writes versions of one day as one part.
    async fn part(&self, versions: &[Version<'_>]) {
        let mut rows: Vec<_> = versions.iter().map(|version| version.row(self.card.dimension)).collect();
        let partition = Partition { model: self.card.id.clone(), date: rows[0].photo.date() };
        let part = Part { partition, name: table::part_name(&rows) };
        let bytes = table::encode(&mut rows, &self.card).unwrap();
        let media_type = "application/vnd.apache.parquet";
        self.world.store.put(RESULTS, &part.embeddings_key(), media_type, bytes).await.unwrap();
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
        let removal = Removal { bucket, key, up_to: at(up_to * 1_000_000), except_photo_id: None };
        removal.record(&self.world.store, RESULTS).await.unwrap();
    }

    /// Writes a removal that hides all versions of a key except one.
    async fn removal_except(&self, version: Version<'_>, up_to: i64) {
        let Photo { bucket, key, .. } = version.photo();
        let except_photo_id = Some(version.photo().id().to_string());
        let removal = Removal { bucket, key, up_to: at(up_to * 1_000_000), except_photo_id };
        let name = removal_key(&removal.bucket, &removal.key);
        let body = serde_json::to_vec(&removal).unwrap();
        self.world.store.put(RESULTS, &name, "application/json", body).await.unwrap();
    }

    /// Returns the current rows according to the library.
    async fn current_rows(&self) -> Vec<Row> {
        let mut current = Vec::new();
        for part in Snapshot::take(&self.world.store, RESULTS, &self.card.id).await.unwrap().parts {
            let object = part.part.embeddings_key();
            let bytes = self.world.store.get(RESULTS, &object).await.unwrap();
            let rows = (0..).zip(PartReader::new(&object, bytes).rows().unwrap());
            current.extend(rows.filter(|(number, _)| !part.dead.contains(number)).map(|(_, row)| row));
        }
        current
    }

    async fn expected(&self) -> Vec<Value> {
        let rows = self.current_rows().await;
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

/// Writes one example of each rule. Returns the keys that must have a current row, with its `ETag`.
async fn write_cases(table: &Table<'_>) -> Vec<(&'static str, &'static str)> {
    write_overwrites_and_rejects(table).await;
    write_removals(table).await;
    write_duplicates(table).await;
    let tied = write_ties(table).await;
    vec![
        ("photos/Apple/mended.jpg", "b"),
        ("photos/Apple/over.jpg", "b"),
        ("photos/Apple/still.jpg", "a"),
        ("tie/id.jpg", tied),
        ("tie/made.jpg", "b"),
        ("tie/row.jpg", "a"),
        ("uploads/back.jpg", "a"),
        ("uploads/gone.jpg", "a"),
        ("uploads/put again.jpg", "a"),
        ("uploads/à côté +%.jpg", "a"),
    ]
}

fn version(key: &'static str, etag: &'static str, modified: i64, made: i64) -> Version<'static> {
    Version { bucket: PHOTOS, key, etag, modified, made }
}

async fn write_overwrites_and_rejects(table: &Table<'_>) {
    // Overwritten after midnight, and ingested in the reverse order.
    table
        .part(&[version("photos/Apple/over.jpg", "b", 3, 10), version("photos/Apple/still.jpg", "a", 3, 10)])
        .await;
    table.part(&[version("photos/Apple/over.jpg", "a", 0, 20)]).await;
    // A valid photo overwritten by a rejected one, and a rejected photo overwritten by a valid one.
    table
        .part(&[
            version("photos/Apple/spoilt.jpg", "a", 0, 10),
            version("photos/Apple/mended.jpg", "b", 1, 10),
        ])
        .await;
    table.reject(version("photos/Apple/spoilt.jpg", "b", 3, 5)).await;
    table.reject(version("photos/Apple/mended.jpg", "a", 0, 90)).await;
}

async fn write_removals(table: &Table<'_>) {
    // Removed in the second of the upload, later, and before the photo was put again.
    table
        .part(&[version("uploads/gone.jpg", "a", 1, 10), version("uploads/long gone.jpg", "a", 1, 10)])
        .await;
    table
        .part(&[version("uploads/put again.jpg", "a", 3, 10), version("uploads/à côté +%.jpg", "a", 3, 10)])
        .await;
    table.removal(PHOTOS, "uploads/gone.jpg", 1).await;
    table.removal(PHOTOS, "uploads/long gone.jpg", 4).await;
    table.removal(PHOTOS, "uploads/put again.jpg", 2).await;
    // The same key in another bucket is another photo.
    let elsewhere = Version { bucket: "others", key: "uploads/gone.jpg", etag: "a", modified: 1, made: 10 };
    table.part(&[elsewhere]).await;
    // The newer version was deleted permanently, so the older one is in the bucket again.
    table.part(&[version("uploads/back.jpg", "a", 1, 10)]).await;
    table.part(&[version("uploads/back.jpg", "b", 3, 10)]).await;
    table.removal_except(version("uploads/back.jpg", "a", 1, 10), 3).await;
}

async fn write_duplicates(table: &Table<'_>) {
    // Embedded again in another batch, and the same row in a compacted part.
    table.part(&[version("photos/Apple/still.jpg", "a", 3, 30)]).await;
    table
        .part(&[version("uploads/put again.jpg", "a", 3, 10), version("photos/Apple/over.jpg", "b", 3, 10)])
        .await;
}

/// Writes versions of the same second. Returns the `ETag` of the one with the greater photo id.
async fn write_ties(table: &Table<'_>) -> &'static str {
    // The tie-break is the time of embedding, to the microsecond, and then the photo id.
    table.part(&[version("tie/made.jpg", "a", 1, 7), version("tie/id.jpg", "a", 1, 7)]).await;
    table.part(&[version("tie/made.jpg", "b", 1, 8), version("tie/id.jpg", "b", 1, 7)]).await;
    // A row and a reject, with either made later, and both of the same photo at the same time.
    table.part(&[version("tie/row.jpg", "a", 1, 8), version("tie/reject.jpg", "a", 1, 7)]).await;
    table.reject(version("tie/row.jpg", "b", 1, 7)).await;
    table.reject(version("tie/reject.jpg", "b", 1, 8)).await;
    table.part(&[version("tie/both.jpg", "a", 1, 7)]).await;
    table.reject(version("tie/both.jpg", "a", 1, 7)).await;
    let versions = ["a", "b"].map(|etag| (version("tie/id.jpg", etag, 1, 7).photo().id(), etag));
    versions.into_iter().max().unwrap().1
}

/// Writes many random versions of few keys at few times, so that all combinations occur.
async fn write_random(table: &Table<'_>) {
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
        let other = Version { key: &keys[below(60) as usize], ..version };
        match below(9) {
            0 => table.removal(PHOTOS, key, version.modified).await,
            8 => table.removal_except(version, other.modified + 1).await,
            1 | 2 => table.reject(version).await,
            3 | 4 if other.key != key => table.part(&[version, other]).await,
            _ => table.part(&[version]).await,
        }
    }
}

#[tokio::test]
#[ignore = "needs Python: tests/run installs it"]
async fn needs_python_the_athena_view_returns_the_current_rows() {
    let world = World::start().await;
    let (cases, random) = (Table::new(&world, "toy"), Table::new(&world, "chance"));
    let expected = write_cases(&cases).await;
    let found: Vec<_> =
        cases.current_rows().await.into_iter().map(|row| (row.photo.key, row.photo.etag)).collect();
    let mut found: Vec<_> = found.iter().map(|(key, etag)| (key.as_str(), etag.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    write_random(&random).await;
    // A photo that two models have embedded is current for each.
    random.part(&[version("photos/Apple/still.jpg", "a", 3, 90)]).await;

    let mut rows = cases.expected().await;
    let random_rows = random.expected().await;
    assert!((10..60).contains(&random_rows.len()), "{} rows are too few or too many", random_rows.len());
    rows.extend(random_rows);
    let folder = tempfile::tempdir().unwrap();
    let expected = json_lines(folder.path(), &rows);
    run("view.py", &[world.data.path().join(RESULTS).as_ref(), expected.as_ref()]);
}
