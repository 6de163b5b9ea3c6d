"""A Lambda function's binary under a Runtime API of our own: what AWS runs it under, in so far as the function can see.

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
INIT_PATIENCE = 60.0
PAGE = 64 << 10


class FunctionFailed(Exception):
    """The function answered with an error."""

    def __init__(self, error_type, message):
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type
        self.message = message


class FunctionDied(Exception):
    """The process ended, or was ended for taking too long, before it answered."""


def binary(name):
    """The program of that name, built by `cargo nextest run --workspace --no-run`."""
    target = os.environ.get("CARGO_TARGET_DIR") or Path.home() / ".cache/fruitvec/target"
    folder = Path(os.environ.get("FRUITVEC_TEST_BINARIES") or Path(target, "debug"))
    if not (folder / name).exists():
        raise RuntimeError(f"{folder / name} is missing: `cargo nextest run --workspace --no-run` builds it")
    return str(folder / name)


class Function:
    """The binary `name`, one invocation at a time, as Lambda has it. When the process has died the next invocation starts another.

    `environment`: variables beyond those that Lambda sets. `timeout`: seconds that an invocation may take.
    """

    def __init__(self, name, environment, timeout=60.0):
        self._name = name
        self._environment = {key: str(value) for key, value in environment.items()}
        self._timeout = timeout
        self._lines = []
        self._one_at_a_time = threading.Lock()
        self._instance = self._started()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._instance.stop()

    def invoke(self, event, *, timeout=None, request_id=None):
        """The function's response to an event, parsed. The event is a value, or a str or bytes that go out as they are."""
        if not isinstance(event, str | bytes):
            event = json.dumps(event)
        body = event.encode() if isinstance(event, str) else event
        with self._one_at_a_time:
            if self._instance.ended:
                self.restart()
            return self._instance.invoke(body, timeout or self._timeout, request_id or str(uuid.uuid4()))

    def kill(self):
        """SIGKILL. The process is gone when this returns."""
        self._instance.stop()

    def restart(self):
        """A new process, ready for events."""
        self._instance.stop()
        self._instance = self._started()

    @property
    def log(self):
        """The lines that it has printed so far, to stdout or stderr, over all its processes."""
        self._instance.read()
        return list(self._lines)

    @property
    def metrics(self):
        """The lines among them that CloudWatch takes for metrics (embedded metric format), parsed."""
        return [json.loads(line) for line in self.log if line.startswith("{") and '"_aws"' in line]

    @property
    def init_seconds(self):
        """From the start of the process to its first request for an event."""
        return self._instance.init_seconds

    @property
    def peak_bytes(self):
        """The most memory that the process has had resident."""
        status = Path(f"/proc/{self._instance.process.pid}/status").read_text()
        (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(kib) << 10

    @property
    def cpu_seconds(self):
        """The time that the process has computed so far, user and system."""
        stat = Path(f"/proc/{self._instance.process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _started(self):
        return _Instance(self._name, self._environment, self._lines)


class _Instance:
    """One process, and the Runtime API that it alone asks: what an earlier process still has on the wire can't reach the next."""

    def __init__(self, name, environment, lines):
        program = binary(name)
        self._lines = lines
        self._rest = b""
        self._reading = threading.Lock()
        self._changed = threading.Condition()
        self._invocation = None
        self._answer = None
        self.asked = False
        self.ended = False
        self.init_seconds = None
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._api.daemon_threads = True
        threading.Thread(target=self._api.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._born = time.monotonic()
        self.process = subprocess.Popen(
            [program],
            env={**self._given(name), **environment},
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

    def _given(self, name):
        """What Lambda gives every function of a custom runtime."""
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
            self._changed.wait_for(lambda: self.asked or self.ended or self._answer, INIT_PATIENCE)
            if self._answer:
                raise self._failure()
            if not self.asked:
                what = "ended" if self.ended else "did not ask for an event"
                raise FunctionDied(f"it {what} before it was ready:\n{self._tail()}")

    def invoke(self, body, timeout, request_id):
        """The answer to one event. A process that takes too long is killed, as Lambda does it."""
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
        """Kills the process and what it has started."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with self._changed:
            self.ended = True
            self._changed.notify_all()
        self._api.shutdown()
        self._api.server_close()
        self.read()

    def next(self):
        """The next invocation, when there is one; none when there will be none."""
        with self._changed:
            if not self.asked:
                self.asked, self.init_seconds = True, time.monotonic() - self._born
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.ended or (self._invocation and not self._answer))
            return None if self.ended else self._invocation

    def answer(self, kind, body, request_id):
        """Takes an answer: `response`, `error`, or an error of the start. Says whether it was waited for."""
        with self._changed:
            waited_for = self._invocation and self._invocation[0] == request_id and not self._answer
            if not (waited_for or kind == "init"):
                return False
            self._answer = (kind, body)
            self._changed.notify_all()
            return True

    def read(self):
        """Takes in all that the process has printed so far."""
        with self._reading:
            while True:
                try:
                    page = os.read(self.process.stdout.fileno(), PAGE)
                except (BlockingIOError, ValueError):
                    return True
                *lines, self._rest = (self._rest + page).split(b"\n")
                if not page and self._rest:
                    lines, self._rest = [*lines, self._rest], b""
                self._lines.extend(line.decode(errors="replace") for line in lines)
                if not page:
                    return False

    def _watch(self):
        """Reads what is printed, so that printing never blocks, until the process ends."""
        while self.read():
            select.select([self.process.stdout], [], [])
        self.process.wait()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _failure(self):
        said = json.loads(self._answer[1])
        return FunctionFailed(said["errorType"], said["errorMessage"])

    def _tail(self):
        self.read()
        return f"exit status {self.process.poll()}\n" + "\n".join(self._lines[-20:])


def _handler(instance):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            if self.path != f"/{VERSION}/runtime/invocation/next":
                return self._reply(404)
            invocation = instance.next()
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
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-3:000000000000:function:fruitvec",
                    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
                },
            )

        def do_POST(self):
            body = self._body()
            match self.path.split("/")[1:]:
                case [version, "runtime", "init", "error"] if version == VERSION:
                    taken = instance.answer("init", body, None)
                case [version, "runtime", "invocation", request_id, "response" | "error" as kind] if version == VERSION:
                    taken = instance.answer(kind, body, request_id)
                case _:
                    return self._reply(404)
            return self._reply(202 if taken else 400, b'{"status":"OK"}' if taken else b'{"errorType":"InvalidRequestID"}')

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
