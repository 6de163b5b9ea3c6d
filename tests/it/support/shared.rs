//! The photos and models that are not part of the repository, and comparisons of embeddings.

use std::path::{Path, PathBuf};

/// The folder with `models`, `golden` and `data`, as set by `tests/run`.
pub(crate) fn shared() -> PathBuf {
    std::env::var_os("FRUITVEC_SHARED").map_or_else(|| "../shared".into(), PathBuf::from)
}

/// Returns every file below a folder, in the order of their paths.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Returns the cosine similarity of two embeddings.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
