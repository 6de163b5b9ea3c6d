//! `plan`, `work` and `commit` as separate processes, as on a cluster, and `rebuild` and `status`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use fruitvec::contract::fit::FitRecord;
use fruitvec::contract::model_card::DEFAULT_MODEL;
use fruitvec::contract::photo::Photo;
use fruitvec::s3::{Store, newest_fit};
use fruitvec::table::{PartReader, Snapshot};
use fruitvec_embedded_s3::Server;
use serde_json::Value;

use crate::support::program::{
    error_of, files, fruitvec, fruitvec_that_hangs, jpeg, run, stdout_of, text, variances,
};
use crate::support::world::{PHOTOS, RESULTS};

const RUN: &str = "20261124T030000Z-rebuild";

/// Creates both buckets in a folder, with photos and one truncated photo.
fn create_buckets(data: &Path, count: u32) {
    let folder = data.join(PHOTOS).join("photos/Kiwi");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(data.join(RESULTS)).unwrap();
    for number in 0..count {
        std::fs::write(folder.join(format!("{number}.jpg")), jpeg(number)).unwrap();
    }
    std::fs::write(folder.join("half.jpg"), &jpeg(0)[..200]).unwrap();
}

/// A command that finds the server through its environment.
fn with_server(server: &Server, arguments: &[&str]) -> Command {
    let mut command = fruitvec(arguments);
    command
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_REGION", "eu-west-3")
        .env("AWS_SHARED_CREDENTIALS_FILE", server.credentials_file());
    command
}

fn with_input(mut command: Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Plans, works and commits one stage in separate processes. Returns the line of the commit.
fn run_stage(server: &Server, stage: Option<&str>) -> Value {
    let buckets = ["--photos", "s3://photos/", "--results", "s3://results"];
    let stage: Vec<&str> = stage.map(|stage| ["--stage", stage]).into_iter().flatten().collect();
    let phase = |name| [&[name, "rebuild", "--run", RUN][..], &stage, &buckets].concat();
    let tasks = stdout_of(&with_server(server, &phase("plan")).output().unwrap());
    let lines: Vec<_> = tasks.lines().collect();
    assert!(lines.iter().all(|line| line.len() < 1000 && line.starts_with(r#"{"version":1"#)), "{tasks}");
    // Twice, because a cluster may start a slow task a second time.
    let mut outcomes = String::new();
    for _ in 0..2 {
        let work = with_server(server, &[&["work", "--threads", "2"][..], &buckets].concat());
        outcomes += &stdout_of(&with_input(work, &tasks));
    }
    assert_eq!(outcomes.lines().count(), 2 * lines.len());
    assert!(
        outcomes.lines().all(|line| line.len() <= 4096 && line.contains(r#""state":"done""#)),
        "{outcomes}"
    );
    let committed = stdout_of(&with_input(with_server(server, &phase("commit")), &outcomes));
    serde_json::from_str(&committed).unwrap()
}

/// Returns the photos of the current rows, and the newest fit.
async fn results(store: &Store) -> (BTreeMap<String, Photo>, FitRecord) {
    let snapshot = Snapshot::take(store, RESULTS, DEFAULT_MODEL).await.unwrap();
    let mut photos = BTreeMap::new();
    for part in snapshot.parts {
        let key = part.part.embeddings_key();
        let rows = PartReader::new(&key, store.get(RESULTS, &key).await.unwrap()).rows().unwrap();
        let current = (0..).zip(rows).filter(|(number, _)| !part.dead.contains(number));
        photos.extend(current.map(|(_, row)| (row.photo.key.clone(), row.photo)));
    }
    (photos, newest_fit(store, RESULTS, DEFAULT_MODEL).await.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn separate_phases_give_the_results_of_a_rebuild_in_one_process() {
    let (separate, single) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    create_buckets(separate.path(), 15);
    create_buckets(single.path(), 15);
    let server = Server::start(separate.path(), 0).await.unwrap();
    let mut stages = Vec::new();
    let mut next = None;
    loop {
        let committed = run_stage(&server, next.as_deref());
        stages.push(committed["stage"].as_str().unwrap().to_owned());
        next = committed["next"].as_str().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    assert_eq!(stages, ["backfill", "compact", "moments", "project"]);
    let store = Store::new(server.client());
    let record = store.get(RESULTS, &format!("runs/{RUN}/run.json")).await.unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(
        (&record["version"], &record["run"], &record["job"]),
        (&1.into(), &RUN.into(), &"rebuild".into())
    );
    assert_eq!((&record["photos_listed"], &record["model"]), (&16.into(), &DEFAULT_MODEL.into()));

    let rebuilt = stdout_of(&run(&["rebuild", "--data", text(single.path())]));
    let (photos, fit) = results(&store).await;
    let server = Server::start(single.path(), 0).await.unwrap();
    let (expected, expected_fit) = results(&Store::new(server.client())).await;
    assert_eq!(photos.len(), 15);
    let ids = |photos: &BTreeMap<String, Photo>| photos.values().map(Photo::id).collect::<Vec<_>>();
    assert_eq!(ids(&photos), ids(&expected));
    assert_eq!((fit.rows, fit.rank), (expected_fit.rows, expected_fit.rank));
    for (a, b) in fit.explained_variance.iter().zip(&expected_fit.explained_variance) {
        assert!((a - b).abs() <= 1e-9 * b.max(1.0), "{a} {b}");
    }
    assert_eq!(variances(&rebuilt).len(), 20);
}

#[test]
fn a_second_rebuild_changes_nothing_and_status_reports_both() {
    let data = tempfile::tempdir().unwrap();
    create_buckets(data.path(), 13);
    let folder = ["--data", text(data.path())];
    let status = || stdout_of(&run(&[&["status"][..], &folder].concat()));
    let value = |status: &str, word: &str| {
        let line =
            status.lines().find(|line| line.split_whitespace().next() == Some(word)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let before = status();
    assert_eq!((value(&before, "photos").as_str(), value(&before, "missing").as_str()), ("14", "14"));
    assert_eq!(value(&before, "fit"), "none");
    let first = stdout_of(&run(&[&["rebuild"][..], &folder].concat()));
    assert_eq!(variances(&first).len(), 20, "{first}");
    let after = status();
    for (word, count) in
        [("current", "13"), ("rejected", "1"), ("missing", "0"), ("stale", "0"), ("gone", "0")]
    {
        assert_eq!(value(&after, word), count, "{after}");
    }
    assert!(after.contains("truncated: 1") && after.contains("of 13 photos"), "{after}");
    let written = files(&data.path().join("results/embeddings"));
    let second = stdout_of(&run(&[&["rebuild"][..], &folder].concat()));
    assert!(second.contains("as before: nothing has changed"), "{second}");
    assert_eq!(files(&data.path().join("results/embeddings")), written);
}

/// Reads standard error up to a line that starts with a word. Returns the rest.
fn until(child: &mut Child, word: &str) -> BufReader<ChildStderr> {
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(word) {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "the program has exited");
    }
    errors
}

#[cfg(unix)]
#[test]
fn an_interrupted_rebuild_continues_when_it_is_run_again() {
    let data = tempfile::tempdir().unwrap();
    create_buckets(data.path(), 60);
    let rebuild = ["rebuild", "--data", text(data.path()), "--threads", "1"];
    let mut child = fruitvec(&rebuild).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = until(&mut child, "backfill");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    let status = child.wait().unwrap();
    assert!(rest.contains("error: stopped; what is done is kept"), "{rest}");
    assert_eq!(status.code(), Some(1));
    let again = stdout_of(&run(&rebuild));
    assert!(again.contains("PCA of 60 photos"), "{again}");
}

#[test]
fn the_phases_report_unusable_arguments_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("data");
    for command in ["rebuild", "status"] {
        let error = error_of(&[command, "--data", text(&missing)]);
        assert!(error.contains("there is no folder") && error.contains("--photos"), "{error}");
    }
    let error = error_of(&["plan", "backfill", "--run", RUN, "--results", "r"]);
    assert!(error.contains("--photos"), "{error}");
    let error = error_of(&["plan", "pca", "--run", RUN, "--results", "r", "--stage", "backfill"]);
    assert!(error.contains("the job pca has no stage backfill"), "{error}");
    // Not with `error_of`: this error lists the codes, and one of them is `panicked`.
    let output = fruitvec(&["plan", "compact", "--run", RUN, "--results", "r", "--retry-rejects=dull"])
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("error: ") && errors.contains("dull") && errors.contains("truncated"),
        "{errors}"
    );
    let output = with_input(fruitvec(&["work", "--results", "r"]), "nonsense\n");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("error: not a task: ") && errors.contains("nonsense"), "{errors}");
    assert_eq!(output.status.code(), Some(1));
    for wrong in [["--run", "tomorrow", "--photos", "s3://p"], ["--run", RUN, "--photos", "s3://p/folder"]] {
        let output =
            fruitvec(&[&["plan", "backfill", "--results", "r"][..], &wrong].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_hangs_costs_a_rebuild_only_itself_even_with_one_thread() {
    let data = tempfile::tempdir().unwrap();
    create_buckets(data.path(), 4);
    let hanging = [&jpeg(9), &b"hang"[..]].concat();
    std::fs::write(data.path().join(PHOTOS).join("photos/Kiwi/hang.jpg"), hanging).unwrap();
    let rebuilt = fruitvec_that_hangs(&["rebuild", "--data", text(data.path())]).output().unwrap();
    stdout_of(&rebuilt);
    let server = Server::start(data.path(), 0).await.unwrap();
    let store = Store::new(server.client());
    let mut rejects = Vec::new();
    let list = store.list(RESULTS, "rejects/", |object| {
        rejects.push(object.key);
        Ok(())
    });
    list.await.unwrap();
    let mut codes = Vec::new();
    for key in &rejects {
        let reject: Value = serde_json::from_slice(&store.get(RESULTS, key).await.unwrap()).unwrap();
        codes.push(reject["code"].as_str().unwrap().to_owned());
    }
    codes.sort();
    assert_eq!(codes, ["too_slow", "truncated"]);
    // All later stages have run.
    assert_eq!(results(&store).await.1.rows, 4);
}
