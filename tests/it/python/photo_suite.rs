//! Photos as they really come: each file of `tests/python/photo_suite` has its expected outcome.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fruitvec::contract::model_card::DEFAULT_MODEL;
use fruitvec::rejection::RejectCode;
use fruitvec::table::Row;
use fruitvec::table::reject::Reject;
use serde::Deserialize;

use super::script::run;
use crate::support::results::{current_rows, rejects};
use crate::support::sample_table::{Photo, Table, embedder};
use crate::support::shared::{cosine, files_below};

/// A line of the manifest.
#[derive(Debug, Deserialize)]
struct Case {
    /// The key of the photo, and its file.
    file: String,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    /// The photo has a row like the one of its twin, which shows what a person sees.
    Embedded { twin: String, cosine: f64, width: u32, height: u32 },
    /// The photo shows something else than its twin, and the embeddings tell.
    Different { twin: String, below: f64 },
    /// The photo has a reject with this code, and with these words in its message.
    Rejected { code: RejectCode, words: Vec<String> },
}

/// What ingest wrote.
struct Results {
    rows: BTreeMap<String, Row>,
    rejects: BTreeMap<String, Reject>,
}

#[tokio::test]
#[ignore = "needs Python: tests/run installs it"]
async fn needs_python_every_file_of_the_photo_suite_has_its_expected_outcome() {
    let folder = tempfile::tempdir().unwrap();
    run("photo_suite", &[folder.path().as_ref()]);
    let manifest = fs::read_to_string(folder.path().join("manifest.jsonl")).unwrap();
    let cases: Vec<Case> = manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(cases.len() >= 150, "{} files", cases.len());
    let results = ingest_all(folder.path()).await;
    let problems: Vec<String> =
        cases.iter().filter_map(|case| Some(format!("{}: {}", case.file, results.problem(case)?))).collect();
    assert!(problems.is_empty(), "{} of {} files:\n{}", problems.len(), cases.len(), problems.join("\n"));
}

/// Uploads the photos below a folder, and ingests them.
async fn ingest_all(folder: &Path) -> Results {
    let table = Table::new(embedder()).await;
    let put_all = async {
        for file in ["photos", "uploads"].iter().flat_map(|part| files_below(&folder.join(part))) {
            let key = file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            table.put(&Photo { key, label: None, bytes: fs::read(file).unwrap() }).await;
        }
    };
    table.ingest_changes(put_all).await;
    let rows = current_rows(&table.store, DEFAULT_MODEL).await;
    Results { rows, rejects: rejects(&table.store, DEFAULT_MODEL).await }
}

impl Results {
    /// Returns how the outcome of a photo differs from the expected one.
    fn problem(&self, case: &Case) -> Option<String> {
        match &case.expected {
            Expected::Embedded { twin, cosine, width, height } => self.row(&case.file).and_then(|row| {
                let found = self.cosine(row, twin)?;
                // NaN is not near either.
                let is_near = found >= *cosine;
                if !is_near {
                    return Err(format!("the cosine to {twin} is {found:.5}, not {cosine}"));
                }
                if (row.width, row.height) != (*width, *height) {
                    return Err(format!("{}×{} pixels, not {width}×{height}", row.width, row.height));
                }
                Ok(())
            }),
            Expected::Different { twin, below } => self.row(&case.file).and_then(|row| {
                let found = self.cosine(row, twin)?;
                if found < *below { Ok(()) } else { Err(format!("the cosine to {twin} is only {found:.5}")) }
            }),
            Expected::Rejected { code, words } => self.check_reject(&case.file, *code, words),
        }
        .err()
    }

    fn row(&self, file: &str) -> Result<&Row, String> {
        self.rows.get(file).ok_or_else(|| match self.rejects.get(file) {
            Some(reject) => format!("rejected as {}: {}", reject.code, reject.message),
            None => "neither embedded nor rejected".to_owned(),
        })
    }

    fn cosine(&self, row: &Row, twin: &str) -> Result<f64, String> {
        let twin = self.row(twin).map_err(|problem| format!("its twin {twin}: {problem}"))?;
        Ok(cosine(&row.embedding, &twin.embedding))
    }

    fn check_reject(&self, file: &str, code: RejectCode, words: &[String]) -> Result<(), String> {
        let Some(Reject { code: found, message, .. }) = self.rejects.get(file) else {
            let what = if self.rows.contains_key(file) { "embedded" } else { "no outcome" };
            return Err(format!("{what}, not rejected as {code}"));
        };
        let lower = message.to_lowercase();
        let missing: Vec<_> = words.iter().filter(|word| !lower.contains(&word.to_lowercase())).collect();
        if *found != code || !missing.is_empty() {
            return Err(format!("rejected as {found}, not as {code} with {missing:?}: {message}"));
        }
        if has_programmers_notation(message) {
            return Err(format!("the message is not for people: {message}"));
        }
        Ok(())
    }
}

/// Returns whether a message has hexadecimal digits, or values as Rust's `Debug` prints them.
fn has_programmers_notation(message: &str) -> bool {
    let is_hex = |word: &str| {
        word.len() >= 8
            && word.bytes().all(|byte| byte.is_ascii_hexdigit())
            && word.bytes().any(|byte| byte.is_ascii_alphabetic())
            && word.bytes().any(|byte| byte.is_ascii_digit())
    };
    let has_debug = message.contains(['{', '}', '[', ']', '\\']) || message.contains("::");
    has_debug || message.split(|letter: char| !letter.is_alphanumeric()).any(is_hex)
}
