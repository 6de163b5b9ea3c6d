//! A fuzzing target: seeds, edits of them, and a check of each result.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::edits::{Edit, apply, edits};

/// A named set of files to start from, and how to repair an edited one.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// The number of cases without `FRUITVEC_FUZZ_CASES`.
    pub(super) cases: u32,
    pub(super) seeds: Vec<Vec<u8>>,
    /// Makes checksums match again, so that an edit reaches the code behind them.
    pub(super) repair: fn(&mut [u8]),
}

impl Target {
    /// Checks the seeds, the findings of earlier runs, and edited seeds.
    ///
    /// The file that is being checked is in the target's folder of temporary files. It stays there
    /// if the process is killed. If the check panics, it becomes the finding.
    pub(super) fn run(self, check: impl Fn(&[u8])) {
        let Self { name, cases, mut seeds, repair } = self;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
        fs::create_dir_all(&folder).unwrap();
        let checked = |bytes: &[u8]| {
            let input = folder.join(format!("{name}.input"));
            fs::write(&input, bytes).unwrap();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(bytes))) {
                let finding = folder.join(format!("{name}.finding"));
                fs::rename(&input, &finding).unwrap();
                println!("{name}: see {}", finding.display());
                resume_unwind(panic);
            }
        };
        seeds.extend(findings(name));
        seeds.iter().for_each(|seed| checked(seed));
        let cases = std::env::var("FRUITVEC_FUZZ_CASES").map_or(cases, |cases| cases.parse().unwrap());
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
        let (first, second) = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
        let edited = |(first, second, edits): (prop::sample::Index, prop::sample::Index, Vec<Edit>)| {
            let (first, second) = (first.get(&seeds), second.get(&seeds));
            let mut bytes = apply(&edits, first, second);
            checked(&bytes);
            let unrepaired = bytes.clone();
            repair(&mut bytes);
            if bytes != unrepaired {
                checked(&bytes);
            }
            Ok(())
        };
        TestRunner::new(config).run(&(first, second, edits()), edited).unwrap();
    }
}

/// Returns the files in the folder of a target's findings.
fn findings(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz").join(name);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}
