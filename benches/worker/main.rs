//! The fruitvec side of `benches/side_by_side.py`: a program that runs one stage per request and
//! answers with the time that it took.
//!
//! ```text
//! worker stages MODEL LIST                  answers `STAGE COUNT` lines: see `stages`
//! worker ingest MODEL LIST DATA [ENDPOINT]  answers `THREADS [BATCH]` lines: see `ingest`
//! worker s3 DATA                            an S3 server that runs until standard input ends
//! worker fit FILE DIMENSION                 one PCA: see `fit`
//! worker first MODEL PHOTO                  loads a model and embeds one photo
//! worker paint DIR                          writes sample photos
//! ```
//!
//! LIST is a file with one path of a photo per line. An answer is a line with the elapsed time in
//! nanoseconds, followed by values of the stage. The script reads CPU time and peak memory from the
//! system, in the same way for both sides.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure must end the run")]

mod fit;
mod ingest;
mod stages;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use fruitvec::config::{MODELS_DIR, from_environment};
use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::embed::{self, Embedder};
use fruitvec::image::{self, InputImage};
use fruitvec::ingest::engine;
use fruitvec_sample_photos as sample_photos;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["stages", model, list] => stages::answer(model, &read_list(list)),
        ["ingest", model, list, data, ref rest @ ..] => {
            ingest::answer(model, &read_list(list), data, rest.first())
        }
        ["s3", data] => ingest::serve(data),
        ["fit", file, dimension] => fit::run(file, dimension.parse().unwrap()),
        ["first", model, photo] => first(model, photo),
        ["paint", folder] => paint(Path::new(folder)),
        _ => println!("this program is started by benches/side_by_side.py"),
    }
}

/// Loads a model like the other programs, with the folder and the engine of the environment.
fn embedder(model: &str) -> Arc<dyn Embedder> {
    let models_dir = models_dir();
    let card = ModelCard::find(model, models_dir.as_deref()).unwrap();
    let engine = engine(from_environment).unwrap();
    embed::load_with(&card, models_dir.as_deref(), engine).unwrap()
}

fn models_dir() -> Option<PathBuf> {
    from_environment(MODELS_DIR).map(PathBuf::from)
}

/// Decodes and resizes a photo for a model, as ingest does.
fn input_image(bytes: &[u8], card: &ModelCard) -> InputImage {
    let probed = image::probe(bytes, &Limits::default()).unwrap();
    probed.input_image(card.input.side, card.input.fit, card.input.filter).unwrap()
}

/// Reads a LIST.
fn read_list(list: &str) -> Vec<PathBuf> {
    std::fs::read_to_string(list).unwrap().lines().map(PathBuf::from).collect()
}

/// Answers each line of standard input. The first output line says that the worker is ready.
fn answer_lines(mut answer: impl FnMut(&str) -> String) {
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
    let image = input_image(&std::fs::read(photo).unwrap(), embedder.card());
    println!("{}", embedder.embed(&image).unwrap().iter().sum::<f32>());
}

/// Writes sample photos of each kind as JPEG files of 100 × 100 pixels.
fn paint(folder: &Path) {
    for kind in sample_photos::KINDS {
        let kind_folder = folder.join(kind.name());
        std::fs::create_dir_all(&kind_folder).unwrap();
        for number in 0..sample_photos::PHOTOS_PER_KIND {
            sample_photos::paint(kind, number, 100).save(kind_folder.join(format!("{number}.jpg"))).unwrap();
        }
    }
}
