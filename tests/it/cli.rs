//! The program as a person runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use fruitvec::local::painter::{KINDS, paint};
use fruitvec::local::{Credentials, client};
use image::ImageFormat;
use tempfile::TempDir;

use crate::fixture::encoded;

/// How long anything here may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const MODEL: &str = "fruit-mobilenetv2-035-128";

pub(crate) fn fruitvec(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fruitvec"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FRUITVEC_")) {
        command.env_remove(name);
    }
    command
}

/// Runs to the end; a panic is never right.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let output = fruitvec(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

#[track_caller]
pub(crate) fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a run that must fail says; nothing but the error, and that on the error stream.
#[track_caller]
pub(crate) fn complaint(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("error: ") && errors.lines().count() == 1, "{errors}");
    errors
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The files below a folder, with their sizes and times.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            let metadata = path.metadata().unwrap();
            found.insert(path, (metadata.len(), metadata.modified().unwrap()));
        }
    }
    found
}

/// One small painted photo of each kind in its folder, one that is corrupt, and a file that is no photo.
fn folder_of_photos() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let label = folder.path().join(kind.name());
        fs::create_dir(&label).unwrap();
        fs::write(label.join("1.jpg"), encoded(&paint(kind, 1, 64), ImageFormat::Jpeg)).unwrap();
    }
    let whole = encoded(&paint(KINDS[0], 2, 64), ImageFormat::Jpeg);
    fs::write(folder.path().join("Kiwi/half.jpg"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path().join("LICENSE"), "Do as you please.").unwrap();
    folder
}

/// The number behind a word at the beginning of a line.
#[track_caller]
fn count(said: &str, word: &str) -> usize {
    let line =
        said.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("{word}: {said}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Rows of the explained-variance table: variance and cumulative variance, per cent.
pub(crate) fn variances(said: &str) -> Vec<(f64, f64)> {
    let table = said.lines().skip_while(|line| !line.starts_with("component ")).skip(1);
    let rows = table.take_while(|line| !line.is_empty()).zip(1..);
    rows.map(|(line, number)| {
        let mut words = line.split_whitespace();
        assert_eq!(words.next().unwrap().parse(), Ok(number), "{line}");
        let mut percent = || words.next().unwrap().parse().unwrap();
        (percent(), percent())
    })
    .collect()
}

#[test]
fn the_demo_does_the_whole_job_and_then_nothing_twice() {
    let (photos, data) = (folder_of_photos(), tempfile::tempdir().unwrap());
    let results = data.path().join("results");
    let demo = ["demo", text(photos.path()), "--data", text(data.path())];
    let first = said(&run(&demo));
    assert_eq!((count(&first, "embedded"), count(&first, "rejected"), count(&first, "already")), (12, 1, 0));
    assert!(first.contains("13 of 12 labels") && first.contains("1 file skipped"), "{first}");
    assert!(first.contains("photos/Kiwi/half.jpg: truncated: "), "{first}");
    assert_eq!(first.matches("photos/Kiwi/half.jpg").count(), 1, "{first}");
    let table = variances(&first);
    assert_eq!(table.len(), 20);
    assert!(table[..11].iter().all(|&(variance, _)| variance > 0.0));
    assert!(table[11..].iter().all(|&(variance, cumulative)| (variance, cumulative) == (0.0, 100.0)));

    let pictures: Vec<_> =
        first.lines().filter_map(|line| line.strip_prefix("picture")).map(str::trim).collect();
    assert_eq!(pictures.len(), 2, "{first}");
    for picture in pictures {
        assert!(fs::read_to_string(picture).unwrap().starts_with("<svg"), "{picture}");
    }
    for name in ["embeddings", "reduced"] {
        let line = first.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let (folder, _) = line.trim().split_once("/date=*/*.parquet").unwrap();
        let parts = files(Path::new(folder));
        assert!(
            !parts.is_empty() && parts.keys().all(|it| it.extension().unwrap() == "parquet"),
            "{parts:?}"
        );
    }

    // Each run leaves papers of its own.
    let written = || {
        let mut written = files(&results);
        written.retain(|path, _| !path.starts_with(results.join("runs")));
        written
    };
    let first = written();
    let second = said(&run(&demo));
    assert_eq!((count(&second, "embedded"), count(&second, "already")), (0, 13), "{second}");
    assert!(second.contains("as before: nothing has changed"), "{second}");
    assert_eq!(variances(&second), table);
    assert_eq!(written(), first);

    let pca = said(&run(&["pca", "--data", text(data.path())]));
    assert_eq!(variances(&pca), table);
    assert_eq!(written(), first);
    let pca = said(&run(&["pca", "--data", text(data.path()), "--components", "3"]));
    assert_eq!(variances(&pca), table[..3]);
    assert!(written().len() > first.len());
}

#[test]
fn what_the_demo_can_t_work_with_is_said_in_one_line() {
    let (empty, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let demo = |dir: &Path, more: &[&str]| {
        complaint(&[&["demo", text(dir), "--data", text(data.path())], more].concat())
    };
    let error = demo(empty.path(), &[]);
    assert!(error.contains("there is no photo below") && error.contains(text(empty.path())), "{error}");
    let missing = empty.path().join("nowhere");
    let error = demo(&missing, &[]);
    assert!(error.contains(text(&missing)) && error.contains("No such file"), "{error}");
    fs::create_dir(empty.path().join("Kiwi")).unwrap();
    fs::write(empty.path().join("Kiwi/1.jpg"), "text").unwrap();
    let error = demo(empty.path(), &["--model", "vgg"]);
    assert!(error.contains("model vgg: ") && error.contains(MODEL), "{error}");
    let error = complaint(&["pca", "--data", text(data.path())]);
    assert!(error.contains("there are no embeddings"), "{error}");
}

/// A photo that is no photo is no reason to stop, but without any there is nothing to fit.
#[test]
fn a_demo_of_rejects_only_says_what_they_are_and_that_nothing_is_left() {
    let (photos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(photos.path().join("Kiwi")).unwrap();
    fs::write(photos.path().join("Kiwi/1.jpg"), "text").unwrap();
    let output = run(&["demo", text(photos.path()), "--data", text(data.path())]);
    let (said, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("photos/Kiwi/1.jpg: not_an_image"), "{said}");
    assert!(errors.starts_with("error: there are no embeddings"), "{errors}");
}

#[test]
fn the_models_are_listed_and_the_bundled_one_is_right() {
    let list = said(&run(&["models", "list"]));
    let line = list.lines().find(|line| line.starts_with(MODEL)).unwrap();
    assert!(line.contains("bundled") && line.contains("1280"), "{line}");
    let ids: BTreeSet<_> = list.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(ids.len(), list.lines().count() - 1);
    assert!(said(&run(&["models", "verify", MODEL])).contains("1280 finite numbers"));
    assert!(complaint(&["models", "verify", "vgg"]).contains("there is no card of that id"));
}

/// `fruitvec … | head`: whoever reads has enough.
#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let (photos, data) = (folder_of_photos(), tempfile::tempdir().unwrap());
    for arguments in [&["models", "list"][..], &["demo", text(photos.path()), "--data", text(data.path())]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = fruitvec(arguments).stdout(writer).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked") && !errors.contains("Broken pipe"), "{arguments:?}: {errors}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    }
    assert!(parts(data.path()) > 0, "what was begun is finished");
}

/// `fruitvec serve` on a free port; killed when it is dropped.
struct Serving {
    child: Child,
    output: BufReader<ChildStdout>,
    endpoint: String,
    credentials: PathBuf,
}

impl Serving {
    fn on(data: &Path) -> Self {
        let mut command = fruitvec(&["serve", "--port", "0", "--data", text(data)]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Self { child, output, endpoint: String::new(), credentials: PathBuf::new() };
        let exported = |line: &str, name: &str| {
            let rest = line.split_once(name)?.1;
            rest.split_whitespace().next().map(str::to_owned)
        };
        while serving.credentials.as_os_str().is_empty() {
            let line = serving.line();
            if let Some(endpoint) = exported(&line, "AWS_ENDPOINT_URL=") {
                serving.endpoint = endpoint;
            }
            if let Some(file) = exported(&line, "AWS_SHARED_CREDENTIALS_FILE=") {
                serving.credentials = file.into();
            }
        }
        serving
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        if self.output.read_line(&mut line).unwrap() == 0 {
            let mut errors = String::new();
            _ = self.child.stderr.take().unwrap().read_to_string(&mut errors);
            panic!("it has ended: {errors}");
        }
        line
    }

    /// Reads on to the line that begins with this word.
    #[track_caller]
    fn until(&mut self, word: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(word) {
                return line;
            }
        }
    }

    fn client(&self) -> Client {
        let text = fs::read_to_string(&self.credentials).unwrap();
        let value = |name| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let credentials = Credentials {
            access_key_id: value("aws_access_key_id="),
            secret_access_key: value("aws_secret_access_key="),
        };
        client(&self.endpoint, &credentials)
    }

    /// Ctrl-C.
    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub(crate) fn jpeg(number: u32) -> Vec<u8> {
    encoded(&paint(KINDS[number as usize % KINDS.len()], number, 48), ImageFormat::Jpeg)
}

async fn put(client: &Client, key: &str, bytes: Vec<u8>) {
    client.put_object().bucket("photos").key(key).body(ByteStream::from(bytes)).send().await.unwrap();
}

fn parts(data: &Path) -> usize {
    let folder = data.join(format!("results/embeddings/model={MODEL}"));
    if folder.exists() { files(&folder).len() } else { 0 }
}

#[cfg(unix)]
#[tokio::test]
async fn serve_embeds_what_is_put_until_it_is_interrupted() {
    let data = tempfile::tempdir().unwrap();
    let mut serving = Serving::on(data.path());
    let client = serving.client();
    put(&client, "photos/Kiwi/1 a+b.jpg", jpeg(1)).await;
    assert!(serving.until("embedded").contains("photos/Kiwi/1 a+b.jpg"));
    assert_eq!(parts(data.path()), 1);
    put(&client, "photos/Kiwi/bad.jpg", b"text".to_vec()).await;
    assert!(serving.until("rejected").contains("not_an_image"));
    client.delete_object().bucket("photos").key("photos/Kiwi/1 a+b.jpg").send().await.unwrap();
    assert!(serving.until("removed").contains("photos/Kiwi/1 a+b.jpg"));

    let second = complaint(&["serve", "--port", "0", "--data", text(data.path())]);
    assert!(second.contains("another fruitvec serves this folder"), "{second}");

    // What was put is embedded before it ends.
    put(&client, "photos/Kiwi/2.jpg", jpeg(2)).await;
    serving.interrupt();
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(parts(data.path()), 2);
    serving.until("stopped");
}

#[cfg(unix)]
#[tokio::test]
async fn serve_catches_up_on_what_was_put_while_nobody_listened() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("photos/photos/Kiwi");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..3 {
        fs::write(folder.join(format!("{number}.jpg")), jpeg(number)).unwrap();
    }
    let mut serving = Serving::on(data.path());
    let mut caught_up: Vec<_> = (0..3).map(|_| serving.until("embedded")).collect();
    caught_up.sort();
    for (number, line) in caught_up.iter().enumerate() {
        assert!(line.contains(&format!("photos/Kiwi/{number}.jpg")), "{line}");
    }
    serving.interrupt();
    assert_eq!(serving.exit_code(), Some(0));
    drop(serving);

    // Once more: only what is new.
    fs::write(folder.join("3.jpg"), jpeg(3)).unwrap();
    let mut serving = Serving::on(data.path());
    assert!(serving.until("embedded").contains("photos/Kiwi/3.jpg"));
    serving.interrupt();
    assert_eq!(serving.exit_code(), Some(0));
    assert!(serving.line().starts_with("stopped"));
}
