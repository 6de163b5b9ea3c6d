//! `fruitvec serve`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use fruitvec::contract::model_card::DEFAULT_MODEL;
use fruitvec_embedded_s3::{Credentials, client};

use crate::support::program::{error_of, files, fruitvec, fruitvec_that_hangs, jpeg, text};

/// Generous, for slow machines.
const EXIT_TIMEOUT: Duration = Duration::from_secs(60);

/// `fruitvec serve` on a free port. Dropping it kills the process.
struct Serving {
    child: Child,
    output: BufReader<ChildStdout>,
    endpoint: String,
    credentials: PathBuf,
}

impl Serving {
    /// Starts the server and reads its endpoint and credentials file from its output.
    fn on(data: &Path) -> Self {
        Self::start(fruitvec(&Self::arguments(data)))
    }

    fn arguments(data: &Path) -> [&str; 5] {
        ["serve", "--port", "0", "--data", text(data)]
    }

    fn start(mut command: Command) -> Self {
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
            panic!("the server has exited: {errors}");
        }
        line
    }

    /// Reads up to the next line that starts with a word, and returns that line.
    #[track_caller]
    fn until(&mut self, word: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(word) {
                return line;
            }
        }
    }

    /// Returns the next line that contains a word.
    #[track_caller]
    fn line_about(&mut self, word: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(word) {
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

    /// Sends the signal of Ctrl-C.
    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + EXIT_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not exit")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

async fn put(client: &Client, key: &str, bytes: Vec<u8>) {
    client.put_object().bucket("photos").key(key).body(ByteStream::from(bytes)).send().await.unwrap();
}

/// Returns the number of parts in a data folder.
pub(super) fn parts(data: &Path) -> usize {
    let folder = data.join(format!("results/embeddings/model={DEFAULT_MODEL}"));
    if folder.exists() { files(&folder).len() } else { 0 }
}

#[cfg(unix)]
#[tokio::test]
async fn serve_embeds_uploads_until_it_is_interrupted() {
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

    let second = error_of(&["serve", "--port", "0", "--data", text(data.path())]);
    assert!(second.contains("another fruitvec serves this folder"), "{second}");

    // Photos that arrived before the interrupt are still embedded.
    put(&client, "photos/Kiwi/2.jpg", jpeg(2)).await;
    serving.interrupt();
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(parts(data.path()), 2);
    serving.until("stopped");
}

#[cfg(unix)]
#[tokio::test]
async fn serve_catches_up_on_photos_that_arrived_while_it_was_not_running() {
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

    // The next start embeds new photos only.
    fs::write(folder.join("3.jpg"), jpeg(3)).unwrap();
    let mut serving = Serving::on(data.path());
    assert!(serving.until("embedded").contains("photos/Kiwi/3.jpg"));
    serving.interrupt();
    assert_eq!(serving.exit_code(), Some(0));
    assert!(serving.line().starts_with("stopped"));
}

#[cfg(all(unix, debug_assertions))]
#[tokio::test]
async fn a_photo_that_hangs_costs_only_itself_even_with_one_thread() {
    let data = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(fruitvec_that_hangs(&Serving::arguments(data.path())));
    let client = serving.client();
    put(&client, "photos/Kiwi/hang.jpg", [&jpeg(1), &b"hang"[..]].concat()).await;
    put(&client, "photos/Kiwi/2.jpg", jpeg(2)).await;
    // The order and the number of the lines depend on the arrival: both photos may be in one batch,
    // and at the start a photo is both listed and notified.
    let (mut embedded, mut rejected) = (false, false);
    while !(embedded && rejected) {
        let line = serving.line_about("  photos/Kiwi/");
        embedded |= line.starts_with("embedded  photos/Kiwi/2.jpg");
        rejected |= line.starts_with("rejected  photos/Kiwi/hang.jpg  too_slow: ");
    }

    // The decoder still hangs. The next photo and Ctrl-C do not wait for it.
    put(&client, "photos/Kiwi/3.jpg", jpeg(3)).await;
    while !serving.line_about("  photos/Kiwi/").starts_with("embedded  photos/Kiwi/3.jpg") {}
    serving.interrupt();
    assert_eq!(serving.exit_code(), Some(0));
}

#[cfg(all(unix, debug_assertions))]
#[tokio::test]
async fn a_second_interrupt_stops_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut command = fruitvec_that_hangs(&Serving::arguments(data.path()));
    command.env("FRUITVEC_MAX_PHOTO_SECONDS", "3600");
    let mut serving = Serving::start(command);
    put(&serving.client(), "photos/Kiwi/hang.jpg", [&jpeg(1), &b"hang"[..]].concat()).await;
    let mut errors = BufReader::new(serving.child.stderr.take().unwrap());
    // The photo may not have started yet, and then the first interrupt already ends the program
    // once it has: the second is sent only after the first was noticed.
    serving.interrupt();
    let mut notice = String::new();
    errors.read_line(&mut notice).unwrap();
    assert!(notice.contains("press Ctrl-C again"), "{notice}");
    serving.interrupt();
    assert_eq!(serving.exit_code(), Some(130));
}
