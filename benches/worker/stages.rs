//! The stages of one photo, each on photos that lie in memory.

use std::hint::black_box;
use std::path::PathBuf;

use fruitvec::embed::Embedder;
use fruitvec::photo::Photo;
use fruitvec::pixels::{self, Filter, Fit, Limits, Square};
use fruitvec::table::{self, Row};
use time::OffsetDateTime;

use crate::{converse, embedder, models_dir, nanoseconds, square};

/// What the stages work on.
struct Bench {
    model: String,
    embedder: std::sync::Arc<dyn Embedder>,
    photos: Vec<Vec<u8>>,
    squares: Vec<Square>,
    rows: Vec<Row>,
}

/// Answers `STAGE COUNT`: the stage is done on COUNT photos (of `encode`: COUNT parts of all photos), one after the other, from the
/// first again when there are no more.
///
/// `decode` takes square photos: resizing one to its own size does nothing, so what is left is the decoding.
pub(crate) fn answer(model: &str, paths: &[PathBuf]) {
    let mut bench = Bench::new(model, paths);
    converse(|line| {
        let (stage, count) = line.split_once(' ').unwrap();
        let count = count.parse().unwrap();
        let mut bytes = 0;
        let took = nanoseconds(|| bytes = bench.stage(stage, count));
        format!("{took} {bytes}")
    });
}

impl Bench {
    fn new(model: &str, paths: &[PathBuf]) -> Self {
        let embedder = embedder(model);
        let photos: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        let squares: Vec<_> = photos.iter().map(|bytes| square(bytes, embedder.card())).collect();
        let rows = squares
            .iter()
            .zip(paths)
            .zip(&photos)
            .map(|((square, path), bytes)| row(embedder.embed(square).unwrap(), path, bytes))
            .collect();
        Self { model: model.to_owned(), embedder, photos, squares, rows }
    }

    /// Returns the size of what was written, where something was.
    fn stage(&mut self, stage: &str, count: usize) -> usize {
        let card = self.embedder.card();
        let photos = self.photos.iter().cycle().take(count);
        match stage {
            "decode" => photos.for_each(|bytes| _ = black_box(decoded(bytes))),
            "square" => photos.for_each(|bytes| _ = black_box(square(bytes, card))),
            "embed" => {
                let squares = self.squares.iter().cycle().take(count);
                squares.for_each(|square| _ = black_box(self.embedder.embed(square).unwrap()));
            }
            // Two threads, each with as many photos.
            "embed-twice" => std::thread::scope(|scope| {
                for _ in 0..2 {
                    let squares = self.squares.iter().cycle().take(count);
                    let embedder = &self.embedder;
                    scope.spawn(move || {
                        squares.for_each(|square| _ = black_box(embedder.embed(square).unwrap()))
                    });
                }
            }),
            // Of "load" the first part: the file's bytes, digested.
            "read" => (0..count).for_each(|_| _ = black_box(card.read(models_dir().as_deref()).unwrap())),
            // Ready means: verified, compiled, and tried with one photo.
            "load" => (0..count).for_each(|_| _ = black_box(embedder(&self.model))),
            "photo" => {
                photos.for_each(|bytes| _ = black_box(self.embedder.embed(&square(bytes, card)).unwrap()));
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

fn decoded(bytes: &[u8]) -> Square {
    let pending = pixels::inspect(bytes, &Limits::default()).unwrap();
    pending.square(pending.header().width, Fit::Stretch, Filter::Bicubic).unwrap()
}

fn row(embedding: Vec<f32>, path: &std::path::Path, bytes: &[u8]) -> Row {
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
