//! The phases as programs, as a cluster runs them, and a whole run as a person starts it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use fruitvec::local::Server;
use fruitvec::model::DEFAULT_MODEL;
use fruitvec::photo::Photo;
use fruitvec::refit::{FitRecord, newest};
use fruitvec::store::Store;
use fruitvec::table::Encoded;
use serde_json::Value;

use crate::cli::{complaint, fruitvec, jpeg, said, text, variances};
use crate::fixture::{PHOTOS, RESULTS};

const RUN: &str = "20261124T030000Z-rebuild";

/// Photos in the bucket of a folder, one of them corrupt.
fn photos(data: &Path, count: u32) {
    let folder = data.join(PHOTOS).join("photos/Kiwi");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(data.join(RESULTS)).unwrap();
    for number in 0..count {
        std::fs::write(folder.join(format!("{number}.jpg")), jpeg(number)).unwrap();
    }
    std::fs::write(folder.join("half.jpg"), &jpeg(0)[..200]).unwrap();
}

/// A program that finds this server in its environment.
fn reaching(server: &Server, arguments: &[&str]) -> Command {
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

/// The photos of the current rows, and the newest fit.
async fn result(store: &Store) -> (BTreeMap<String, Photo>, FitRecord) {
    let snapshot = fruitvec::snapshot::Snapshot::take(store, RESULTS, DEFAULT_MODEL).await.unwrap();
    let mut photos = BTreeMap::new();
    for part in snapshot.parts {
        let key = part.part.embeddings_key();
        let rows = Encoded::new(&key, store.get(RESULTS, &key).await.unwrap()).rows().unwrap();
        let live = (0..).zip(rows).filter(|(number, _)| !part.dead.contains(number));
        photos.extend(live.map(|(_, row)| (row.photo.key.clone(), row.photo)));
    }
    (photos, newest(store, RESULTS, DEFAULT_MODEL).await.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_plan_work_and_commit_give_what_one_program_gives() {
    let data = tempfile::tempdir().unwrap();
    photos(data.path(), 15);
    let here = tempfile::tempdir().unwrap();
    photos(here.path(), 15);
    let server = Server::start(data.path(), 0).await.unwrap();
    let buckets = ["--photos", "s3://photos/", "--results", "s3://results"];
    let mut stage = None;
    let mut stages = Vec::new();
    loop {
        let staged: Vec<&str> =
            stage.as_deref().map(|stage| ["--stage", stage]).into_iter().flatten().collect();
        let phase = |name| [&[name, "rebuild", "--run", RUN][..], &staged, &buckets].concat();
        let tasks = said(&reaching(&server, &phase("plan")).output().unwrap());
        let lines: Vec<_> = tasks.lines().collect();
        assert!(lines.iter().all(|line| line.len() < 1000 && line.starts_with(r#"{"version":1"#)), "{tasks}");
        // Each task twice: on a cluster a slow one is.
        let mut outcomes = String::new();
        for _ in 0..2 {
            let work = reaching(&server, &[&["work", "--threads", "2"][..], &buckets].concat());
            outcomes += &said(&with_input(work, &tasks));
        }
        assert_eq!(outcomes.lines().count(), 2 * lines.len());
        assert!(
            outcomes.lines().all(|line| line.len() <= 4096 && line.contains(r#""state":"done""#)),
            "{outcomes}"
        );
        let committed = said(&with_input(reaching(&server, &phase("commit")), &outcomes));
        let committed: Value = serde_json::from_str(&committed).unwrap();
        stages.push(committed["stage"].as_str().unwrap().to_owned());
        match committed["next"].as_str() {
            Some(next) => stage = Some(next.to_owned()),
            None => break,
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

    let rebuilt = said(&crate::cli::run(&["rebuild", "--data", text(here.path())]));
    let (photos, fit) = result(&store).await;
    let server = Server::start(here.path(), 0).await.unwrap();
    let (expected, of_one) = result(&Store::new(server.client())).await;
    assert_eq!(photos.len(), 15);
    let etags = |photos: &BTreeMap<String, Photo>| photos.values().map(Photo::id).collect::<Vec<_>>();
    assert_eq!(etags(&photos), etags(&expected));
    assert_eq!((fit.rows, fit.rank), (of_one.rows, of_one.rank));
    for (a, b) in fit.explained_variance.iter().zip(&of_one.explained_variance) {
        assert!((a - b).abs() <= 1e-9 * b.max(1.0), "{a} {b}");
    }
    assert_eq!(variances(&rebuilt).len(), 20);
}

#[test]
fn a_rebuild_is_done_once_and_status_tells_of_it() {
    let data = tempfile::tempdir().unwrap();
    photos(data.path(), 13);
    let folder = ["--data", text(data.path())];
    let status = || said(&crate::cli::run(&[&["status"][..], &folder].concat()));
    let value = |status: &str, word: &str| {
        let line =
            status.lines().find(|line| line.split_whitespace().next() == Some(word)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let before = status();
    assert_eq!((value(&before, "photos").as_str(), value(&before, "missing").as_str()), ("14", "14"));
    assert_eq!(value(&before, "fit"), "none");
    let first = said(&crate::cli::run(&[&["rebuild"][..], &folder].concat()));
    assert_eq!(variances(&first).len(), 20, "{first}");
    let after = status();
    for (word, count) in
        [("current", "13"), ("rejected", "1"), ("missing", "0"), ("stale", "0"), ("gone", "0")]
    {
        assert_eq!(value(&after, word), count, "{after}");
    }
    assert!(after.contains("truncated: 1") && after.contains("of 13 photos"), "{after}");
    let written = crate::cli::files(&data.path().join("results/embeddings"));
    let second = said(&crate::cli::run(&[&["rebuild"][..], &folder].concat()));
    assert!(second.contains("as before: nothing has changed"), "{second}");
    assert_eq!(crate::cli::files(&data.path().join("results/embeddings")), written);
}

/// Waits for a line that begins so on the error stream; returns what follows.
fn until(child: &mut Child, word: &str) -> BufReader<std::process::ChildStderr> {
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(word) {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    errors
}

#[cfg(unix)]
#[test]
fn a_rebuild_that_is_interrupted_goes_on_when_it_is_run_again() {
    let data = tempfile::tempdir().unwrap();
    photos(data.path(), 60);
    let rebuild = ["rebuild", "--data", text(data.path()), "--threads", "1"];
    let mut child = fruitvec(&rebuild).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = until(&mut child, "backfill");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut errors, &mut rest).unwrap();
    let status = child.wait().unwrap();
    assert!(rest.contains("error: stopped; what is done is kept"), "{rest}");
    assert_eq!(status.code(), Some(1));
    let again = said(&crate::cli::run(&rebuild));
    assert!(again.contains("PCA of 60 photos"), "{again}");
}

#[test]
fn what_the_phases_can_t_work_with_is_said_in_one_line() {
    let nowhere = tempfile::tempdir().unwrap();
    let missing = nowhere.path().join("data");
    for command in ["rebuild", "status"] {
        let error = complaint(&[command, "--data", text(&missing)]);
        assert!(error.contains("there is no folder") && error.contains("--photos"), "{error}");
    }
    let error = complaint(&["plan", "backfill", "--run", RUN, "--results", "r"]);
    assert!(error.contains("--photos"), "{error}");
    let error = complaint(&["plan", "pca", "--run", RUN, "--results", "r", "--stage", "backfill"]);
    assert!(error.contains("the job pca has no stage backfill"), "{error}");
    // One of the codes is `panicked`, which nothing else may say.
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
