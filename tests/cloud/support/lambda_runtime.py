"""Runs a Lambda function's binary under a local Runtime API, in an environment like the one in AWS.

The protocol: "Using the Lambda runtime API for custom runtimes", AWS Lambda Developer Guide.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = "2018-06-01"
FUNCTION_ARN = "arn:aws:lambda:eu-west-3:000000000000:function:fruitvec"
TRACE_ID = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0"
INIT_TIMEOUT = 60.0
READ_SIZE = 64 << 10


class FunctionFailed(Exception):
    """The function answered with an error."""

    def __init__(self, error_type, message):
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type
        self.message = message


class FunctionDied(Exception):
    """The process ended before it answered, or was killed after the time-out."""


def binary(name):
    """Returns the path of a program that `cargo nextest run --workspace --no-run` has built."""
    target = os.environ.get("CARGO_TARGET_DIR") or Path.home() / ".cache/fruitvec/target"
    folder = Path(os.environ.get("FRUITVEC_TEST_BINARIES") or Path(target, "debug"))
    if not (folder / name).exists():
        raise RuntimeError(f"{folder / name} is missing: `cargo nextest run --workspace --no-run` builds it")
    return str(folder / name)


class LambdaFunction:
    """Invokes the binary `name`, one event at a time as Lambda does, and restarts it after it has died.

    `environment` is added to the variables that Lambda sets. `timeout` is in seconds per invocation.
    """

    def __init__(self, name, environment, timeout=60.0):
        self._name = name
        self._environment = {key: str(value) for key, value in environment.items()}
        self._timeout = timeout
        self._lines = []
        self._invoking = threading.Lock()
        self._instance = self._start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._instance.stop()

    def invoke(self, event, *, timeout=None, request_id=None):
        """Sends an event and returns the parsed response.

        A str or bytes is sent as is, anything else as JSON.
        """
        if not isinstance(event, str | bytes):
            event = json.dumps(event)
        body = event.encode() if isinstance(event, str) else event
        with self._invoking:
            if self._instance.ended:
                self.restart()
            return self._instance.invoke(body, timeout or self._timeout, request_id or str(uuid.uuid4()))

    def kill(self):
        """Kills the process and waits until it is gone."""
        self._instance.stop()

    def restart(self):
        """Starts a new process and waits until it asks for an event."""
        self._instance.stop()
        self._instance = self._start()

    @property
    def log(self):
        """The lines that all its processes have printed so far, on stdout and stderr."""
        self._instance.read_output()
        return list(self._lines)

    @property
    def metrics(self):
        """The log lines in CloudWatch's embedded metric format, parsed."""
        return [json.loads(line) for line in self.log if line.startswith("{") and '"_aws"' in line]

    @property
    def init_seconds(self):
        """Seconds from the start of the process to its first request for an event."""
        return self._instance.init_seconds

    @property
    def peak_bytes(self):
        """The peak resident memory of the process."""
        status = Path(f"/proc/{self._instance.process.pid}/status").read_text()
        (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(kib) << 10

    @property
    def cpu_seconds(self):
        """The user and system time of the process so far."""
        stat = Path(f"/proc/{self._instance.process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _start(self):
        return _Instance(self._name, self._environment, self._lines)


class _Instance:
    """One process with its own Runtime API.

    A request that an earlier process still has in flight cannot reach this one.
    """

    def __init__(self, name, environment, lines):
        program = binary(name)
        self._lines = lines
        # The start of a line that is not complete yet.
        self._partial_line = b""
        self._reading = threading.Lock()
        self._changed = threading.Condition()
        # The id, deadline and body of the event in progress, and the answer to it.
        self._invocation = None
        self._answer = None
        self.is_ready = False
        self.ended = False
        self.init_seconds = None
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._api.daemon_threads = True
        threading.Thread(target=self._api.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(
            [program],
            env={**self._lambda_variables(name), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            self._await_init()
        except BaseException:
            self.stop()
            raise

    def _lambda_variables(self, name):
        """Returns the variables that Lambda sets for a custom runtime."""
        return {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "test",
            "_HANDLER": "bootstrap",
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TZ": ":UTC",
        }

    def _await_init(self):
        with self._changed:
            self._changed.wait_for(lambda: self.is_ready or self.ended or self._answer, INIT_TIMEOUT)
            if self._answer:
                raise self._failure()
            if not self.is_ready:
                what = "ended" if self.ended else "did not ask for an event"
                raise FunctionDied(f"it {what} before it was ready:\n{self._tail()}")

    def invoke(self, body, timeout, request_id):
        """Returns the answer to one event. Kills the process at the time-out, as Lambda does."""
        with self._changed:
            deadline = time.time() + timeout
            self._answer = None
            self._invocation = (request_id, deadline, body)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answer or self.ended, timeout)
            answer, self._invocation = self._answer, None
            if answer and answer[0] == "response":
                return json.loads(answer[1] or b"null")
            if answer:
                raise self._failure()
            ended = self.ended
        self.stop()
        raise FunctionDied(f"it {'ended' if ended else f'took more than {timeout} s'}:\n{self._tail()}")

    def stop(self):
        """Kills the process and its children."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with self._changed:
            self.ended = True
            self._changed.notify_all()
        self._api.shutdown()
        self._api.server_close()
        self.read_output()

    def next_invocation(self):
        """Waits for the next invocation. Returns `None` when the process has been stopped."""
        with self._changed:
            if not self.is_ready:
                self.is_ready, self.init_seconds = True, time.monotonic() - self._started_at
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.ended or (self._invocation and not self._answer))
            return None if self.ended else self._invocation

    def answer(self, kind, body, request_id):
        """Accepts an answer of kind `response`, `error` or `init`, and returns whether it was expected."""
        with self._changed:
            expected = self._invocation and self._invocation[0] == request_id and not self._answer
            if not (expected or kind == "init"):
                return False
            self._answer = (kind, body)
            self._changed.notify_all()
            return True

    def read_output(self):
        """Collects the lines printed so far. Returns whether more may follow."""
        with self._reading:
            while True:
                try:
                    chunk = os.read(self.process.stdout.fileno(), READ_SIZE)
                except (BlockingIOError, ValueError):
                    return True
                *lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
                if not chunk and self._partial_line:
                    lines, self._partial_line = [*lines, self._partial_line], b""
                self._lines.extend(line.decode(errors="replace") for line in lines)
                if not chunk:
                    return False

    def _watch(self):
        """Drains the output until the process ends. A full pipe would block the process."""
        while self.read_output():
            select.select([self.process.stdout], [], [])
        self.process.wait()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _failure(self):
        error = json.loads(self._answer[1])
        return FunctionFailed(error["errorType"], error["errorMessage"])

    def _tail(self):
        self.read_output()
        return f"exit status {self.process.poll()}\n" + "\n".join(self._lines[-20:])


def _handler(instance):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            if self.path != f"/{VERSION}/runtime/invocation/next":
                return self._reply(404)
            invocation = instance.next_invocation()
            if invocation is None:
                self.close_connection = True
                return None
            request_id, deadline, body = invocation
            return self._reply(
                200,
                body,
                {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
                    "Lambda-Runtime-Trace-Id": TRACE_ID,
                },
            )

        def do_POST(self):
            body = self._body()
            match self.path.split("/")[1:]:
                case [version, "runtime", "init", "error"] if version == VERSION:
                    accepted = instance.answer("init", body, None)
                case [version, "runtime", "invocation", request_id, "response" | "error" as kind] if (
                    version == VERSION
                ):
                    accepted = instance.answer(kind, body, request_id)
                case _:
                    return self._reply(404)
            if accepted:
                return self._reply(202, b'{"status":"OK"}')
            return self._reply(400, b'{"errorType":"InvalidRequestID"}')

        def _body(self):
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body

        def _reply(self, status, body=b"", headers=None):
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler
