//! The stages of one photo, with input in memory.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{Filter, ResizeMode};
use fruitvec::contract::photo::Photo;
use fruitvec::embed::{Embedder, model_file};
use fruitvec::image::{self, InputImage};
use fruitvec::table::{self, Row};
use time::OffsetDateTime;

use crate::{answer_lines, embedder, input_image, models_dir, nanoseconds};

/// The input of the stages.
struct Bench {
    model: String,
    embedder: Arc<dyn Embedder>,
    photos: Vec<Vec<u8>>,
    images: Vec<InputImage>,
    rows: Vec<Row>,
}

/// Answers lines of `STAGE COUNT` with the time and a number of bytes. It runs the stage on COUNT
/// photos, cycling through the list; for `encode`, COUNT times on a part of all photos.
///
/// `decode` needs square photos. Resizing such a photo to its own size does nothing, so only
/// decoding is measured.
pub(crate) fn answer(model: &str, paths: &[PathBuf]) {
    let mut bench = Bench::new(model, paths);
    answer_lines(|line| {
        let (stage, count) = line.split_once(' ').unwrap();
        let count = count.parse().unwrap();
        let mut bytes = 0;
        let elapsed = nanoseconds(|| bytes = bench.run(stage, count));
        format!("{elapsed} {bytes}")
    });
}

impl Bench {
    fn new(model: &str, paths: &[PathBuf]) -> Self {
        let embedder = embedder(model);
        let photos: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        let images: Vec<_> = photos.iter().map(|bytes| input_image(bytes, embedder.card())).collect();
        let rows = images
            .iter()
            .zip(paths)
            .zip(&photos)
            .map(|((image, path), bytes)| row(embedder.embed(image).unwrap(), path, bytes))
            .collect();
        Self { model: model.to_owned(), embedder, photos, images, rows }
    }

    /// Runs a stage. Returns the size of the encoded part, or 0 for other stages.
    fn run(&mut self, stage: &str, count: usize) -> usize {
        let card = self.embedder.card();
        let photos = self.photos.iter().cycle().take(count);
        match stage {
            "decode" => photos.for_each(|bytes| _ = black_box(decoded(bytes))),
            "square" => photos.for_each(|bytes| _ = black_box(input_image(bytes, card))),
            "embed" => {
                let images = self.images.iter().cycle().take(count);
                images.for_each(|image| _ = black_box(self.embedder.embed(image).unwrap()));
            }
            // COUNT photos on each of two threads.
            "embed-twice" => std::thread::scope(|scope| {
                for _ in 0..2 {
                    let images = self.images.iter().cycle().take(count);
                    let embedder = &self.embedder;
                    scope.spawn(move || {
                        images.for_each(|image| _ = black_box(embedder.embed(image).unwrap()))
                    });
                }
            }),
            // The first part of "load": reading the file and verifying its checksum.
            "read" => (0..count).for_each(|_| {
                _ = black_box(model_file::read(card, models_dir().as_deref()).unwrap());
            }),
            // Until the model is verified, compiled and tested with one image.
            "load" => (0..count).for_each(|_| _ = black_box(embedder(&self.model))),
            "photo" => {
                photos
                    .for_each(|bytes| _ = black_box(self.embedder.embed(&input_image(bytes, card)).unwrap()));
            }
            "encode" => {
                let encoded =
                    (0..count).map(|_| black_box(table::encode(&mut self.rows, card).unwrap()).len());
                return encoded.sum::<usize>() / count;
            }
            _ => unreachable!("no such stage: {stage}"),
        }
        0
    }
}

fn decoded(bytes: &[u8]) -> InputImage {
    let probed = image::probe(bytes, &Limits::default()).unwrap();
    probed.input_image(probed.header().width, ResizeMode::Stretch, Filter::Bicubic).unwrap()
}

fn row(embedding: Vec<f32>, path: &Path, bytes: &[u8]) -> Row {
    let photo = Photo {
        bucket: "photos".into(),
        key: format!("photos{}", path.display()),
        etag: format!("{:032x}", bytes.len()),
        size_bytes: bytes.len() as u64,
        last_modified: OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap(),
    };
    let embedded_at = photo.last_modified;
    Row { photo, width: 100, height: 100, embedding, embedded_at, made_by: "fruitvec".into() }
}
