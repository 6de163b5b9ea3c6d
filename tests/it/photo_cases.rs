//! The files of `../shared/cases/photos`, each with the outcome that its README asks for.

use std::path::PathBuf;

use fruitvec::contract::limits::Limits;
use fruitvec::embed::Embedder;
use fruitvec::image::probe;
use fruitvec::rejection::{RejectCode, Rejection};

use crate::support::sample_table::embedder;
use crate::support::shared::{cosine, files_below, shared};

/// Files that show the same as their twin.
const EMBEDDED: &[(&str, &str)] = &[
    ("associated-alpha.tif", "associated-alpha-twin.png"),
    ("big.tif", "display-p3-twin.png"),
    ("display-p3.jpg", "display-p3-twin.png"),
    ("display-p3.png", "display-p3-twin.png"),
    ("display-p3.webp", "display-p3-twin.png"),
    ("jpeg-in-tiff.tif", "display-p3-twin.png"),
    ("palette.tif", "display-p3-twin.png"),
    ("webp-exif-prefixed-orientation-6.webp", "webp-exif-prefixed-orientation-6-twin.png"),
];
/// The smallest cosine to the twin.
const MIN_COSINE: f64 = 0.995;
/// For a picture that has only 64 colours.
const MIN_COSINE_OF_PALETTE: f64 = 0.99;

/// Files that are rejected, with a word of the message.
const REJECTED: &[(&str, RejectCode, &str)] = &[
    ("form-body.jpg", RejectCode::NotAnImage, "multipart"),
    ("git-lfs-pointer.jpg", RejectCode::NotAnImage, "git lfs pull"),
    ("half-plus-eoi.jpg", RejectCode::Truncated, "upload it again"),
    ("half-then-another.jpg", RejectCode::Truncated, "upload it again"),
    ("mangled-as-text.jpg", RejectCode::NotAnImage, "text"),
    ("overlapping-strips-deflate.tif", RejectCode::Corrupt, "strips"),
    ("overlapping-strips-lzw.tif", RejectCode::Corrupt, "strips"),
    ("overlapping-strips-packbits.tif", RejectCode::Corrupt, "strips"),
    ("web-page-with-svg.jpg", RejectCode::NotAnImage, "HTML"),
];

fn photo(name: &str) -> PathBuf {
    shared().join("cases/photos").join(name)
}

fn embedding(name: &str, embedder: &dyn Embedder) -> Result<Vec<f32>, Rejection> {
    let probed = probe(std::fs::read(photo(name)).unwrap(), &Limits::default())?;
    let input = &embedder.card().input;
    Ok(embedder.embed(&probed.input_image(input.side, input.fit, input.filter)?).unwrap())
}

#[test]
#[ignore = "needs the cases of ../shared"]
fn needs_shared_every_photo_among_the_cases_has_its_right_outcome() {
    let embedder = embedder();
    let mut problems = Vec::new();
    for (name, twin) in EMBEDDED {
        let least = if *name == "palette.tif" { MIN_COSINE_OF_PALETTE } else { MIN_COSINE };
        let twin = embedding(twin, &*embedder).unwrap();
        match embedding(name, &*embedder).map(|found| cosine(&found, &twin)) {
            Ok(found) if found >= least => {}
            Ok(found) => problems.push(format!("{name}: the cosine to its twin is {found:.5}")),
            Err(rejection) => problems.push(format!("{name}: {rejection}")),
        }
    }
    for (name, code, word) in REJECTED {
        match embedding(name, &*embedder) {
            Err(rejection) if rejection.code == *code && rejection.message.contains(word) => {}
            Err(rejection) => problems.push(format!("{name}: not {code} with “{word}”: {rejection}")),
            Ok(_) => problems.push(format!("{name}: not rejected")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
#[ignore = "needs the cases of ../shared"]
fn needs_shared_no_photo_among_the_cases_is_left_out() {
    let expected = EMBEDDED.iter().flat_map(|(name, twin)| [*name, *twin]);
    let expected: Vec<_> = expected.chain(REJECTED.iter().map(|(name, ..)| *name)).collect();
    for file in files_below(&shared().join("cases/photos")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(expected.contains(&name), "{name}");
    }
}
