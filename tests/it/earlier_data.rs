//! A data folder that version 0.1.0 wrote, read and rebuilt by this version.
//!
//! The folder `tests/fixtures/data-0.1.0` was written by `serve`, `rebuild` and `pca`. It contains
//! three parts of one day (a compaction has replaced one of them), a reject, a removal, two fits,
//! and the files of two runs.

use std::fs;
use std::path::{Path, PathBuf};

use fruitvec::batch::pca::FitResult;
use fruitvec::batch::plan::{PlanOptions, plan};
use fruitvec::batch::run::Run;
use fruitvec::contract::fit::FitRecord;
use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::contract::run::{Job, Stage};
use fruitvec::s3::Store;
use fruitvec::table::{PartReader, Row};
use fruitvec_embedded_s3::Server;
use tempfile::TempDir;

use crate::support::program::{files, run, stdout_of, text};

/// The newest fit in the folder.
const FIT: &str = "20261128T123339339Z-e3694a71";
/// The part that a compaction of version 0.1.0 replaced.
const REPLACED: &str = "0ed51faef3489ae49ce23193b85aee2b.parquet";

/// A copy of the folder that may be written to.
fn earlier_data() -> TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-0.1.0");
    let copy = tempfile::tempdir().unwrap();
    for file in files(&source).keys() {
        let target = copy.path().join(file.strip_prefix(&source).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
    copy
}

fn day(data: &Path) -> PathBuf {
    data.join(format!("results/embeddings/model={DEFAULT_MODEL}/date=2026-11-20"))
}

fn rows(part: &Path) -> Vec<Row> {
    PartReader::new(text(part), fs::read(part).unwrap().into()).rows().unwrap()
}

fn fit(data: &Path, id: &str) -> FitRecord {
    let file = data.join(format!("results/pca/model={DEFAULT_MODEL}/fit={id}/fit.json"));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn status_reads_earlier_data() {
    let data = earlier_data();
    let status = stdout_of(&run(&["status", "--data", text(data.path())]));
    for line in [
        "photos      6",
        "current     5",
        "rejected    1",
        "truncated: 1",
        "missing     0",
        "stale       0",
        "gone        0",
        "parts       3",
        "to compact  2",
        &format!("fit         {FIT} of 5 photos"),
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
}

#[test]
fn a_rebuild_compacts_earlier_data_and_gives_the_same_fit() {
    let data = earlier_data();
    let before: Vec<Row> = files(&day(data.path()))
        .keys()
        .filter(|part| !part.ends_with(REPLACED))
        .flat_map(|part| rows(part))
        .collect();
    stdout_of(&run(&["rebuild", "--data", text(data.path()), "--components", "2", "--grace-hours", "0"]));

    // The replaced part is deleted, and the other two stay until a later run deletes them.
    let parts: Vec<PathBuf> = files(&day(data.path())).into_keys().collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    assert!(!parts.iter().any(|part| part.ends_with(REPLACED)), "{parts:?}");
    let compacted =
        parts.iter().map(|part| rows(part)).find(|rows| rows.len() == 5).expect("a part with all rows");
    for row in &compacted {
        assert!(before.contains(row), "{}", row.photo.key);
    }

    let latest =
        fs::read(data.path().join(format!("results/pca/model={DEFAULT_MODEL}/latest.json"))).unwrap();
    let latest: serde_json::Value = serde_json::from_slice(&latest).unwrap();
    let (old, new) = (fit(data.path(), FIT), fit(data.path(), latest["fit"].as_str().unwrap()));
    assert_ne!(old.fit, new.fit, "another set of parts has another fit");
    for (old, new) in old.explained_variance.iter().zip(&new.explained_variance) {
        assert!((old - new).abs() <= 1e-9 * old, "{old} {new}");
    }
}

/// The run has lists, plans and an unpublished fit.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_an_earlier_version_planned_is_finished() {
    let data = earlier_data();
    let server = Server::start(data.path(), 0).await.unwrap();
    let run = Run {
        id: "20261128T123339Z-pca".parse().unwrap(),
        job: Job::Pca,
        store: Store::new(server.client()),
        photos_bucket: "photos".into(),
        results_bucket: "results".into(),
        card: ModelCard::find(DEFAULT_MODEL, None).unwrap(),
    };
    let mut tasks = Vec::new();
    let mut take = |task| {
        tasks.push(task);
        Ok(())
    };
    plan(&run, Stage::Project, &PlanOptions::default(), &mut take).await.unwrap();
    let [task] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(
        task.line().unwrap(),
        format!(
            r#"{{"version":1,"run":"20261128T123339Z-pca","task":"project-000001","model":"{DEFAULT_MODEL}","list":"runs/20261128T123339Z-pca/project/project-000001.json","kind":"project","parts":2,"rows":5}}"#
        )
    );
    let worker = crate::batch::worker_without_photos(&run);
    let outcome = worker.work(task).await.unwrap();
    let committed = fruitvec::batch::commit::commit(&run, Stage::Project, vec![outcome]).await.unwrap();
    assert_eq!((committed.next, committed.counts.get("rows")), (None, 5));
    let published = fruitvec::s3::newest_fit(&run.store, "results", DEFAULT_MODEL).await.unwrap().unwrap();
    assert_eq!(FitResult::new(published, true).record.fit, FIT);
}
