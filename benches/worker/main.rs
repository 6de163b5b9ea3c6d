//! Our half of `benches/side_by_side`: a program that does one stage at a time, on request, and says how long it took.
//!
//! ```text
//! worker stages MODEL LIST                  answers `STAGE COUNT` lines: see `stages`
//! worker ingest MODEL LIST DATA [ENDPOINT]  answers `THREADS [BATCH]` lines: see `ingest`
//! worker s3 DATA                            an S3 server in a process of its own, until its standard input ends
//! worker fit FILE DIMENSION                 one PCA: see `fit`
//! worker first MODEL PHOTO                  one photo, one embedding, from nothing
//! worker paint DIR                          photos for those who have none
//! ```
//!
//! LIST is a file of photos' paths, one a line. An answer is one line: nanoseconds by the clock, then whatever the stage adds.
//! The script reads CPU time and peak memory from the system, of both sides alike.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here must end the run")]

mod fit;
mod ingest;
mod stages;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use fruitvec::config::{MODELS_DIR, engine, from_environment};
use fruitvec::embed::{self, Embedder};
use fruitvec::local::painter;
use fruitvec::model::ModelCard;
use fruitvec::pixels::{self, Limits, Square};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["stages", model, list] => stages::answer(model, &listed(list)),
        ["ingest", model, list, data, ref rest @ ..] => {
            ingest::answer(model, &listed(list), data, rest.first())
        }
        ["s3", data] => ingest::serve(data),
        ["fit", file, dimension] => fit::once(file, dimension.parse().unwrap()),
        ["first", model, photo] => first(model, photo),
        ["paint", folder] => paint(Path::new(folder)),
        _ => println!("this one works for benches/side_by_side: run that"),
    }
}

/// The embedder of a model's id, as every program of ours finds it, by the engine that the environment names.
fn embedder(model: &str) -> Arc<dyn Embedder> {
    let models_dir = models_dir();
    let card = ModelCard::find(model, models_dir.as_deref()).unwrap();
    let engine = engine(from_environment).unwrap();
    embed::load_with(&card, models_dir.as_deref(), engine).unwrap()
}

fn models_dir() -> Option<PathBuf> {
    from_environment(MODELS_DIR).map(PathBuf::from)
}

/// What a photo's bytes become for a model, as in `ingest`.
fn square(bytes: &[u8], card: &ModelCard) -> Square {
    let pending = pixels::inspect(bytes, &Limits::default()).unwrap();
    pending.square(card.input.side, card.input.fit, card.input.filter).unwrap()
}

fn listed(list: &str) -> Vec<PathBuf> {
    std::fs::read_to_string(list).unwrap().lines().map(PathBuf::from).collect()
}

/// Answers each line of the standard input, until it ends.
fn converse(mut answer: impl FnMut(&str) -> String) {
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&line.unwrap()));
        std::io::stdout().flush().unwrap();
    }
}

fn nanoseconds(work: impl FnOnce()) -> u128 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos()
}

fn first(model: &str, photo: &str) {
    let embedder = embedder(model);
    let square = square(&std::fs::read(photo).unwrap(), embedder.card());
    println!("{}", embedder.embed(&square).unwrap().iter().sum::<f32>());
}

/// Every kind of fruit, as JPEG files of 100 × 100 pixels.
fn paint(folder: &Path) {
    for kind in painter::KINDS {
        let kind_folder = folder.join(kind.name());
        std::fs::create_dir_all(&kind_folder).unwrap();
        for number in 0..painter::PHOTOS_PER_KIND {
            painter::paint(kind, number, 100).save(kind_folder.join(format!("{number}.jpg"))).unwrap();
        }
    }
}
