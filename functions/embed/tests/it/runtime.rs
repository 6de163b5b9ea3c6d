//! Runs the function's program under a stand-in for Lambda's Runtime API.
//!
//! As in Lambda, the program requests the next event and posts a response or an error.
//!
//! Source: "Using the Lambda runtime API for custom runtimes" in the AWS Lambda developer guide.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_embed");
/// The time limit of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// A running function. Dropping it kills the program, even when the test fails.
pub(crate) struct Function {
    child: Child,
    events: Sender<(String, SystemTime)>,
    responses: Receiver<Result<Value, Value>>,
    log: Arc<Mutex<Vec<Value>>>,
}

/// Returns the program with only these variables and those of Lambda in its environment.
pub(crate) fn command(environment: &[(String, String)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().envs(environment.iter().cloned()).envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "embed"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ]);
    command
}

impl Function {
    pub(crate) fn start(environment: &[(String, String)]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, next) = channel();
        let (responded, responses) = channel();
        let next = Arc::new(Mutex::new(next));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (next, responded) = (Arc::clone(&next), responded.clone());
                // The thread ends when the program closes the connection.
                std::thread::spawn(move || serve(stream.unwrap(), &next, &responded));
            }
        });
        let mut command = command(environment);
        let mut child =
            command.env("AWS_LAMBDA_RUNTIME_API", address).stdout(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, output) = (Arc::clone(&log), BufReader::new(child.stdout.take().unwrap()));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, events, responses, log }
    }

    /// Delivers an event, and returns the function's response or error.
    pub(crate) fn invoke(&self, event: &str) -> Result<Value, Value> {
        self.invoke_for(event, RESPONSE_TIMEOUT)
    }

    /// Delivers an event with a time limit for the invocation.
    pub(crate) fn invoke_for(&self, event: &str, time: Duration) -> Result<Value, Value> {
        self.events.send((event.to_owned(), SystemTime::now() + time)).unwrap();
        self.responses
            .recv_timeout(RESPONSE_TIMEOUT)
            .unwrap_or_else(|_| panic!("no response: {:#?}", self.log.lock()))
    }

    /// Waits until the program ends by itself.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let end = SystemTime::now() + RESPONSE_TIMEOUT;
        while SystemTime::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the function does not end: {:#?}", self.log.lock())
    }

    /// Waits for a line that satisfies `predicate`, and returns all lines printed since the last
    /// call.
    pub(crate) fn log_with(&self, predicate: impl Fn(&Value) -> bool) -> Vec<Value> {
        let end = SystemTime::now() + RESPONSE_TIMEOUT;
        loop {
            let mut log = self.log.lock().unwrap();
            if log.iter().any(&predicate) {
                return std::mem::take(&mut log);
            }
            assert!(SystemTime::now() < end, "no such line: {log:#?}");
            drop(log);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the metrics of the last invocation and the log lines of its photos.
    pub(crate) fn reported(&self) -> (Value, Vec<Value>) {
        let log = self.log_with(|line| line["_aws"].is_object());
        let metrics = log.iter().find(|line| line["_aws"].is_object()).unwrap().clone();
        let fields = log.into_iter().map(|mut line| line["fields"].take());
        (metrics, fields.filter(|fields| fields["message"] == "photo").collect())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // The program may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers the requests of one connection until it ends.
fn serve(
    mut stream: TcpStream,
    next: &Mutex<Receiver<(String, SystemTime)>>,
    responded: &Sender<Result<Value, Value>>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = 0;
    while let Some((line, body)) = read(&mut reader) {
        request += 1;
        let reply = if line.starts_with("GET /2018-06-01/runtime/invocation/next ") {
            // The channel is closed when the test is over.
            let Ok((event, deadline)) = next.lock().unwrap().recv() else { return };
            let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
            let id = format!("lambda-runtime-aws-request-id: request-{request}\r\n");
            format!(
                "HTTP/1.1 200 OK\r\n{id}lambda-runtime-deadline-ms: {deadline}\r\ncontent-length: {}\r\n\r\n{event}",
                event.len()
            )
        } else {
            let body = serde_json::from_slice(&body).unwrap();
            let path = line.split(' ').nth(1).unwrap();
            assert!(line.starts_with("POST /2018-06-01/runtime/invocation/request-"), "{line}");
            let response = match path.rsplit('/').next() {
                Some("response") => Ok(body),
                Some("error") => Err(body),
                _ => panic!("{line}"),
            };
            // A test that timed out no longer receives.
            let _ = responded.send(response);
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads the request line and the body of the next request. Returns `None` when the connection
/// ends.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut length = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}
