//! `fruitvec demo`, and `fruitvec pca` over its results.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fruitvec::contract::model_card::DEFAULT_MODEL;
use fruitvec_sample_photos::{KINDS, paint};
use image::ImageFormat;
use tempfile::TempDir;

use super::serve::parts;
use crate::support::program::{error_of, files, fruitvec, run, stdout_of, text, variances};
use crate::support::world::encode;

/// A folder with a small sample photo of each kind, a truncated photo and a text file.
fn folder_of_photos() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let label = folder.path().join(kind.name());
        fs::create_dir(&label).unwrap();
        fs::write(label.join("1.jpg"), encode(&paint(kind, 1, 64), ImageFormat::Jpeg)).unwrap();
    }
    let whole = encode(&paint(KINDS[0], 2, 64), ImageFormat::Jpeg);
    fs::write(folder.path().join("Kiwi/half.jpg"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path().join("LICENSE"), "Do as you please.").unwrap();
    folder
}

/// Returns the number after a word at the start of a line.
#[track_caller]
fn count(output: &str, word: &str) -> usize {
    let rest = output.lines().find_map(|line| line.strip_prefix(word));
    let rest = rest.unwrap_or_else(|| panic!("{word}: {output}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// Returns the files of the results, except those of runs: each run writes its own.
fn written(results: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut written = files(results);
    written.retain(|path, _| !path.starts_with(results.join("runs")));
    written
}

/// Checks that the files whose paths the demo prints exist.
#[track_caller]
fn assert_printed_files_exist(output: &str) {
    let pictures: Vec<_> =
        output.lines().filter_map(|line| line.strip_prefix("picture")).map(str::trim).collect();
    assert_eq!(pictures.len(), 2, "{output}");
    for picture in pictures {
        assert!(fs::read_to_string(picture).unwrap().starts_with("<svg"), "{picture}");
    }
    for name in ["embeddings", "reduced"] {
        let line = output.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let (folder, _) = line.trim().split_once("/date=*/*.parquet").unwrap();
        let parts = files(Path::new(folder));
        assert!(
            !parts.is_empty() && parts.keys().all(|it| it.extension().unwrap() == "parquet"),
            "{parts:?}"
        );
    }
}

#[test]
fn the_demo_embeds_and_fits_and_a_second_run_changes_nothing() {
    let (photos, data) = (folder_of_photos(), tempfile::tempdir().unwrap());
    let results = data.path().join("results");
    let demo = ["demo", text(photos.path()), "--data", text(data.path())];
    let first = stdout_of(&run(&demo));
    assert_eq!((count(&first, "embedded"), count(&first, "rejected"), count(&first, "already")), (12, 1, 0));
    assert!(first.contains("13 of 12 labels") && first.contains("1 file skipped"), "{first}");
    assert!(first.contains("photos/Kiwi/half.jpg: truncated: "), "{first}");
    assert_eq!(first.matches("photos/Kiwi/half.jpg").count(), 1, "{first}");
    // Twelve rows have eleven components with variance.
    let table = variances(&first);
    assert_eq!(table.len(), 20);
    assert!(table[..11].iter().all(|&(variance, _)| variance > 0.0));
    assert!(table[11..].iter().all(|&(variance, cumulative)| (variance, cumulative) == (0.0, 100.0)));
    assert_printed_files_exist(&first);

    let first = written(&results);
    let second = stdout_of(&run(&demo));
    assert_eq!((count(&second, "embedded"), count(&second, "already")), (0, 13), "{second}");
    assert!(second.contains("as before: nothing has changed"), "{second}");
    assert_eq!(variances(&second), table);
    assert_eq!(written(&results), first);

    let pca = stdout_of(&run(&["pca", "--data", text(data.path())]));
    assert_eq!(variances(&pca), table);
    assert_eq!(written(&results), first);
    let pca = stdout_of(&run(&["pca", "--data", text(data.path()), "--components", "3"]));
    assert_eq!(variances(&pca), table[..3]);
    assert!(written(&results).len() > first.len());
}

#[test]
fn the_demo_reports_unusable_arguments_in_one_line() {
    let (empty, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let demo = |dir: &Path, more: &[&str]| {
        error_of(&[&["demo", text(dir), "--data", text(data.path())], more].concat())
    };
    let error = demo(empty.path(), &[]);
    assert!(error.contains("there is no photo below") && error.contains(text(empty.path())), "{error}");
    let missing = empty.path().join("nowhere");
    let error = demo(&missing, &[]);
    assert!(error.contains(text(&missing)) && error.contains("No such file"), "{error}");
    fs::create_dir(empty.path().join("Kiwi")).unwrap();
    fs::write(empty.path().join("Kiwi/1.jpg"), "text").unwrap();
    let error = demo(empty.path(), &["--model", "vgg"]);
    assert!(error.contains("model vgg: ") && error.contains(DEFAULT_MODEL), "{error}");
    let error = error_of(&["pca", "--data", text(data.path())]);
    assert!(error.contains("there are no embeddings"), "{error}");
}

/// A rejected photo does not stop the demo, but without any row it can't fit a PCA.
#[test]
fn a_demo_of_rejects_alone_lists_them_and_fails_for_lack_of_embeddings() {
    let (photos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(photos.path().join("Kiwi")).unwrap();
    fs::write(photos.path().join("Kiwi/1.jpg"), "text").unwrap();
    let output = run(&["demo", text(photos.path()), "--data", text(data.path())]);
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("photos/Kiwi/1.jpg: not_an_image"), "{stdout}");
    assert!(stderr.starts_with("error: there are no embeddings"), "{stderr}");
}

/// As in `fruitvec … | head`.
#[test]
fn a_closed_output_pipe_ends_the_program_quietly() {
    let (photos, data) = (folder_of_photos(), tempfile::tempdir().unwrap());
    for arguments in [&["models", "list"][..], &["demo", text(photos.path()), "--data", text(data.path())]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = fruitvec(arguments).stdout(writer).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked") && !errors.contains("Broken pipe"), "{arguments:?}: {errors}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    }
    assert!(parts(data.path()) > 0, "the demo finishes the work that it has started");
}
