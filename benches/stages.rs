//! Benchmarks of each stage on its own, with the bundled model: `cargo bench --bench stages`.
//!
//! The photo has 100 × 100 pixels. `benches/side_by_side.py` compares the stages with other tools.

#![allow(clippy::unwrap_used, reason = "a failure must end the run")]

use std::hint::black_box;
use std::io::Cursor;
use std::time::Duration;

use ::image::ImageFormat;
use criterion::{BatchSize, Criterion};
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::contract::photo::Photo;
use fruitvec::embed::{self, Embedder};
use fruitvec::image;
use fruitvec::moments::Moments;
use fruitvec::pca::Fit;
use fruitvec::table::{self, PartReader, Row};
use fruitvec_sample_photos as sample_photos;
use time::OffsetDateTime;

/// Rows in a part: the batch size of `demo`.
const ROWS: usize = 128;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
    let embedder = embed::load(&card, None).unwrap();
    bench_photo(&mut criterion, &*embedder);
    bench_part(&mut criterion, &card);
    bench_fit(&mut criterion, card.dimension);
    criterion.final_summary();
}

fn bench_photo(criterion: &mut Criterion, embedder: &dyn Embedder) {
    let (input, limits) = (&embedder.card().input, Limits::default());
    let jpeg = jpeg();
    let probed = image::probe(&jpeg, &limits).unwrap();
    let image = probed.input_image(input.side, input.fit, input.filter).unwrap();
    let mut group = criterion.benchmark_group("photo");
    group.bench_function("probe", |b| b.iter(|| image::probe(black_box(&jpeg), &limits).unwrap()));
    // To its own size, so that nothing is resized.
    group.bench_function("decode", |b| b.iter(|| probed.input_image(100, input.fit, input.filter).unwrap()));
    group.bench_function("decode and resize", |b| {
        b.iter(|| probed.input_image(input.side, input.fit, input.filter).unwrap());
    });
    group.bench_function("embed", |b| b.iter(|| embedder.embed(black_box(&image)).unwrap()));
    group.finish();
}

fn bench_part(criterion: &mut Criterion, card: &ModelCard) {
    let mut rows: Vec<Row> = (0..ROWS).map(|number| row(number, card.dimension)).collect();
    let part = PartReader::new("part", table::encode(&mut rows, card).unwrap().into());
    let mut group = criterion.benchmark_group(format!("part of {ROWS} rows"));
    group.bench_function("encode", |b| b.iter(|| table::encode(black_box(&mut rows), card).unwrap()));
    group.bench_function("read keys", |b| {
        b.iter(|| part.keys().unwrap().map(|keys| keys.unwrap().len()).sum::<usize>())
    });
    group.bench_function("read embeddings", |b| {
        b.iter(|| part.embeddings(card.dimension).unwrap().map(|block| block.unwrap().len()).sum::<usize>());
    });
    group.finish();
}

fn bench_fit(criterion: &mut Criterion, dimension: usize) {
    let rows = numbers(1024 * dimension);
    let mut moments = Moments::empty(dimension);
    moments.add_rows(&rows).unwrap();
    let fit = Fit::of(&moments, 20).unwrap();
    let mut group = criterion.benchmark_group("fit");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("moments of 1024 rows", |b| {
        b.iter_batched_ref(
            || Moments::empty(dimension),
            |m| m.add_rows(&rows).unwrap(),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("merge", |b| {
        b.iter_batched_ref(|| moments.clone(), |m| m.merge(&moments).unwrap(), BatchSize::LargeInput);
    });
    group.bench_function("eigen", |b| b.iter(|| Fit::of(black_box(&moments), 20).unwrap()));
    group.bench_function("project 1024 rows", |b| b.iter(|| fit.project(black_box(&rows)).unwrap()));
    group.finish();
}

fn jpeg() -> Vec<u8> {
    let mut jpeg = Cursor::new(Vec::new());
    sample_photos::paint(sample_photos::Kind::Kiwi, 0, 100).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    jpeg.into_inner()
}

fn row(number: usize, dimension: usize) -> Row {
    let last_modified = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    let photo = Photo {
        bucket: "photos".into(),
        key: format!("photos/Kiwi/{number:04}.jpg"),
        etag: format!("{number:032x}"),
        size_bytes: 5_000,
        last_modified,
    };
    let embedding = numbers(dimension * (number + 1)).split_off(dimension * number);
    Row { photo, width: 100, height: 100, embedding, embedded_at: last_modified, made_by: "bench".into() }
}

/// Numbers like those of an embedding: from 0 to 6, and often 0.
fn numbers(count: usize) -> Vec<f32> {
    // The linear congruential generator of Knuth's MMIX.
    let states = std::iter::successors(Some(1_u64), |state| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    });
    states.take(count).map(|state| ((state >> 40) as f32 / (1 << 24) as f32 * 9.0 - 3.0).max(0.0)).collect()
}
